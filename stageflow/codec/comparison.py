"""Whether what came back is what was encoded: equal, and of the same types all the way down."""

from __future__ import annotations

import datetime as dt
import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from types import MappingProxyType
from typing import Final, TypeAlias, cast
from uuid import UUID

from returns.result import Failure, Success

from stageflow.codec.failures import notes_of, values_of
from stageflow.codec.hooks import AnyTypeHook
from stageflow.codec.plan import Misfit, brief, named
from stageflow.codec.slots import slots
from stageflow.codec.unions import inner_value
from stageflow.errors import StageError

_PLAIN: Final[frozenset[type]] = frozenset({int, str, bool, bytes, type(None), UUID, dt.date, dt.timedelta})
_FAST: Final = _PLAIN | {float}
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compares by type and by what is inside, never by an ``__eq__`` that may look at less.

    Attributes:
        hooks: the types of the application's own, which say themselves what is equal.
    """

    hooks: Mapping[object, AnyTypeHook]

    def check(self, was: object, came: object) -> None:
        """Nothing, where the two are the same. Raises `Misfit`, with the path of the first difference."""
        of = type(was)
        if of in _PLAIN and of is type(came):
            if was != came:
                raise _differs(was, came)
        elif of in self.hooks:
            if not self.hooks[of].same(was, came):
                raise _unequal(was, came)
        elif of is type(came):
            _way(cast("Hashable", of))(self, was, came)
        elif of is not int or type(came) is not float or was != came:  # an int is a float wherever one is declared
            raise _differs(was, came)

    def at(self, step: str, was: object, came: object) -> None:
        """The same of what is inside."""
        try:
            self.check(was, came)
        except Misfit as inner:
            raise inner.under(step) from inner

    def each(self, steps: Iterable[str], was: tuple[object, ...], came: tuple[object, ...]) -> None:
        """The same of several; of plain ones at once, since most are."""
        kinds = [*map(type, was)]
        if _FAST.issuperset(kinds) and was == came and kinds == [*map(type, came)]:
            return
        for step, ours, theirs in zip(steps, was, came, strict=False):
            self.at(step, ours, theirs)


Way: TypeAlias = Callable[[Comparison, object, object], None]


@lru_cache(maxsize=1024)
def _way(of: Hashable) -> Way:
    """How two values of a class are compared."""
    kind = cast("type[object]", of)
    found = slots(kind)
    if found is not None and not issubclass(kind, StageError):
        return _fields(tuple(slot.name for slot in found))
    return next((way for base, way in _WAYS.items() if issubclass(kind, base)), _equal)


def _fields(names: tuple[str, ...]) -> Way:
    steps = tuple(f".{name}" for name in names)

    def compare(by: Comparison, was: object, came: object) -> None:
        by.each(steps, _held(was, names), _held(came, names))

    return compare


def _held(of: object, names: tuple[str, ...]) -> tuple[object, ...]:
    return tuple(map(getattr, repeat(of), names, repeat(_MISSING)))


def _equal(_: Comparison, was: object, came: object) -> None:
    if was != came:
        raise _differs(was, came)


def _number(_: Comparison, was: object, came: object) -> None:
    if was != came and not (math.isnan(cast("float", was)) and math.isnan(cast("float", came))):
        raise _differs(was, came)


def _decimal(_: Comparison, was: object, came: object) -> None:
    if cast("Decimal", was).as_tuple() != cast("Decimal", came).as_tuple():
        raise _differs(was, came)


def _moment(_: Comparison, was: object, came: object) -> None:
    if _on_the_clock(was) != _on_the_clock(came):
        raise _differs(was, came)


def _on_the_clock(of: object) -> tuple[object, ...]:
    """What a clock shows, and its offset: moments of different zones are never equal while a clock goes back."""
    moment = cast("dt.datetime | dt.time", of)
    return (moment.replace(tzinfo=None, fold=0), moment.utcoffset(), moment.fold if moment.tzinfo is None else 0)


def _in_order(by: Comparison, was: object, came: object) -> None:
    ours, theirs = tuple(cast("Iterable[object]", was)), tuple(cast("Iterable[object]", came))
    if len(ours) != len(theirs):
        raise _differs(was, came)
    by.each((f"[{at}]" for at in range(len(ours))), ours, theirs)


def _mappings(by: Comparison, was: object, came: object) -> None:
    ours, theirs = cast("Mapping[object, object]", was), cast("Mapping[object, object]", came)
    _sets(by, ours.keys(), theirs.keys())
    by.each((f"[{key!r}]" for key in ours), tuple(ours.values()), tuple(theirs[key] for key in ours))


def _sets(by: Comparison, was: object, came: object) -> None:
    ours = cast("AbstractSet[object]", was)
    theirs = {each: each for each in cast("AbstractSet[object]", came)}
    if len(ours) != len(theirs):
        raise _differs(was, came)
    for each in ours:
        if each not in theirs:
            raise Misfit(f"has {brief(each)}, which would not come back. Give what is equal to itself.")
        by.check(each, theirs[each])


def _inner(step: str) -> Way:
    def compare(by: Comparison, was: object, came: object) -> None:
        by.at(step, inner_value(was), inner_value(came))

    return compare


def _errors(by: Comparison, was: object, came: object) -> None:
    ours, theirs = values_of(cast("StageError", was)), values_of(cast("StageError", came))
    by.each((f".{name}" for name in ours), tuple(ours.values()), tuple(theirs.get(name, _MISSING) for name in ours))
    by.at(".__notes__", notes_of(cast("StageError", was)), notes_of(cast("StageError", came)))


_WAYS: Final[Mapping[type, Way]] = MappingProxyType(
    {
        float: _number,
        list: _in_order,
        tuple: _in_order,
        deque: _in_order,
        dict: _mappings,
        MappingProxyType: _mappings,
        set: _sets,
        frozenset: _sets,
        Success: _inner(".unwrap()"),
        Failure: _inner(".failure()"),
        StageError: _errors,
        dt.datetime: _moment,
        dt.time: _moment,
        Decimal: _decimal,
    }
)


def _differs(was: object, came: object) -> Misfit:
    fix = f"Declare the type {named(type(was))} there, or give the codec a TypeHook for what holds it."
    if type(was) is type(came):
        fix = "Let what holds it keep what its constructor is given, or give the codec a TypeHook for that."
    return Misfit(f"is {brief(was)} and would come back as {brief(came)}. {fix}")


def _unequal(was: object, came: object) -> Misfit:
    name = named(type(was))
    return Misfit(
        f"is {brief(was)}, and what its TypeHook makes of it is not equal: {brief(came)}. "
        f"Let the hook keep all of it, or say what is equal: TypeHook({name}, ..., equal=...)."
    )
