"""Laying a pipeline out as a graph: flat tables, checked, with every problem found at once.

The walk keeps its own stack (each visit is a generator that yields what to visit next), so depth costs no recursion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heapify, heappop, heappush
from types import MappingProxyType
from typing import TypeAlias

from stageflow.context.ports import AnyPortKey
from stageflow.core.stage import Shape, StageKind
from stageflow.graph import problems as say
from stageflow.graph.annotations import UNKNOWN, cases, disjoint, gives, shown, takes
from stageflow.graph.names import PER_ITEM, filled
from stageflow.graph.plan import INPUT, Ancestry, Atlas, Node, Place, Plan
from stageflow.graph.pool import within
from stageflow.graph.resolving import resolved
from stageflow.graph.scheduler import Topology
from stageflow.graph.scopes import each, joined, routed, wrapped
from stageflow.graph.shape import (
    Both,
    Call,
    Each,
    Identity,
    Join,
    Leaf,
    Named,
    Replaced,
    Returning,
    Routed,
    Source,
    Step,
    Then,
    Union,
    Using,
    When,
    Wrapped,
    Wrapper,
)
from stageflow.graph.stepping import in_own_task

Flow: TypeAlias = int | tuple[int, ...]
Visit: TypeAlias = Iterator[Shape]
Made: TypeAlias = Callable[[tuple[Plan, ...]], Call]
DEEP = 24  # so many composites inside one another share a stack; the next gets its own


@dataclass(slots=True)
class _Naming:
    """How what is visited is called."""

    prefix: str = ""
    pending: str = ""
    rename: str | None = None
    kind: StageKind | None = None
    scope: int = 0


@dataclass(slots=True)
class _Level:
    """One plan as it is laid out."""

    number: int
    root: Shape
    naming: _Naming
    swaps: Mapping[Shape, Shape]
    depth: int
    output: int | None = None
    names: list[str] = field(default_factory=list[str])
    kinds: list[StageKind | None] = field(default_factory=list["StageKind | None"])
    made: list[Call | Made] = field(default_factory=list["Call | Made"])
    flows: list[Flow] = field(default_factory=list[Flow])
    scopes: list[int] = field(default_factory=list[int])
    inner: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    at: dict[Shape, Flow] = field(default_factory=dict[Shape, Flow])
