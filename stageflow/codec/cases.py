"""Plans of what is one of a few values: the members of an enum, the values of a literal."""

from __future__ import annotations

import enum
import typing
from dataclasses import dataclass

from typing_extensions import override

from stageflow.codec.plan import Plan, misfit, unread


@dataclass(frozen=True, eq=False)
class Member(Plan):
    """A member of an enum: by its value where all are texts or all whole numbers, else by its name."""

    of: type[enum.Enum]

    @property
    @override
    def native(self) -> bool:
        return all(type(member.value) is str for member in self.of) or all(
            type(member.value) is int for member in self.of
        )

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

    @property
    @override
    def native(self) -> bool:
        return {type(value) for value in self._values} <= {str, int, type(None)}

    @property
    def _values(self) -> tuple[object, ...]:
        return typing.get_args(self.of)

    @override
    def fits(self, value: object) -> bool:
        return any(type(value) is type(each) and value == each for each in self._values)

    @override
    def lower(self, value: object) -> object:
        if not self.fits(value):
            raise misfit(value, self.of)
        return value if self.native else _written(value)

    @override
    def lift(self, data: object) -> object:
        for each in self._values:
            if (each if self.native else _written(each)) == data:
                return each
        raise unread(data, self.of)


def _written(value: object) -> str:
    return f"{type(value).__name__}.{value.name}" if isinstance(value, enum.Enum) else repr(value)
