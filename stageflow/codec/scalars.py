"""Plans of what has nothing inside: numbers, texts, moments, enums, literals, paths, and undeclared JSON data."""

from __future__ import annotations

import datetime
import enum
import math
import typing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePath
from typing import Final
from uuid import UUID

import msgspec
from typing_extensions import override

from stageflow.codec.plan import Misfit, Plan, brief, misfit, named, unread

EXACT: Final[frozenset[object]] = frozenset(
    {
        type(None),
        bool,
        int,
        bytes,
        bytearray,
        datetime.datetime,
        datetime.date,
        datetime.time,
        datetime.timedelta,
        UUID,
        Decimal,
    }
)


@dataclass(frozen=True, eq=False)
class Exact(Plan):
    """A builtin that msgspec gives back as it was: no subclass of it, which would not come back as one."""

    of: type

    @property
    @override
    def declared(self) -> object:
        return self.of

    @property
    @override
    def native(self) -> bool:
        return True

    @override
    def fits(self, value: object) -> bool:
        return type(value) is self.of

    @override
    def lower(self, value: object) -> object:
        if type(value) is not self.of:
            raise misfit(value, self.of)
        return value

    @override
    def lift(self, data: object) -> object:
        try:
            lifted: object = msgspec.convert(data, self.of)
        except (msgspec.ValidationError, OverflowError) as error:
            raise unread(data, self.of) from error
        return lifted


@dataclass(frozen=True, eq=False)
class Text(Exact):
    """A str. JSON is UTF-8, which has no lone surrogates."""

    @override
    def lower(self, value: object) -> object:
        if type(value) is not str:
            raise misfit(value, str)
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise Misfit(
                f"is {value!a}, which has a half of a surrogate pair and is no Unicode text. "
                'Declare bytes and give text.encode("utf-8", "surrogateescape").'
            ) from error
        return value


@dataclass(frozen=True, eq=False)
class Real(Exact):
    """A float, or an int that is one exactly. What JSON has no number for is its name as a text."""

    @override
    def fits(self, value: object) -> bool:
        return type(value) is float

    @override
    def lower(self, value: object) -> object:
        if type(value) is int and _as_float(value) == value:
            return _as_float(value)
        if type(value) is not float:
            raise misfit(value, float)
        return value if math.isfinite(value) else str(value)

    @override
    def lift(self, data: object) -> object:
        if isinstance(data, str) and data in {"nan", "inf", "-inf"}:
            return float(data)
        return super().lift(data)


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.nan


@dataclass(frozen=True, eq=False)
class Member(Plan):
    """A member of an enum: by its value where all are texts or all whole numbers, else by its name."""

    of: type[enum.Enum]

    @property
    @override
    def declared(self) -> object:
        return self.of

    @property
    @override
    def native(self) -> bool:
        values = {type(member.value) for member in self.of}
        return values in ({str}, {int})

    @property
    @override
    def label(self) -> str:
        return f"{self.of.__name__}({', '.join(f'{each.name}={each.value!r}' for each in self.of)})"

    @override
    def fits(self, value: object) -> bool:
        return type(value) is self.of

    @override
    def lower(self, value: object) -> object:
        if not isinstance(value, self.of):
            raise misfit(value, self.of)
        given: object = value.value
        return given if self.native else value.name

    @override
    def lift(self, data: object) -> object:
        try:
            return self.of(data) if self.native else self.of[str(data)]
        except (ValueError, KeyError) as error:
            raise unread(data, self.of) from error


@dataclass(frozen=True, eq=False)
class OneOf(Plan):
    """A value of a ``Literal``."""

    literal: object

    @property
    @override
    def declared(self) -> object:
        return self.literal

    @property
    @override
    def native(self) -> bool:
        return {type(value) for value in self._values} <= {str, int, type(None)}

    @property
    def _values(self) -> tuple[object, ...]:
        return typing.get_args(self.literal)

    @override
    def fits(self, value: object) -> bool:
        return any(type(value) is type(each) and value == each for each in self._values)

    @override
    def lower(self, value: object) -> object:
        if not self.fits(value):
            raise misfit(value, self.literal)
        return value if self.native else _written(value)

    @override
    def lift(self, data: object) -> object:
        for each in self._values:
            if (each if self.native else _written(each)) == data:
                return each
        raise unread(data, self.literal)


def _written(value: object) -> str:
    return f"{type(value).__name__}.{value.name}" if isinstance(value, enum.Enum) else repr(value)


@dataclass(frozen=True, eq=False)
class Location(Plan):
    """A path of the file system."""

    of: type[PurePath]

    @property
    @override
    def declared(self) -> object:
        return self.of

    @property
    @override
    def native(self) -> bool:
        return True

    @override
    def fits(self, value: object) -> bool:
        return type(value) is type(self.of())

    @override
    def lower(self, value: object) -> object:
        if not self.fits(value):
            raise misfit(value, self.of)
        return Text(str).lower(str(value))

    @override
    def lift(self, data: object) -> object:
        if not isinstance(data, str):
            raise unread(data, self.of)
        return self.of(data)


@dataclass(frozen=True, eq=False)
class Undeclared(Plan):
    """Whatever JSON has: nobody says what else to make of it."""

    of: object = object

    @property
    @override
    def declared(self) -> object:
        return self.of

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
            return [_under(f"[{at}]", item) for at, item in enumerate(typing.cast("list[object]", value))]
        if of is dict:
            return {
                _key(key): _under(f"[{key!r}]", item)
                for key, item in typing.cast("dict[object, object]", value).items()
            }
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
