"""Diagrams as Mermaid text, for pages that draw it: GitHub, GitLab, notebooks, documentation."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator
from typing import Final

from stageflow.core.stage import StageKind
from stageflow.graph.diagram import Diagram, DiagramCluster, DiagramNode
from stageflow.views.words import cluster_lines, contents, node_lines, printable

_FORMS: Final = {
    StageKind.TRANSFORM: ("[", "]"),
    StageKind.ENRICH: ("(", ")"),
    StageKind.ROUTE: ("{", "}"),
    StageKind.GUARD: ("{{", "}}"),
    StageKind.WORK: ("[[", "]]"),
    StageKind.AGENT: ("([", "])"),
}
_PLAIN: Final = frozenset(string.ascii_letters + string.digits + " ._-+:,/()[]|=*?!'@$%")
_MERMAIDS_OWN = "¶ﬂ"  # with ß and °, what Mermaid itself writes for a semicolon and an ampersand


def to_mermaid(diagram: Diagram) -> str:
    """The diagram as a Mermaid flowchart, from the top down.

    Names are numbered and texts escaped character by character, so that no name means anything to Mermaid or HTML.
    A page draws 500 edges at most unless it sets Mermaid's ``maxEdges``.

    >>> from stageflow import lift
    >>> print(to_mermaid(lift(len).diagram()))
    flowchart TB
      input([" "])
      n0["len"]
      output([" "])
      input --> n0
      n0 --> output
    """
    numbers = {node.id: f"n{at}" for at, node in enumerate(diagram.nodes)}
    head = ("flowchart TB", f"  input([{_quoted([diagram.input])}])")
    return "\n".join([*head, *_body(diagram, numbers), *_edges(diagram, numbers)])


def _body(diagram: Diagram, numbers: dict[str, str]) -> Iterator[str]:
    clusters = {cluster.id: f"c{at}" for at, cluster in enumerate(diagram.clusters)}
    for depth, what in contents(diagram):
        indent = "  " * (depth + 1)
        match what:
            case DiagramNode():
                opening, closing = _FORMS[what.kind]
                yield f"{indent}{numbers[what.id]}{opening}{_quoted(node_lines(what))}{closing}"
            case DiagramCluster():
                yield f"{indent}subgraph {clusters[what.id]}[{_quoted(cluster_lines(what))}]"
            case None:
                yield f"{indent}end"
    yield f"  output([{_quoted([diagram.output])}])"


def _edges(diagram: Diagram, numbers: dict[str, str]) -> Iterator[str]:
    for edge in diagram.edges:
        arrow = "-.->" if edge.reads else "-->"
        label = f"|{_quoted([edge.label])}|" if edge.label else ""
        yield f"  {numbers.get(edge.source, 'input')} {arrow}{label} {numbers.get(edge.target, 'output')}"


def _quoted(lines: Iterable[str]) -> str:
    """Lines of text as one label; never an empty one, which Mermaid refuses."""
    text = "<br/>".join(["".join(map(_escaped, printable(line))) for line in lines])
    return f'"{text}"' if text.strip() else '" "'


def _escaped(character: str) -> str:
    plain = character in _PLAIN or not (character.isascii() or character in _MERMAIDS_OWN)
    return character if plain else f"#{ord(character)};"
