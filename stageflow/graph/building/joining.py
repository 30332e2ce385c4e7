"""Visits of stages that are wired by handle or name, and where what they follow stands."""

from __future__ import annotations

from stageflow.core.stage import Shape
from stageflow.graph import problems as say
from stageflow.graph.building.by_name import check_wires
from stageflow.graph.building.layout import Tables
from stageflow.graph.building.visiting import Visit, Visiting, declare, one_stage
from stageflow.graph.building.wiring import Wiring
from stageflow.graph.plan import INPUT, Place, Source
from stageflow.graph.resolving import resolved
from stageflow.graph.shape import Leaf, Named


def lay_wired(tables: Tables, visit: Visit) -> Visiting:
    """Lays out stages in an order in which they can run, each on what it follows."""
    wiring = Wiring.of(visit.shape)
    for problem in wiring.problems:
        tables.problem(problem)
    at: dict[int, Source | None] = {}
    plain = not visit.swaps
    for number in wiring.order:
        wire = wiring.wires[number]
        stage, source = wire.stage, visit.source
        if wire.after:
            flows = [
                _inner(tables, after, stage, visit) if followed is None else at.get(followed, INPUT)
                for followed, after in zip(wiring.follows[number], wire.after, strict=True)
            ]
            single = flows[0] if wire.single else None
            source = tuple([one_stage(flow, stage, visit) for flow in flows]) if single is None else single
        leaf = stage.inner if type(stage) is Named and stage.keeps else stage
        if type(leaf) is Leaf and plain:
            at[number] = _wired_leaf(tables, leaf, stage, source, visit)
        else:
            at[number] = yield visit.to(stage)._replace(source=source)
    check_wires(tables, wiring)
    return None


def _wired_leaf(tables: Tables, leaf: Leaf, stage: Shape, source: Source, visit: Visit) -> int:
    """Lays out a function that is wired by name or handle, of which there may be very many."""
    level, naming = visit.level, visit.naming
    own, kind = (stage.name, stage.kind or leaf.kind) if isinstance(stage, Named) else (leaf.name, leaf.kind)
    if not own or own.isspace():
        tables.problem(say.blank_name(own))
    name = f"{naming.prefix}{own}{naming.items}" if naming.prefix or naming.items else own
    slot = level.add(name, kind, leaf.call, source, naming.scope, leaf)
    place = Place(level.number, slot, naming.scope)
    tables.put(leaf, place)
    if stage is not leaf:
        tables.put(stage, place)
    declare(tables, leaf, level, slot, place)
    return slot


def _inner(tables: Tables, handle: Shape | str, follower: Shape, visit: Visit) -> Source:
    """Where a stage stands that is followed although it is inside another."""
    if isinstance(handle, str):
        place = tables.named.get(visit.naming.prefix + handle)
        place = place if place and place.plan == visit.level.number else None
    else:
        place = standing(tables, handle, visit)
    if place is not None:
        return place.source
    label = handle if isinstance(handle, str) else handle.label
    tables.problem(say.unknown(follower.label, label, tables.known_names()))
    return INPUT


def standing(tables: Tables, shape: Shape, visit: Visit) -> Place | None:
    """Where a shape stands in the same plan and naming scope."""
    known = tables.returned.get((shape, visit.naming.scope))  # else those in one another are walked again
    found = known or resolved(shape, tables.places)
    if found is not None and found.scope != visit.naming.scope:
        handle = next((handle for handle, place in tables.places.items() if place is found), shape)
        found = tables.several.get(handle, {}).get(visit.naming.scope)
    return found if found and found.plan == visit.level.number and not found.inside else None
