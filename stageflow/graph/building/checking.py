"""The checks of a laid-out pipeline that need more than one stage: names, reads and the cases of routes."""

from __future__ import annotations

import re
from typing import Final

from stageflow.graph import problems as say
from stageflow.graph.building.annotations import UNKNOWN, cases, gives, shown
from stageflow.graph.building.layout import Tables
from stageflow.graph.names import PER_ITEM, filled
from stageflow.graph.plan import Atlas, Place
from stageflow.graph.resolving import resolved
from stageflow.graph.shape import Case, Routed

_NUMBER: Final = re.compile(r"\[\d+\]")


def check_items(tables: Tables) -> None:
    """No stage is called what an item of an ``.each`` may be called, such as ``fetch[3]``."""
    for name in tables.named:
        if "[" in name and (of_item := _NUMBER.sub(PER_ITEM, name)) != name and of_item in tables.named:
            tables.problem(say.name_of_an_item(filled(name, ())))


def check_reads(tables: Tables, atlas: Atlas) -> None:
    """Every read that a stage declares is of a stage that it follows, and whose output cannot be missing."""
    for leaf, level, slot in tables.readers:
        reader = filled(level.names[slot], ())
        for wanted in leaf.reads:
            places = resolved(wanted, atlas.places)
            if places is None:
                tables.problem(say.impossible_read(reader, wanted.label, known=False))
                continue
            found = [_reach(atlas, place, level.number, slot) for place in _several(places)]
            if "absorbed" in found:
                tables.problem(say.absorbed_read(reader, wanted.label))
            elif "open" not in found:
                tables.problem(say.impossible_read(reader, wanted.label, known=True))


def _several(places: Place | tuple[Place, ...]) -> tuple[Place, ...]:
    return places if isinstance(places, tuple) else (places,)


def _reach(atlas: Atlas, place: Place, plan: int, slot: int) -> str:
    """Whether a stage can read what stands at a place: ``open``, ``absorbed`` or ``apart``."""
    path = atlas.path(place)
    while plan != place.plan and plan not in path:
        if not plan:
            return "apart"
        plan, slot = atlas.enclosing[plan]
    sources = place.source if isinstance(place.source, tuple) else (place.source,)
    targets = (path[plan],) if plan in path else sources
    if not all(atlas.follows(plan, slot, target) for target in targets):
        return "apart"
    inside = place.plan
    hidden = place.inside
    while inside != plan:
        hidden = hidden or inside in atlas.hiding
        inside, _ = atlas.enclosing[inside]
    return "absorbed" if hidden else "open"


def check_cases(tables: Tables, route: Routed, given: tuple[Case, ...]) -> None:
    """A route has a case, none twice, none that its selector never gives, and all where it is to be exhaustive."""
    label = route.label
    if not given:
        tables.problem(say.no_case(label))
    keys: list[object] = []
    for case in given:
        if case.key in keys:
            tables.problem(say.case_twice(label, case.key))
        keys.append(case.key)
    type_given = gives(route.selector, {})
    known = cases(type_given)
    if not known:
        if route.otherwise is None:
            tables.problem(say.unknown_cases(label, None if type_given is UNKNOWN else shown(type_given)))
        return
    for key in keys:
        if key not in known:
            tables.problem(say.foreign_case(label, key, known))
    missing = [key for key in known if key not in keys]
    if missing and route.otherwise is None and given:
        tables.problem(say.missing_cases(label, missing))
