"""What is written down of a graph while its plans are walked, from the outside in.

What flows along an edge is known as the stages it may come from: a container gives what its inner plans give.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import NamedTuple, TypeAlias

from stageflow.core.stage import StageKind
from stageflow.graph.building.annotations import Known, gives, takes
from stageflow.graph.diagram import ClusterKind, DiagramEdge, DiagramNode
from stageflow.graph.names import PER_ITEM, filled
from stageflow.graph.plan import INPUT, Atlas, Place, Plan, Source
from stageflow.graph.shape import Leaf, Routed
from stageflow.graph.wired import Step, Union
from stageflow.graph.wrapping import Each, Wrapped
from stageflow.views.clusters import Clusters
from stageflow.views.type_names import type_name
from stageflow.views.wrappers import NOTHING, Around, unwrapped

_SHOWN = 3  # the names of so many ends are the name of a pipeline that has no other


class Origin(NamedTuple):
    """Where a value comes from: the id of a node, empty for the pipeline's input; and the case that lets it through."""

    node: str = ""
    case: str = ""


Origins: TypeAlias = tuple[Origin, ...]


class Visit(NamedTuple):
    """A plan that is to be drawn: on what it gets, in which cluster, and what stands around it beside."""

    plan: Plan
    feed: Origins
    cluster: str
    around: Around = NOTHING


Drawing: TypeAlias = Generator[Visit, Origins, Origins]


class Scribe:
    """What is written down of a graph while it is walked."""

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas
        self._known: Known = {}
        self._exits: dict[tuple[int, int], Origins] = {}
        self._readers: list[tuple[str, Leaf]] = []
        self.nodes: list[DiagramNode] = []
        self.edges: list[DiagramEdge] = []
        self.clusters: Clusters = Clusters(atlas)

    def draw(self, visit: Visit) -> Drawing:
        """Draws a plan, and gives where its output comes from."""
        plan, exits = visit.plan, dict[int, Origins]()
        for slot in range(len(plan.names)):
            feed = _flow(plan.nodes[slot][1], exits, visit.feed)
            here = visit._replace(feed=feed, cluster=self.clusters.of_scope(plan.scopes[slot], visit.cluster))
            if plan.kinds[slot] is not None:
                exits[slot] = self._node(slot, here)
            elif slot in plan.inner:
                exits[slot] = yield from self._container(slot, here)
            else:  # a tuple of branches: it adds nothing to see
                exits[slot] = feed
            self._exits[plan.number, slot] = exits[slot]
        return _flow(plan.sinks if plan.output is None else plan.output, exits, visit.feed)

    def _node(self, slot: int, visit: Visit) -> Origins:
        plan = visit.plan
        around, function = unwrapped(plan.shapes[slot])
        around, name = visit.around.over(around), filled(plan.names[slot], ())
        leaf = function if isinstance(function, Leaf) else None
        node = DiagramNode(
            id=_path(plan.names[slot]),
            name=name,
            label=self.clusters.own(name, plan.scopes[slot]),
            kind=plan.kinds[slot] or StageKind.TRANSFORM,
            input=type_name(takes(function, self._known)),
            output=type_name(gives(function, self._known)),
            interceptors=around.interceptors,
            marks=around.marks,
            ports=tuple(str(getattr(key, "name", key)) for key in leaf.requires) if leaf else (),
            cluster=visit.cluster,
        )
        self.nodes.append(node)
        self.edges += [DiagramEdge(origin.node, node.id, origin.case) for origin in visit.feed]
        if leaf is not None and leaf.reads:
            self._readers.append((node.id, leaf))
        return (Origin(node.id),)

    def _container(self, slot: int, visit: Visit) -> Generator[Visit, Origins, Origins]:
        """Draws a stage that only contains others."""
        plan = visit.plan
        around, shape = unwrapped(plan.shapes[slot])
        around, inner, name = visit.around.over(around), plan.inner[slot], filled(plan.names[slot], ())
        own = self.clusters.own(name, plan.scopes[slot])
        if isinstance(shape, Routed) and len(inner) > 1:  # else it is wrapped, and stands inside
            cluster = self.clusters.add(name, ClusterKind.ROUTE, visit.cluster, own, around)
            return (yield from self._route(shape, inner, visit._replace(cluster=cluster)))
        body = plan.inner[slot][0]
        if isinstance(shape, Wrapped) and isinstance(shape.how, Each) and shape not in body.shapes:  # else the same
            cluster = self.clusters.add(name, ClusterKind.EACH, visit.cluster, own, around, limit=shape.how.limit)
        elif len(body.names) == 1:  # one stage in several wrappers: they are its own
            return (yield Visit(body, visit.feed, visit.cluster, around))
        else:
            if isinstance(shape, Step | Union):
                name = own = of_wires(body)
            cluster = self.clusters.add(name, ClusterKind.PIPELINE, visit.cluster, own, around)
        return (yield Visit(body, visit.feed, cluster))

    def _route(self, route: Routed, inner: tuple[Plan, ...], visit: Visit) -> Generator[Visit, Origins, Origins]:
        chosen = yield Visit(inner[0], visit.feed, visit.cluster)
        cases = [_case(case.key) for case in route.cases.all()] if route.cases else []
        given: list[Origin] = []
        for label, plan in zip([*cases, "otherwise"], inner[1:], strict=False):
            cluster = visit.cluster
            if len(plan.names) > 1:
                cluster = self.clusters.add(label, ClusterKind.CASE, visit.cluster, label)
            given += yield Visit(plan, tuple([Origin(origin.node, label) for origin in chosen]), cluster)
        return tuple(dict.fromkeys(given))

    def add_reads(self) -> None:
        """Draws what stages declare to read beside what they follow."""
        for reader, leaf in self._readers:
            for wanted in leaf.reads:
                found = self._atlas.places.get(wanted, ())
                for place in (found,) if isinstance(found, Place) else found:
                    sources = (place.source,) if isinstance(place.source, int) else place.source
                    for source in sources:
                        origins = self._exits.get((place.plan, source), ())
                        self.edges += [DiagramEdge(origin.node, reader, reads=True) for origin in origins]


def of_wires(plan: Plan) -> str:
    """What a pipeline that is wired by handles or names is called, in whatever order it was declared."""
    ends = sorted([filled(plan.names[slot], ()) for slot in plan.sinks])
    return "+".join(ends) if len(ends) <= _SHOWN else f"{'+'.join(ends[:_SHOWN])}+..."


def _flow(source: Source, exits: dict[int, Origins], feed: Origins) -> Origins:
    """Where a value comes from that stands at a source of a plan."""
    slots = (source,) if isinstance(source, int) else source
    found: list[Origin] = []
    for slot in slots:
        found += feed if slot == INPUT else exits[slot]
    return tuple(dict.fromkeys(found))


def _path(name: str) -> str:
    return name.replace(PER_ITEM, "[]")


def _case(key: object) -> str:
    return f"{type(key).__name__}.{key.name}" if isinstance(key, Enum) else repr(key)
