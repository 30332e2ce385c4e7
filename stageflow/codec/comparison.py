"""Whether what came back is what was encoded: equal, and of the same types all the way down."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final, cast

from returns.result import Failure, Success

from stageflow.codec.failures import notes_of, values_of
from stageflow.codec.hooks import AnyTypeHook
from stageflow.codec.plan import Misfit, brief, named
from stageflow.codec.records import MISSING
from stageflow.codec.slots import slots
from stageflow.codec.unions import inner_value
from stageflow.errors import StageError

_PLAIN: Final[frozenset[type]] = frozenset({int, str, bool, bytes, type(None)})


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
        elif of is list or of is tuple:
            self._in_order(was, came)
        else:
            self._others(was, came)

    def _others(self, was: object, came: object) -> None:
        of = type(was)
        if of in self.hooks:
            if not self.hooks[of].same(was, came):
                raise _differs(was, came)
        elif of is float or of is int:
            _numbers(was, came)
        elif of is not type(came):
            raise _differs(was, came)
        elif isinstance(was, Success | Failure):
            step = ".unwrap()" if of is Success else ".failure()"
            self._at(step, inner_value(cast("object", was)), inner_value(came))
        elif isinstance(was, StageError):
            self._errors(was, cast("StageError", came))
        elif issubclass(of, tuple) or not self._inside(was, came):
            self._leaves(was, came)

    def _leaves(self, was: object, came: object) -> None:
        if isinstance(was, tuple):
            self._in_order(cast("object", was), came)
        elif isinstance(was, dt.datetime | dt.time):
            other = cast("dt.datetime", came)
            if was != other or was.utcoffset() != other.utcoffset() or was.fold != other.fold:
                raise _differs(was, came)
        elif isinstance(was, Decimal):
            if was.as_tuple() != cast("Decimal", came).as_tuple():
                raise _differs(was, came)
        elif was != came:
            raise _differs(was, came)

    def _inside(self, was: object, came: object) -> bool:
        """Compares what is inside, where something is."""
        if isinstance(was, dict | MappingProxyType):
            self._mappings(cast("Mapping[object, object]", was), cast("Mapping[object, object]", came))
        elif isinstance(was, set | frozenset):
            self._sets(cast("AbstractSet[object]", was), cast("AbstractSet[object]", came))
        elif (found := slots(type(was))) is not None:
            for slot in found:
                held = getattr(was, slot.name, MISSING), getattr(came, slot.name, MISSING)
                self._at(f".{slot.name}", *held)
        elif hasattr(was, "__iter__") and type(was).__name__ == "deque":
            self._in_order(was, came)
        else:
            return False
        return True

    def _at(self, step: str, was: object, came: object) -> None:
        try:
            self.check(was, came)
        except Misfit as inner:
            raise inner.under(step) from inner

    def _in_order(self, was: object, came: object) -> None:
        ours, theirs = cast("tuple[object, ...]", was), cast("tuple[object, ...]", came)
        if type(was) is not type(came) or len(ours) != len(theirs):
            raise _differs(was, came)
        at = 0
        try:
            for at, pair in enumerate(zip(ours, theirs, strict=True)):  # noqa: B007  (where it was, if it differs)
                self.check(*pair)
        except Misfit as inner:
            raise inner.under(f"[{at}]") from inner

    def _mappings(self, was: Mapping[object, object], came: Mapping[object, object]) -> None:
        self._sets(was.keys(), came.keys())
        for key, value in was.items():
            self._at(f"[{key!r}]", value, came[key])

    def _sets(self, was: AbstractSet[object], came: AbstractSet[object]) -> None:
        theirs = {each: each for each in came}
        if len(was) != len(theirs):
            raise _differs(was, came)
        for each in was:
            if each not in theirs:
                raise Misfit(f"has {brief(each)}, which would not come back. Give what is equal to itself.")
            self.check(each, theirs[each])

    def _errors(self, was: StageError, came: StageError) -> None:
        ours, theirs = values_of(was), values_of(came)
        for name, value in ours.items():
            self._at(f".{name}", value, theirs.get(name, MISSING))
        self._at(".__notes__", notes_of(was), notes_of(came))


def _numbers(was: object, came: object) -> None:
    if isinstance(was, float) and isinstance(came, float) and (was == came or (math.isnan(was) and math.isnan(came))):
        return
    if type(was) is int and type(came) is float and was == came:
        return  # an int is a float wherever one is declared
    raise _differs(was, came)


def _differs(was: object, came: object) -> Misfit:
    fix = f"Declare the type {named(type(was))} there, or give the codec a TypeHook for what holds it."
    return Misfit(f"is {brief(was)} and would come back as {brief(came)}. {fix}")
