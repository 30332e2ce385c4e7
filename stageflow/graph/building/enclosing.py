"""Visits of what encloses stages: wrappers and names, items, and the cases of a route."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from stageflow.core.stage import Shape
from stageflow.graph.building.checking import check_cases
from stageflow.graph.building.layout import Swaps, Tables
from stageflow.graph.building.visiting import (
    Visit,
    Visiting,
    lay_container,
    lay_function,
    lay_inside,
    place_of,
    under,
    without,
)
from stageflow.graph.execution.composites import each, routed
from stageflow.graph.execution.pool import within
from stageflow.graph.plan import Place, Plan
from stageflow.graph.shape import Leaf, Named, Routed
from stageflow.graph.wrapping import Absorber, Each, Wrapped, inside


def lay_stack(tables: Tables, visit: Visit) -> Visiting:
    """A stage in wrappers: one place in the plan, and a plan of its own for what is not a single function."""
    swaps, naming, shape = visit.swaps, visit.naming, visit.shape
    handles: list[tuple[Shape, bool]] = []
    layers: list[Wrapped] = []
    while isinstance(shape, Wrapped | Named) and shape not in swaps:
        handles.append((shape, naming.keeps))
        if isinstance(shape, Named):
            naming = under(shape, naming)
        else:
            layers.append(shape)
            if isinstance(shape.how, Absorber | Each):
                shape = shape.inner
                break
        shape = shape.inner
    inner = visit.to(shape)._replace(naming=naming)
    source = yield from _layers(tables, layers, inner)
    if source is not None:
        for handle, keeps in handles:
            if keeps:
                tables.put(handle, place_of(visit, source))
    return source


def _layers(tables: Tables, layers: list[Wrapped], visit: Visit) -> Visiting:
    if not layers:  # names alone
        return (yield visit)
    shape, how = visit.shape, layers[-1].how
    if isinstance(how, Each):
        return (yield from _each(tables, layers, how.limit, visit))
    if isinstance(how, Absorber):
        return (yield from _absorbing(tables, layers, visit))
    if shape in visit.swaps:
        return (yield from _rewrapped(tables, layers, visit))
    if isinstance(shape, Leaf):
        return lay_function(tables, shape, layers[0], visit, layers[0])
    plan = yield from lay_inside(tables, visit, visit.naming)
    return lay_container(tables, visit, layers[0], layers[0].call, within(plan), (plan,))


def _rewrapped(tables: Tables, layers: list[Wrapped], visit: Visit) -> Visiting:
    """Wrappers around a stage that gives way to another: they go around that one."""
    old = visit.shape
    tables.swapped.add(old)
    stub: Shape = Named(visit.swaps[old], old.label)
    for layer in reversed(layers):
        stub = Wrapped.of(stub, layer.how)
    naming = replace(visit.naming, keeps=False)
    source = yield visit.to(stub)._replace(naming=naming, swaps=without(visit.swaps, old))
    if source is not None and visit.naming.keeps:
        tables.put(old, place_of(visit, source))
    return source


def _absorbing(tables: Tables, layers: list[Wrapped], visit: Visit) -> Visiting:
    """Wrappers that hide how what is inside went."""
    level, naming = visit.level, visit.naming
    tables.absorbs = True
    core = _function(visit.shape, visit.swaps)
    if core is None:
        plan = yield from lay_inside(tables, visit, naming)
        tables.hiding.add(plan.number)
        return lay_container(tables, visit, layers[0], layers[0].call, within(plan), (plan,))
    kept: list[Shape] = []
    for named in core.handles:
        kept += [named] if naming.keeps else []
        naming = under(named, naming) if isinstance(named, Named) else naming
    slot = lay_function(tables, core.leaf, core.body, visit._replace(naming=naming), layers[0], call=layers[0].call)
    level.cores[slot] = core.body.call
    for shape in kept:
        tables.put(shape, Place(level.number, slot, naming.scope, inside=True))
    return slot


def _each(tables: Tables, layers: list[Wrapped], limit: int | None, visit: Visit) -> Visiting:
    plan = yield from lay_inside(tables, visit, visit.naming.per_item(), per_item=True)
    tables.hiding.add(plan.number)
    slot = lay_container(tables, visit, layers[0], layers[0].call, each(plan, limit), (plan,))
    tables.named.setdefault(visit.level.names[slot], place_of(visit, slot))
    return slot


def lay_route(tables: Tables, route: Routed, visit: Visit) -> Visiting:
    """Lays out a route: what selects, and each case, in plans of their own."""
    cases = route.cases.all() if route.cases else ()
    check_cases(tables, route, cases)
    selector = yield from lay_inside(tables, visit.to(route.selector), visit.naming)
    table: dict[object, Plan] = {}
    for case in cases:
        table[case.key] = yield from lay_inside(tables, visit.to(case.stage), visit.naming)
    others: tuple[Plan, ...] = ()
    if route.otherwise is not None:
        others = ((yield from lay_inside(tables, visit.to(route.otherwise), visit.naming)),)
    tables.hiding.update(plan.number for plan in (*table.values(), *others))
    core = routed(route.label, selector, table, others[0] if others else None)
    slot = lay_container(tables, visit, route, inside, core, (selector, *table.values(), *others))
    tables.put(route, place_of(visit, slot))
    return slot


class _Function(NamedTuple):
    leaf: Leaf
    body: Leaf | Wrapped
    handles: tuple[Wrapped | Named, ...]


def _function(shape: Shape, swaps: Swaps) -> _Function | None:
    """The function that a shape is, under names and in wrappers that hide nothing, with its handles; or None."""
    handles: list[Wrapped | Named] = []
    inner = shape
    while not isinstance(inner, Leaf):
        hides = isinstance(inner, Wrapped) and isinstance(inner.how, Absorber | Each)
        if inner in swaps or hides or not isinstance(inner, Wrapped | Named):
            return None
        handles.append(inner)
        inner = inner.inner
    if inner in swaps:
        return None
    wrappers = [handle for handle in handles if isinstance(handle, Wrapped)]
    return _Function(inner, wrappers[0] if wrappers else inner, tuple(handles))
