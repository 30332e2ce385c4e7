"""Wiring by names (a compatibility door): what a checker sees of handles is checked at build, by annotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, get_args, get_origin

from stageflow.core.stage import Shape
from stageflow.graph import problems as say
from stageflow.graph.building.annotations import UNKNOWN, Known, disjoint, gives, shown, takes
from stageflow.graph.building.layout import Tables
from stageflow.graph.building.wiring import Wiring


def checked_names(dependencies: object, stage: str) -> tuple[str, ...]:
    """The names that a stage depends on.

    Raises:
        TypeError: they are one bare string, or not strings.
    """
    if isinstance(dependencies, str):
        raise TypeError(
            f'Stage "{stage}" has the bare string {dependencies!r} as dependencies, which would be split into letters. '
            f'Write dependencies=("{dependencies}",).'
        )
    given = tuple(cast("Sequence[object]", dependencies)) if isinstance(dependencies, tuple | list) else (None,)
    names = tuple([name for name in given if isinstance(name, str)])
    if len(names) < len(given):
        raise TypeError(f'Stage "{stage}" needs dependencies as a tuple of names; it was given {dependencies!r}.')
    return names


def check_wires(tables: Tables, wiring: Wiring) -> None:
    """No stage that is wired by name takes what those it follows cannot give; unresolved annotations pass."""
    known: Known = {}
    for wire, follows in zip(wiring.wires, wiring.follows, strict=True):
        if not wire.after or not isinstance(wire.after[0], str) or None in follows:
            continue
        wanted = takes(wire.stage, known)
        if wanted is not UNKNOWN:
            followed = [wiring.wires[at].stage for at in follows if at is not None]
            _check_flow(tables, wire.stage, wanted, tuple([gives(shape, known) for shape in followed]), followed)


def _check_flow(
    tables: Tables, follower: Shape, wanted: object, given: tuple[object, ...], followed: list[Shape]
) -> None:
    if len(given) == 1:
        if disjoint(given[0], wanted):
            tables.problem(say.disjoint(follower.label, shown(wanted), followed[0].label, shown(given[0])))
        return
    parts = _parts(wanted, len(given))
    if parts is None:
        names = ", ".join(f'"{shape.label}"' for shape in followed)
        tables.problem(say.no_tuple(follower.label, shown(wanted), names, len(given)))
        return
    for part, gave, shape in zip(parts, given, followed, strict=True):
        if disjoint(gave, part):
            tables.problem(say.disjoint(follower.label, shown(part), shape.label, shown(gave)))


def _parts(wanted: object, count: int) -> tuple[object, ...] | None:
    """The types of a tuple of so many, `UNKNOWN` for each that is not told; None where it can be no such tuple."""
    if wanted is object or wanted is tuple:
        return (UNKNOWN,) * count
    if get_origin(wanted) is not tuple:
        return None if disjoint(tuple, wanted) else (UNKNOWN,) * count
    parts = get_args(wanted)
    if parts[1:] == (...,):
        return (parts[0],) * count
    return parts if len(parts) == count else None
