"""A laid-out pipeline: flat tables by stage number, made once at build and shared by every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, final

from stageflow.context.ports import AnyPortKey
from stageflow.core.stage import Shape, StageKind
from stageflow.graph.ancestry import Ancestry
from stageflow.graph.scheduler import Topology
from stageflow.graph.shape import Call
from stageflow.graph.stepping import never_waits

INPUT = -1  # in place of a stage's number: the input of the plan

Source: TypeAlias = int | tuple[int, ...]
Node: TypeAlias = tuple[Call, Source]
Telling: TypeAlias = tuple[str, str, str, StageKind]  # the events' types, started and completed; name and kind


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One level of a graph: the whole, or what is inside an ``.each``, a route and their like.

    Attributes:
        number: which of the graph's plans this is.
        names: of each stage, its full name, with a mark where the number of an item goes.
        kinds: of each stage, what it is for; None where it only contains others.
        nodes: of each stage, its function and where its value comes from: a stage, several (a tuple), or `INPUT`.
        cores: what `inside` calls, for stages whose function wraps something else than a function of the user's.
        topology: who follows whom.
        output: where the plan's output comes from, or None where all outputs are.
        sinks: the stages that nothing follows.
        scopes: of each stage, the naming scope it is in.
        inner: of each stage that contains others, the plans inside it.
        shapes: of each stage, what it is made of: its function, or that in its wrappers.
        templated: whether the names have a place for the number of an item.
        bodies: of each stage, the shape whose call its node or core is; None where it only contains others.
    """

    number: int
    names: tuple[str, ...]
    kinds: tuple[StageKind | None, ...]
    nodes: tuple[Node, ...]
    cores: Mapping[int, Call]
    topology: Topology
    output: Source | None
    sinks: tuple[int, ...]
    scopes: tuple[int, ...]
    inner: Mapping[int, tuple[Plan, ...]]
    shapes: tuple[Shape, ...]
    templated: bool
    bodies: tuple[Shape | None, ...] = ()
    _told: list[Telling | None] = field(default_factory=list["Telling | None"])
    _waits: list[bool] = field(default_factory=list[bool])

    @property
    def told(self) -> Sequence[Telling | None]:
        """What is told of each stage's first attempt; made once, where a sink asks."""
        if not self._told:
            for name, kind in zip(self.names, self.kinds, strict=True):
                types = (f"stage.{name}.started", f"stage.{name}.completed")
                self._told.append(None if kind is None else (*types, name, kind))
        return self._told

    @property
    def waits(self) -> Sequence[bool]:
        """Whether each stage may wait for something; made once, where a run asks."""
        if not self._waits:
            self._waits.extend([not never_waits(call) for call, _ in self.nodes])
        return self._waits


@final
class Place:
    """Where the output of a shape stands; made for every stage of every graph, and so a plain class.

    Attributes:
        plan: the number of the plan.
        source: the stage there, several, or its `INPUT`.
        scope: the naming scope.
        inside: whether it is the output from inside the stage's wrappers that is meant.
    """

    __slots__ = ("inside", "plan", "scope", "source")

    def __init__(self, plan: int, source: Source, scope: int, *, inside: bool = False) -> None:
        self.plan: int = plan
        self.source: Source = source
        self.scope: int = scope
        self.inside: bool = inside


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """Where everything in a graph stands.

    Attributes:
        root: the outermost plan.
        places: where each shape stands; several where it is in several naming scopes.
        named: the same by name.
        enclosing: of each plan, the plan around it and the number of the stage there; of the root, itself and -1.
        scopes: of each naming scope, the one around it; of the outermost, -1.
        scope_names: of each naming scope, the name that it stands under.
        plans: every plan, by number.
        hiding: the plans in which a stage may have no output although the stage around them is OK.
        requires: the ports that stages declare, with the first stage that does.
        absorbs: whether any failure is made a value or handled inside the graph.
        ancestry: by plan, for the check of what may be read: filled when it is first asked.
    """

    root: Plan
    places: Mapping[Shape, Place | tuple[Place, ...]]
    named: Mapping[str, Place]
    enclosing: tuple[tuple[int, int], ...]
    scopes: tuple[int, ...]
    scope_names: tuple[str, ...]
    plans: tuple[Plan, ...]
    hiding: frozenset[int]
    requires: tuple[tuple[AnyPortKey, str], ...]
    absorbs: bool
    ancestry: dict[int, Ancestry] = field(default_factory=dict[int, Ancestry])

    def follows(self, plan: int, stage: int, ancestor: int) -> bool:
        """Whether a stage of a plan comes after another, by however many steps."""
        topology = self.plans[plan].topology
        if ancestor == INPUT or ancestor in topology.parents[stage]:
            return True
        if plan not in self.ancestry:
            self.ancestry[plan] = Ancestry(topology)
        return self.ancestry[plan].follows(stage, ancestor)

    def path(self, place: Place) -> dict[int, int]:
        """Of each plan around a place, the number there of the stage that leads to it."""
        path: dict[int, int] = {}
        plan = place.plan
        while plan:
            plan, slot = self.enclosing[plan]
            path[plan] = slot
        return path
