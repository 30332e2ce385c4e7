"""The tables of a graph while it is laid out: levels, places and names, and the problems found on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from stageflow.context.ports import AnyPortKey
from stageflow.core.stage import Shape, StageKind
from stageflow.graph import problems as say
from stageflow.graph.names import PER_ITEM, filled
from stageflow.graph.plan import INPUT, Node, Place, Plan, Source
from stageflow.graph.scheduler import Topology
from stageflow.graph.shape import Call, Leaf


@dataclass(frozen=True, slots=True)
class Naming:
    """How what is visited is called.

    Attributes:
        prefix: the names of the pipelines around it, dotted.
        items: a mark for each ``.each`` since the last name, for the number of an item.
        rename: the name to take instead of its own.
        kind: the kind to have instead of its own.
        scope: the naming scope.
        keeps: whether handles of what is inside stay good.
    """

    prefix: str = ""
    items: str = ""
    rename: str | None = None
    kind: StageKind | None = None
    scope: int = 0
    keeps: bool = True

    def full(self, own: str) -> str:
        """The name of what calls itself so."""
        return f"{self.prefix}{self.rename or own}{self.items}"

    def per_item(self) -> Naming:
        """How what runs once per item is called."""
        return replace(self, items=self.items + PER_ITEM)


Swaps: TypeAlias = Mapping[Shape, Shape]


@dataclass(slots=True)
class Level:
    """One plan as it is laid out.

    Attributes:
        above: the level around it.
        depth: how many levels are around it.
    """

    number: int
    above: Level | None
    depth: int
    names: list[str] = field(default_factory=list[str])
    kinds: list[StageKind | None] = field(default_factory=list["StageKind | None"])
    nodes: list[Node] = field(default_factory=list[Node])
    cores: dict[int, Call] = field(default_factory=dict[int, Call])
    shapes: list[Shape] = field(default_factory=list[Shape])
    parents: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])
    scopes: list[int] = field(default_factory=list[int])
    inner: dict[int, tuple[Plan, ...]] = field(default_factory=dict[int, tuple[Plan, ...]])
    composites: set[str] = field(default_factory=set[str])
    templated: bool = False
    bodies: list[Shape | None] = field(default_factory=list["Shape | None"])

    def add(
        self,
        name: str,
        kind: StageKind | None,
        call: Call,
        source: Source,
        scope: int,
        shape: Shape,
        body: Shape | None = None,
    ) -> int:
        """Adds a stage, and gives its number."""
        slot = len(self.names)
        self.names.append(name)
        self.kinds.append(kind)
        self.nodes.append((call, source))
        self.scopes.append(scope)
        self.shapes.append(shape)
        self.bodies.append(body)
        if isinstance(source, int):
            self.parents.append((source,) if source >= 0 else ())
        elif INPUT in source or len(set(source)) < len(source):
            self.parents.append(tuple(dict.fromkeys([parent for parent in source if parent >= 0])))
        else:
            self.parents.append(source)
        return slot


class Tables:
    """What is gathered about the whole graph while it is laid out."""

    def __init__(self) -> None:
        self.problems: dict[str, None] = {}  # in the order in which they were found
        self.places: dict[Shape, Place] = {}
        self.several: dict[Shape, dict[int, Place]] = {}  # by naming scope, where there is more than one
        self.named: dict[str, Place] = {}
        self.returned: dict[tuple[Shape, int], Place] = {}  # of what returns one of its stages, by naming scope
        self.enclosing: list[tuple[int, int]] = [(0, -1)]
        self.scopes: list[int] = [-1]
        self.scope_names: list[str] = [""]
        self.requires: dict[AnyPortKey, str] = {}
        self.readers: list[tuple[Leaf, Level, int]] = []
        self.absorbs = False
        self.plans: dict[int, Plan] = {}
        self.hiding: set[int] = set()
        self.swapped: set[Shape] = set()

    def level(self, above: Level | None, *, templated: bool = False) -> Level:
        """A new level inside another."""
        if above is None:
            return Level(0, None, 0)
        self.enclosing.append((above.number, -1))
        return Level(len(self.enclosing) - 1, above, above.depth + 1, templated=templated or above.templated)

    def finish(self, level: Level, output: Source | None) -> Plan:
        """The plan that a level has become."""
        topology = Topology.of(level.parents)
        plan = Plan(
            number=level.number,
            names=tuple(level.names),
            kinds=tuple(level.kinds),
            nodes=tuple(level.nodes),
            cores=level.cores,
            topology=topology,
            output=output,
            sinks=tuple([slot for slot, followers in enumerate(topology.successors) if not followers]),
            scopes=tuple(level.scopes),
            inner=level.inner,
            shapes=tuple(level.shapes),
            templated=level.templated,
            bodies=tuple(level.bodies),
        )
        self.plans[level.number] = plan
        return plan

    def scope(self, around: int, name: str) -> int:
        """A new naming scope inside another."""
        self.scopes.append(around)
        self.scope_names.append(name)
        return len(self.scopes) - 1

    def put(self, shape: Shape, place: Place) -> None:
        """Says where a shape's output stands."""
        found = self.places.get(shape)
        if found is None:
            self.places[shape] = place
            return
        several = self.several.setdefault(shape, {found.scope: found})
        if place.scope in several:
            self.problem(say.duplicate_handle(shape.label))
        else:
            several[place.scope] = place

    def all_places(self) -> Mapping[Shape, Place | tuple[Place, ...]]:
        """Where each shape stands; several where it is in several naming scopes."""
        return {**self.places, **{shape: tuple(scopes.values()) for shape, scopes in self.several.items()}}

    def name(self, name: str, place: Place) -> None:
        """Gives a stage its name, which no other may have."""
        if name in self.named:
            self.problem(say.duplicate_name(filled(name, ())))
        self.named[name] = place

    def known_names(self) -> list[str]:
        """The names of stages so far, for a hint at what was meant."""
        return [filled(name, ()) for name in self.named]

    def problem(self, text: str) -> None:
        """Notes what is wrong, once."""
        self.problems[text] = None
