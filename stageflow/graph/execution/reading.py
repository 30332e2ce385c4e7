"""Reading what stages gave: by the run's own stages, and from outside by reports."""

from __future__ import annotations

from stageflow.core.stage import Shape, StageStatus
from stageflow.errors import UndeclaredDependencyError
from stageflow.graph import problems as say
from stageflow.graph.execution.ledger import Ledger
from stageflow.graph.names import filled
from stageflow.graph.plan import Atlas, Place, Source
from stageflow.graph.resolving import resolved


def read(ledger: Ledger, slot: int, wanted: Shape | str) -> object:
    """The output of an ancestor of a stage.

    Raises:
        UndeclaredDependencyError: it is not an ancestor, or has no output to read.
    """
    reader, label = ledger.name(slot), _label(wanted)
    atlas = ledger.run.atlas
    place = _place(ledger, slot, wanted)
    if place is None:
        ambiguous = not isinstance(wanted, str) and resolved(wanted, atlas.places) is not None
        raise UndeclaredDependencyError(
            say.read_of_many(reader, label) if ambiguous else say.read_of_none(reader, label, _known(atlas))
        )
    path = atlas.path(place)
    at, number = ledger, slot
    while at.above is not None and (
        (at.plan.number != place.plan and at.plan.number not in path) or (at.each and not at.whole_items)
    ):
        at, number = at.above, at.slot
    target: Source = path.get(at.plan.number, place.source)
    if at.each or not _may_read(at, number, target):
        raise UndeclaredDependencyError(say.read_of_no_ancestor(reader, label))
    return _descend(at, place, path, reader, label)


def look(ledger: Ledger, wanted: Shape | str) -> object:
    """The output of any stage of this execution, from outside.

    Raises:
        KeyError: there is no such stage, or it gave no output.
    """
    place, label = _place(ledger, None, wanted), _label(wanted)
    if place is None:
        raise KeyError(say.look_at_none(label, _known(ledger.run.atlas)))
    try:
        return _descend(ledger, place, ledger.run.atlas.path(place), "", label)
    except UndeclaredDependencyError:
        raise KeyError(say.look_at_absent(label)) from None


def _place(ledger: Ledger, slot: int | None, wanted: Shape | str) -> Place | None:
    atlas = ledger.run.atlas
    found = atlas.named.get(wanted) if isinstance(wanted, str) else resolved(wanted, atlas.places)
    if not isinstance(found, tuple):
        return found
    scope = 0 if slot is None else ledger.plan.scopes[0 if ledger.each else slot]
    while scope >= 0:
        for place in found:
            if place.scope == scope:
                return place
        scope = atlas.scopes[scope]
    return None


def _may_read(ledger: Ledger, reader: int, target: Source) -> bool:
    plan, atlas = ledger.plan, ledger.run.atlas
    targets = (target,) if isinstance(target, int) else target
    return all(atlas.follows(plan.number, reader, one) for one in targets)


def _descend(ledger: Ledger, place: Place, path: dict[int, int], reader: str, label: str) -> object:
    while ledger.plan.number != place.plan:
        slot = path[ledger.plan.number]
        inside = [
            child
            for (at, plan), child in ledger.children.items()
            if at == slot and (plan.number in path or plan.number == place.plan)
        ]
        if not inside or inside[0].each:
            raise UndeclaredDependencyError(say.read_of_absent(reader, label, per_item=bool(inside)))
        ledger = inside[0]
    if ledger.each:
        raise UndeclaredDependencyError(say.read_of_absent(reader, label, per_item=True))
    if isinstance(place.source, tuple):
        return tuple(_value(ledger, source, place, reader, label) for source in place.source)
    return _value(ledger, place.source, place, reader, label)


def _value(ledger: Ledger, slot: int, place: Place, reader: str, label: str) -> object:
    if slot >= 0:
        if place.inside and slot in ledger.inside:
            return ledger.inside[slot]
        if place.inside or ledger.states[slot] is not StageStatus.OK:
            raise UndeclaredDependencyError(say.read_of_absent(reader, label, per_item=False))
    return ledger.values[slot]


def _known(atlas: Atlas) -> list[str]:
    return [filled(name, ()) for name in atlas.named]


def _label(wanted: Shape | str) -> str:
    return wanted if isinstance(wanted, str) else wanted.label
