"""The graph as it is drawn: a node for each stage, one for all items of an ``.each``, in clusters.

What only contains others is no node but a cluster, so edges go from stage to stage, through composites.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from stageflow.graph.names import ITEM
from stageflow.graph.plan import INPUT, Atlas, Plan, Source

WIDE = 8  # ends of a composite, beyond which they meet in a junction, so that edges stay linear


@dataclass(frozen=True, slots=True)
class DrawnNode:
    """A stage of the graph.

    Attributes:
        name: its full name, with ``[]`` where the number of an item goes; empty for a junction.
        label: the name without that of its cluster.
        kind: what it is for; empty for a junction, where many edges meet.
        cluster: the number of the cluster that it is in, or -1.
        each: the numbers of the ``.each`` that it is inside of, outermost first.
    """

    name: str
    label: str
    kind: str
    cluster: int = -1
    each: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DrawnCluster:
    """A pipeline inside another.

    Attributes:
        name: what it is called.
        parent: the number of the cluster around it, or -1.
        each: whether it runs once per item.
    """

    name: str
    parent: int = -1
    each: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """The nodes in graph order, the clusters with outer ones first, and the edges as pairs of node numbers."""

    nodes: tuple[DrawnNode, ...] = ()
    clusters: tuple[DrawnCluster, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()


def drawing_of(atlas: Atlas) -> Drawing:
    """The drawing of a built graph.

    >>> from stageflow import lift
    >>> drawing = drawing_of((lift(str.split) | lift(len).each()).graph().atlas)
    >>> [(node.name, node.each) for node in drawing.nodes], drawing.edges
    ([('split', ()), ('len[]', (0,))], ((0, 1),))
    """
    pen = _Pen(atlas)
    stack = [pen.plan(atlas.root, (), _Around())]
    answer: Ends | None = None
    while stack:  # a stack of its own: composites nest deeper than Python recurses
        try:
            wanted = stack[-1].send(answer)
        except StopIteration as stop:
            stack.pop()
            answer = stop.value
        else:
            answer = None
            stack.append(pen.plan(*wanted))
    pen.lift()
    return Drawing(tuple(pen.nodes), tuple(pen.clusters), tuple(pen.edges))


Ends: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Around:
    """What a plan is inside of: its cluster, with the naming scope there, and the numbers of its ``.each``."""

    cluster: int = -1
    scope: int = 0
    each: tuple[int, ...] = ()


Walking: TypeAlias = Generator[tuple[Plan, Ends, _Around], "Ends | None", Ends]


class _Pen:
    """The drawing while it is made."""

    def __init__(self, atlas: Atlas) -> None:
        self.nodes: list[DrawnNode] = []
        self.clusters: list[DrawnCluster] = []
        self.edges: dict[tuple[int, int], None] = {}
        self._scopes = atlas.scopes
        self._eaches = 0

    def plan(self, plan: Plan, entries: Ends, around: _Around) -> Walking:
        """Draws what is in a plan, and gives the nodes that its output comes from."""
        scopes = _Scopes(self, plan, around)
        ends: list[Ends] = []
        for slot, (_, source) in enumerate(plan.nodes):
            before = _ends(source, ends, entries)
            kind, inner = plan.kinds[slot], plan.inner.get(slot, ())
            cluster = scopes.cluster(plan.scopes[slot])
            if kind is not None:
                ends.append((self._node(plan.names[slot], kind.value, cluster, around.each, before),))
            elif inner:
                ends.append((yield from self._inside(plan, slot, self._met(before, cluster), cluster, around)))
            else:
                ends.append(before)
        if plan.output is not None:
            return self._met(_ends(plan.output, ends, entries), around.cluster)
        if not ends:
            return entries
        return self._met(tuple(dict.fromkeys(end for sink in plan.sinks for end in ends[sink])), around.cluster)

    def _inside(self, plan: Plan, slot: int, entries: Ends, cluster: int, around: _Around) -> Walking:
        inner, scope = plan.inner[slot], plan.scopes[slot]
        per_item = inner[0].names[0].count(ITEM) > plan.names[slot].count(ITEM) if inner[0].names else False
        each = (*around.each, self._each()) if per_item else around.each
        if len(plan.names) == 1 and around.cluster >= 0:  # all that the cluster around it has: the same cluster
            self.clusters[cluster] = replace(self.clusters[cluster], each=self.clusters[cluster].each or per_item)
        elif sum(len(part.names) for part in inner) > 1 or any(part.inner for part in inner):
            cluster = self.cluster(plan.names[slot], cluster, each=per_item)
        first = (yield inner[0], entries, _Around(cluster, scope, each)) or ()
        if len(inner) == 1:
            return first
        ends: dict[int, None] = {}
        for case in inner[1:]:  # a route: its selector comes before each of its cases
            ends.update(dict.fromkeys((yield case, first, _Around(cluster, scope, each)) or ()))
        return self._met(tuple(ends), cluster)

    def _each(self) -> int:
        self._eaches += 1
        return self._eaches - 1

    def cluster(self, name: str, parent: int, *, each: bool = False) -> int:
        """Draws a cluster, and gives its number."""
        self.clusters.append(DrawnCluster(_template(name), parent, each))
        return len(self.clusters) - 1

    def _node(self, name: str, kind: str, cluster: int, each: tuple[int, ...], before: Ends) -> int:
        name = _template(name)
        self.nodes.append(DrawnNode(name, self._label(name, cluster), kind, cluster, each))
        node = len(self.nodes) - 1
        self.edges.update(dict.fromkeys((end, node) for end in before))
        return node

    def _label(self, name: str, cluster: int) -> str:
        around = self.clusters[cluster].name if cluster >= 0 else ""
        inside = name.removeprefix(around).lstrip("[]")
        return (inside[1:] if around and inside.startswith(".") else name).removesuffix("[]")

    def _met(self, ends: Ends, cluster: int) -> Ends:
        """The same ends, in a junction where they are many."""
        if len(ends) <= WIDE:
            return ends
        self.nodes.append(DrawnNode("", "", "", cluster))
        node = len(self.nodes) - 1
        self.edges.update(dict.fromkeys((end, node) for end in ends))
        return (node,)

    def lift(self) -> None:
        """Takes back a last junction, where nothing follows it after all."""
        while self.nodes and not self.nodes[-1].name:
            self.nodes.pop()
            self.edges = {edge: None for edge in self.edges if edge[1] < len(self.nodes)}

    def around(self, scope: int) -> int:
        """The naming scope around another."""
        return self._scopes[scope]


class _Scopes:
    """The clusters of one plan: a named pipeline has a naming scope, and is not a plan of its own."""

    def __init__(self, pen: _Pen, plan: Plan, around: _Around) -> None:
        self._pen = pen
        self._names: dict[int, list[str]] = {}
        self._clusters: dict[int, int] = {around.scope: around.cluster}
        for name, scope in zip(plan.names, plan.scopes, strict=True):
            for inner in self._unmade(scope):
                self._names.setdefault(inner, []).append(name)
        outermost = [scope for scope in self._names if pen.around(scope) == around.scope]
        alone = len(outermost) == 1 and len(self._names[outermost[0]]) == len(plan.names)
        if alone and around.cluster >= 0:  # a named pipeline that is all there is: the cluster around it
            self._clusters[outermost[0]] = around.cluster

    def _unmade(self, scope: int) -> list[int]:
        """A naming scope and those around it, as far as they are no clusters yet, inner ones first."""
        found: list[int] = []
        while scope not in self._clusters:
            found.append(scope)
            scope = self._pen.around(scope)
        return found

    def cluster(self, scope: int) -> int:
        """The number of the cluster that a naming scope is."""
        for inner in reversed(self._unmade(scope)):
            around = self._clusters[self._pen.around(inner)]
            self._clusters[inner] = self._pen.cluster(_shared(self._names[inner]), around)
        return self._clusters[scope]


def _shared(names: Iterable[str]) -> str:
    """The dotted name that all these begin with: that of the pipeline they are in."""
    all_names = sorted(names)
    first, last = all_names[0], all_names[-1]
    same = next((at for at, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[:same].rpartition(".")[0]


def _ends(source: Source, ends: list[Ends], entries: Ends) -> Ends:
    if source == INPUT:
        return entries
    if isinstance(source, int):
        return ends[source]
    found = (end for slot in source for end in (entries if slot == INPUT else ends[slot]))
    return tuple(dict.fromkeys(found))


def _template(name: str) -> str:
    return name.replace(ITEM, "")
