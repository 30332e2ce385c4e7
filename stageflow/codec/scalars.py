"""Plans of what has nothing inside: numbers, texts, bytes, moments, ids, paths."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePath
from typing import Final, cast
from uuid import UUID

import msgspec
from typing_extensions import override

from stageflow.codec.plan import Misfit, Plan, misfit, unread

EXACT: Final[frozenset[object]] = frozenset(
    {
        type(None),
        bool,
        int,
        bytes,
        bytearray,
        dt.date,
        dt.timedelta,
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
        if type(data) is self.of:
            return data
        try:
            lifted = cast("object", msgspec.convert(data, self.of))
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
class Moment(Exact):
    """A datetime or a time. A zone comes back as its offset; of a time that a clock shows twice, which it was."""

    @override
    def lower(self, value: object) -> object:
        moment = cast("dt.datetime | dt.time", super().lower(value))
        return moment.isoformat() + _AGAIN if moment.fold and moment.tzinfo is None else moment

    @override
    def lift(self, data: object) -> object:
        if not isinstance(data, str) or not data.endswith(_AGAIN):
            return super().lift(data)
        return cast("dt.datetime | dt.time", super().lift(data.removesuffix(_AGAIN))).replace(fold=1)


_AGAIN: Final = " fold=1"


@dataclass(frozen=True, eq=False)
class Location(Plan):
    """A path of the file system."""

    of: type[PurePath]

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
