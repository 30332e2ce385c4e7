"""Diagrams as a tree of text, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stageflow.graph.diagram import Diagram, DiagramCluster, DiagramNode
from stageflow.views.words import Entry, changes, cluster_title, contents, printable, signature

_BRANCH: Final = ("├─ ", "└─ ", "│  ", "   ")


def to_tree(diagram: Diagram) -> str:
    """The diagram as lines: a stage each, what it follows behind an arrow, what is inside others indented.

    >>> from stageflow import lift
    >>> words, total = lift(str.split).named("words"), lift(len).named("total")
    >>> print(to_tree((words | total).diagram()))
    words|total
    ├─ words
    └─ total  ← words
    """
    head = diagram.name
    if diagram.input or diagram.output:
        head = f"{head}  {diagram.input or '?'} → {diagram.output or '?'}"
    return "\n".join([printable(head), *_lines(diagram)])


def _lines(diagram: Diagram) -> Iterator[str]:
    labels = {node.id: node.label for node in diagram.nodes}
    follows: dict[str, list[str]] = {node.id: [] for node in diagram.nodes}
    for edge in diagram.edges:
        if edge.source and edge.target:
            case = f" ({edge.label})" if edge.label else " (reads)" if edge.reads else ""
            follows[edge.target].append(f"{labels[edge.source]}{case}")
    entries = list(contents(diagram))
    last = _last(entries)
    stems: list[str] = []
    for at, (_, what) in enumerate(entries):
        if what is None:
            stems.pop()
            continue
        branch, stem = (_BRANCH[1], _BRANCH[3]) if at in last else (_BRANCH[0], _BRANCH[2])
        yield "".join([*stems, branch]) + printable(_text(what, follows))
        if isinstance(what, DiagramCluster):
            stems.append(stem)


def _last(entries: list[tuple[int, Entry]]) -> set[int]:
    """Which entries are the last of the cluster that they are in."""
    latest: dict[int, int] = {}
    last: set[int] = set()
    for at, (depth, what) in enumerate(entries):
        if what is None:
            last.add(latest.pop(depth + 1))
        else:
            latest[depth] = at
    return last | set(latest.values())


def _text(what: DiagramNode | DiagramCluster, follows: dict[str, list[str]]) -> str:
    around = changes(what.interceptors, what.marks)
    beside = f"  [{around}]" if around else ""
    if isinstance(what, DiagramCluster):
        return f"{cluster_title(what)}{beside}"
    types = f"  {signature(what)}" if signature(what) else ""
    return f"{what.label}{types}{beside}" + (f"  ← {', '.join(follows[what.id])}" if follows[what.id] else "")
