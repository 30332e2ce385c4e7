"""The graph as the page draws it: a node for each stage, one for all items of an ``.each``, in clusters.

It is made of a `Diagram`, and leaves out what a picture of a run does not need: where the input comes in and the output
goes out, declared reads of what a stage comes after anyway, and clusters around one single thing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stageflow.graph.diagram import ClusterKind, Diagram, DiagramCluster, DiagramNode
from stageflow.views.words import changes

WIDE = 8  # sources of several stages at once, beyond which they meet in a junction, so that the lines stay few


@dataclass(frozen=True, slots=True)
class DrawnNode:
    """A stage of the graph, or a junction where many edges meet.

    Attributes:
        name: its full name, with ``[]`` where the number of an item goes; empty for a junction.
        label: the name without those of the pipelines around it.
        kind: what it is for; empty for a junction.
        cluster: the number of the cluster that it is in, or -1.
        each: the ids of the ``.each`` that it is inside of, outermost first.
        input: the type of its value; empty where it does not say.
        output: the type of its output; empty where it does not say.
        around: its interceptors, conditions and the like.
        ports: the ports that it requires.
    """

    name: str
    label: str
    kind: str
    cluster: int = -1
    each: tuple[str, ...] = ()
    input: str = ""
    output: str = ""
    around: str = ""
    ports: str = ""


@dataclass(frozen=True, slots=True)
class DrawnCluster:
    """Stages that stand together.

    Attributes:
        label: what it is called.
        parent: the number of the cluster around it, or -1.
        each: whether it runs once per item.
    """

    label: str
    parent: int = -1
    each: bool = False


@dataclass(frozen=True, slots=True)
class DrawnEdge:
    """One node after another, by number; ``label`` is the case of a route that leads there."""

    before: int
    after: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """The nodes in graph order, the clusters with outer ones first, and the edges."""

    nodes: tuple[DrawnNode, ...] = ()
    clusters: tuple[DrawnCluster, ...] = ()
    edges: tuple[DrawnEdge, ...] = ()


def drawing_of(diagram: Diagram) -> Drawing:
    """The drawing of a graph.

    >>> from stageflow import lift
    >>> drawing = drawing_of((lift(str.split) | lift(len).each()).diagram())
    >>> [node.name for node in drawing.nodes], drawing.edges
    (['split', 'len[]'], (DrawnEdge(before=0, after=1, label=''),))
    """
    frames = _Frames(diagram)
    nodes = [_node(node, frames) for node in diagram.nodes]
    numbers = {node.id: number for number, node in enumerate(diagram.nodes)}
    labels: dict[tuple[int, int], dict[str, None]] = {}
    for edge in diagram.edges:
        if edge.source and edge.target and not edge.reads:
            labels.setdefault((numbers[edge.source], numbers[edge.target]), {})[edge.label] = None
    edges = [DrawnEdge(*ends, " / ".join(filter(None, cases))) for ends, cases in labels.items()]
    junctions, met = _met(edges, len(nodes))
    return Drawing((*nodes, *junctions), frames.drawn, met)


def _node(node: DiagramNode, frames: _Frames) -> DrawnNode:
    return DrawnNode(
        name=node.id,
        label=node.label,
        kind=node.kind.value,
        cluster=frames.number(node.cluster),
        each=frames.each(node.cluster),
        input=node.input,
        output=node.output,
        around=changes(node.interceptors, node.marks),
        ports=", ".join(node.ports),
    )


class _Frames:
    """The clusters that are drawn: those with at least two things in them."""

    def __init__(self, diagram: Diagram) -> None:
        self._clusters = {cluster.id: cluster for cluster in diagram.clusters}
        self._each: dict[str, tuple[str, ...]] = {"": ()}
        for cluster in diagram.clusters:
            own = (cluster.id,) if cluster.kind is ClusterKind.EACH else ()
            self._each[cluster.id] = self._each[cluster.parent] + own
        self._numbers: dict[str, int] = {"": -1}
        self.drawn = tuple(self._draw(diagram))

    def _draw(self, diagram: Diagram) -> Iterable[DrawnCluster]:
        inside = Counter([node.cluster for node in diagram.nodes] + [cluster.parent for cluster in diagram.clusters])
        only = {cluster.parent: cluster for cluster in diagram.clusters if inside[cluster.parent] == 1}
        drawn = 0
        for cluster in diagram.clusters:
            around = self._numbers[cluster.parent]
            with_it = cluster.parent in only and bool(cluster.parent)
            around_one_node = inside[cluster.id] == 1 and cluster.id not in only
            if with_it or around_one_node:
                self._numbers[cluster.id] = around
            else:
                self._numbers[cluster.id], drawn = drawn, drawn + 1
                yield DrawnCluster(_label(cluster, only), around, _per_item(cluster, only))

    def number(self, id: str) -> int:
        """The number of the cluster that something in a cluster of the diagram is drawn in; -1 for none."""
        return self._numbers[id]

    def each(self, id: str) -> tuple[str, ...]:
        """The ids of the ``.each`` around what is in a cluster, outermost first."""
        return self._each[id]


def _chain(cluster: DiagramCluster, only: Mapping[str, DiagramCluster]) -> list[DiagramCluster]:
    """A cluster and those inside it that are all it has."""
    chain = [cluster]
    while chain[-1].id in only:
        chain.append(only[chain[-1].id])
    return chain


def _label(cluster: DiagramCluster, only: Mapping[str, DiagramCluster]) -> str:
    parts = _chain(cluster, only)
    return " / ".join(
        dict.fromkeys(f"case {part.label}" if part.kind is ClusterKind.CASE else part.label for part in parts)
    )


def _per_item(cluster: DiagramCluster, only: Mapping[str, DiagramCluster]) -> bool:
    return any(part.kind is ClusterKind.EACH for part in _chain(cluster, only))


def _met(edges: list[DrawnEdge], first: int) -> tuple[list[DrawnNode], tuple[DrawnEdge, ...]]:
    """The same edges, with a junction wherever several stages follow the same many others."""
    sources: dict[int, list[DrawnEdge]] = {}
    for edge in edges:
        sources.setdefault(edge.after, []).append(edge)
    alike: dict[tuple[int, ...], list[int]] = {}
    for after, incoming in sources.items():
        if len(incoming) > WIDE and not any(edge.label for edge in incoming):
            alike.setdefault(tuple(edge.before for edge in incoming), []).append(after)
    junctions: list[DrawnNode] = []
    for befores, afters in alike.items():
        if len(afters) > 1:
            number = first + len(junctions)
            junctions.append(DrawnNode("", "", ""))
            for after in afters:
                sources[after] = [DrawnEdge(number, after)]
            sources[number] = [DrawnEdge(before, number) for before in befores]
    return junctions, tuple(edge for incoming in sources.values() for edge in incoming)
