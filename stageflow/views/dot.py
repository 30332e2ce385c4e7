"""Diagrams as Graphviz DOT text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from stageflow.core.stage import StageKind
from stageflow.graph.diagram import Diagram, DiagramCluster, DiagramNode
from stageflow.views.words import cluster_lines, contents, node_lines, printable

_FORMS: Final = {
    StageKind.TRANSFORM: "box",
    StageKind.ENRICH: "ellipse",
    StageKind.ROUTE: "diamond",
    StageKind.GUARD: "hexagon",
    StageKind.WORK: "box3d",
    StageKind.AGENT: "octagon",
}


def to_dot(diagram: Diagram) -> str:
    """The diagram as a digraph, from the top down, in UTF-8.

    >>> from stageflow import lift
    >>> print(to_dot(lift(len).diagram()))
    digraph {
      graph [charset="UTF-8", fontname="sans-serif"];
      node [fontname="sans-serif"];
      edge [fontname="sans-serif"];
      input [label=" ", shape=oval, style=dashed];
      n0 [label="len", shape=box];
      output [label=" ", shape=oval, style=dashed];
      input -> n0;
      n0 -> output;
    }
    """
    numbers = {node.id: f"n{at}" for at, node in enumerate(diagram.nodes)}
    lines = ["digraph {", '  graph [charset="UTF-8", fontname="sans-serif"];']
    lines += [f'  {what} [fontname="sans-serif"];' for what in ("node", "edge")]
    lines.append(f"  input [label={_quoted([diagram.input])}, shape=oval, style=dashed];")
    return "\n".join([*lines, *_body(diagram, numbers), *_edges(diagram, numbers), "}"])


def _body(diagram: Diagram, numbers: dict[str, str]) -> Iterator[str]:
    clusters = {cluster.id: f"cluster_{at}" for at, cluster in enumerate(diagram.clusters)}
    for depth, what in contents(diagram):
        indent = "  " * (depth + 1)
        match what:
            case DiagramNode():
                yield f"{indent}{numbers[what.id]} [label={_quoted(node_lines(what))}, shape={_FORMS[what.kind]}];"
            case DiagramCluster():
                yield f"{indent}subgraph {clusters[what.id]} {{"
                yield f"{indent}  label={_quoted(cluster_lines(what))};"
            case None:
                yield f"{indent}}}"
    yield f"  output [label={_quoted([diagram.output])}, shape=oval, style=dashed];"


def _edges(diagram: Diagram, numbers: dict[str, str]) -> Iterator[str]:
    for edge in diagram.edges:
        told = [f"label={_quoted([edge.label])}"] if edge.label else []
        told += ["style=dashed"] if edge.reads else []
        attributes = f" [{', '.join(told)}]" if told else ""
        yield f"  {numbers.get(edge.source, 'input')} -> {numbers.get(edge.target, 'output')}{attributes};"


def _quoted(lines: Iterable[str]) -> str:
    text = "\\n".join([_escaped(line) for line in lines])
    return f'"{text}"' if text else '" "'


def _escaped(line: str) -> str:
    """A line as Graphviz reads it back: it knows backslashes and HTML's entities also inside quotes."""
    return printable(line).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
