"""The plan of a value whose type nobody declares: plain JSON data, which comes back as it was."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

from typing_extensions import override

from stageflow.codec.plan import Misfit, Plan, brief, named
from stageflow.codec.scalars import Text


@dataclass(frozen=True, eq=False)
class Undeclared(Plan):
    """Whatever JSON has: nobody says what else to make of it."""

    of: object = object

    @property
    @override
    def native(self) -> bool:
        return True

    @property
    @override
    def label(self) -> str:
        return "object"

    @override
    def fits(self, value: object) -> bool:
        return True

    @override
    def lower(self, value: object) -> object:
        of = type(value)
        if of is list:
            return [_under(f"[{at}]", item) for at, item in enumerate(cast("list[object]", value))]
        if of is dict:
            return {_key(key): _under(f"[{key!r}]", item) for key, item in cast("dict[object, object]", value).items()}
        if of is str:
            return Text(str).lower(value)
        if value is None or of in (bool, int) or (type(value) is float and math.isfinite(value)):
            return value
        raise _undeclared(value)

    @override
    def lift(self, data: object) -> object:
        return data


def _under(step: str, value: object) -> object:
    try:
        return Undeclared().lower(value)
    except Misfit as inner:
        raise inner.under(step) from inner


def _key(key: object) -> object:
    if type(key) is not str:
        raise Misfit(
            f"has the key {brief(key)}, where no type is declared and only texts are keys. "
            f"Declare the type of the value, dict[{named(type(key))}, ...], so that the key can come back."
        )
    return key


def _undeclared(value: object) -> Misfit:
    return Misfit(
        f"is {brief(value)}, where no type is declared and only plain JSON data comes back as it was. "
        f"Declare {named(type(value))} in the annotation of what makes the value."
    )
