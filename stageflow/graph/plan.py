"""A laid-out pipeline: flat tables by stage number, made once at build and shared by every run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from stageflow.context.ports import AnyPortKey
from stageflow.core.stage import Shape, StageKind
from stageflow.graph.scheduler import Topology
from stageflow.graph.shape import Call

INPUT = -1  # in place of a stage's number: the input of the plan

Source: TypeAlias = int | tuple[int, ...]
Node: TypeAlias = tuple[Call, Source]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One level of a graph: the whole, or what is inside an ``.each``, a ``.recover`` and their like.

    Attributes:
        number: which of the graph's plans this is.
        names: of each stage, its full name, with ``%d`` where the number of an item goes.
        kinds: of each stage, what it is for; None where it only contains others.
        nodes: of each stage, its function and where its value comes from: a stage, several (a tuple), or `INPUT`.
        topology: who follows whom.
        output: the stage whose output is the plan's, `INPUT`, or None where all outputs are.
        scopes: of each stage, the naming scope it is in.
        inner: of each stage that contains others, the plans inside it.
        reads: of each stage that declares reads, what it may read.
        templated: whether the names have a place for the number of an item.
    """

    number: int
    names: tuple[str, ...]
    kinds: tuple[StageKind | None, ...]
    nodes: tuple[Node, ...]
    topology: Topology
    output: int | None
    scopes: tuple[int, ...]
    inner: Mapping[int, tuple[Plan, ...]]
    templated: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stage stands: the plan, its number there, and the naming scope."""

    plan: int
    slot: int
    scope: int


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """Where everything in a graph stands.

    Attributes:
        root: the outermost plan.
        places: where each shape stands; several where it is in several naming scopes.
        enclosing: of each plan, the plan around it and the number of the stage there; of the root, itself and -1.
        scopes: of each naming scope, the one around it; of the outermost, -1.
        items: the plans that run once per item.
        requires: the ports that stages declare, with the first stage that does.
        distance: for the check of what may be read: filled when a read that is not of a parent is first met.
    """

    root: Plan
    places: Mapping[Shape, Place | tuple[Place, ...]]
    named: Mapping[str, Place]
    enclosing: tuple[tuple[int, int], ...]
    scopes: tuple[int, ...]
    items: frozenset[int]
    requires: tuple[tuple[AnyPortKey, str], ...]
    ancestry: dict[int, Ancestry] = field(default_factory=dict[int, "Ancestry"])


class Ancestry:
    """Answers whether one stage is an ancestor of another, fast where stages form chains.

    A run of stages that each follow one stage alone, and alone follow it, is one chain: within it, order answers.
    """

    __slots__ = ("_answers", "_heads", "_parents")

    def __init__(self, topology: Topology) -> None:
        self._parents = topology.parents
        self._answers: dict[tuple[int, int], bool] = {}
        heads: list[int] = []
        for stage, follows in enumerate(topology.parents):
            alone = len(follows) == 1 and len(topology.successors[follows[0]]) == 1
            heads.append(heads[follows[0]] if alone else stage)
        self._heads = heads

    def follows(self, stage: int, ancestor: int) -> bool:
        """Whether the stage comes after the ancestor, by however many steps."""
        answer = self._answers.get((stage, ancestor))
        if answer is None:
            answer = self._answers[stage, ancestor] = self._search(stage, ancestor)
        return answer

    def _search(self, stage: int, ancestor: int) -> bool:
        heads, wanted = self._heads, self._heads[ancestor]
        seen: set[int] = set()
        unseen = [stage]
        while unseen:
            found = unseen.pop()
            head = heads[found]
            if head == wanted and found > ancestor:
                return True
            if head not in seen and head > ancestor:
                seen.add(head)
                unseen += self._parents[head]
                if ancestor in self._parents[head]:
                    return True
        return False
