"""Visits: what is to be laid out next, and what every kind of visit puts into the tables."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from stageflow.core.stage import Shape
from stageflow.graph import problems as say
from stageflow.graph.building.layout import Level, Naming, Swaps, Tables
from stageflow.graph.execution.composites import together
from stageflow.graph.names import filled
from stageflow.graph.plan import INPUT, Place, Plan, Source
from stageflow.graph.shape import Call, Leaf, Named
from stageflow.graph.stepping import DEEP, in_own_task
from stageflow.graph.wrapping import Wrapped


class Visit(NamedTuple):
    """What is to be laid out, where, and on which input.

    Attributes:
        open: whether all outputs may be the plan's, so that a wired pipeline needs no plan of its own.
    """

    shape: Shape
    level: Level
    source: Source
    naming: Naming
    swaps: Swaps
    open: bool = False

    def to(self, shape: Shape) -> Visit:
        """The visit of a part."""
        return self._replace(shape=shape, open=False)


Visiting: TypeAlias = Generator[Visit, "Source | None", "Source | None"]
NO_SWAPS: Swaps = MappingProxyType({})


def place_of(visit: Visit, source: Source) -> Place:
    """The place of what a visit has laid out."""
    return Place(visit.level.number, source, visit.naming.scope)


def lay_function(
    tables: Tables, leaf: Leaf, body: Leaf | Wrapped, visit: Visit, outer: Shape, *, call: Call | None = None
) -> int:
    """Lays out one function of the application: in wrappers that hide nothing the body, in a call that hides it."""
    naming, level = visit.naming, visit.level
    own = leaf.name if naming.rename is None else naming.rename
    if not own.strip():
        tables.problem(say.blank_name(own))
    kind, full = naming.kind or leaf.kind, naming.full(own)
    slot = level.add(full, kind, call or body.call, visit.source, naming.scope, outer, body)
    place = Place(level.number, slot, naming.scope)
    if naming.keeps:
        tables.put(leaf, Place(level.number, slot, naming.scope, inside=True) if call else place)
    declare(tables, leaf, level, slot, place)
    return slot


def declare(tables: Tables, leaf: Leaf, level: Level, slot: int, place: Place) -> None:
    """Notes what the function goes by, requires and reads."""
    name = level.names[slot]
    tables.name(name, place)
    for key in leaf.requires:
        tables.requires.setdefault(key, filled(name, ()))
    if leaf.reads:
        tables.readers.append((leaf, level, slot))


def one_stage(flow: Source | None, branch: Shape, visit: Visit) -> int:
    """One stage for what a branch gives, which may be several."""
    if type(flow) is int:
        return flow
    sources: Source = INPUT if flow is None else flow
    return visit.level.add(visit.naming.full(branch.label), None, together, sources, visit.naming.scope, branch)


def lay_inside(
    tables: Tables, visit: Visit, naming: Naming, *, per_item: bool = False
) -> Generator[Visit, Source | None, Plan]:
    """A plan of its own."""
    level = tables.level(visit.level, templated=per_item)
    output = yield visit._replace(level=level, source=INPUT, naming=naming, open=True)
    return tables.finish(level, output)


def lay_container(tables: Tables, visit: Visit, outer: Shape, call: Call, core: Call, plans: tuple[Plan, ...]) -> int:
    """A stage that only contains others."""
    level, naming = visit.level, visit.naming
    name = naming.full(visit.shape.label)
    if name in level.composites:
        tables.problem(say.duplicate_composite(filled(name, ())))
    level.composites.add(name)
    slot = level.add(name, None, call, visit.source, naming.scope, outer)
    level.cores[slot] = in_own_task(core) if level.depth % DEEP == DEEP - 1 else core
    level.inner[slot] = plans
    for plan in plans:
        tables.enclosing[plan.number] = (level.number, slot)
    return slot


def under(named: Named, naming: Naming) -> Naming:
    """How what has a name of its own is called: by the outermost."""
    rename = named.name if naming.rename is None else naming.rename
    return replace(naming, rename=rename, kind=naming.kind or named.kind, keeps=naming.keeps and named.keeps)


def without(swaps: Swaps, shape: Shape) -> Swaps:
    """The stand-ins, but the one for this shape."""
    return {old: new for old, new in swaps.items() if old is not shape}
