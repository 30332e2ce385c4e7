"""Plans of what has named fields: dataclasses, typed dicts, the structs of msgspec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from typing_extensions import override

from stageflow.codec.plan import Misfit, Part, Plan, as_object, misfit, named, unread
from stageflow.codec.slots import Slot


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record, and the plan of what is in it."""

    slot: Slot
    plan: Plan

    @property
    def step(self) -> str:
        """The step of the path."""
        return f".{self.slot.name}"


@dataclass(frozen=True, eq=False)
class Record(Plan):
    """An object of a class that tells its fields."""

    kind: type
    fields: tuple[Field, ...]

    @property
    @override
    def native(self) -> bool:
        return True

    @property
    @override
    def parts(self) -> tuple[Part, ...]:
        return in_order(self.fields)

    @property
    @override
    def label(self) -> str:
        return self.kind.__name__

    @override
    def fits(self, value: object) -> bool:
        return type(value) is self.kind

    @override
    def lower(self, value: object) -> object:
        if type(value) is not self.kind:
            raise misfit(value, self.of)
        return lowered(
            self.fields, {field.slot.name: getattr(value, field.slot.name, MISSING) for field in self.fields}
        )

    @override
    def lift(self, data: object) -> object:
        if (stored := as_object(data)) is None:
            raise unread(data, self.of)
        values = lifted(self.fields, stored)
        try:
            made = _made(self.kind, self._arguments(values))
            for name, value in values.items():
                object.__setattr__(made, name, value)
        except Exception as error:
            raise Misfit(
                f"cannot be made again: {named(self.kind)} of its own fields raises {type(error).__name__}: {error}. "
                f"Let {named(self.kind)} take what its fields hold, or give the codec a TypeHook for it."
            ) from error
        return made

    def _arguments(self, values: dict[str, object]) -> dict[str, object]:
        """What the constructor takes of the values; the others stay, to be set."""
        taken = [field.slot for field in self.fields if field.slot.argument and field.slot.name in values]
        return {str(slot.argument): values.pop(slot.name) for slot in taken}


def _made(kind: type, arguments: dict[str, object]) -> object:
    make: Callable[..., object] = kind  # type: ignore[explicit-any]  # whatever it takes
    return make(**arguments)


@dataclass(frozen=True, eq=False)
class Keyed(Plan):
    """A dict that a ``TypedDict`` describes."""

    fields: tuple[Field, ...]

    @property
    @override
    def native(self) -> bool:
        return True

    @property
    @override
    def parts(self) -> tuple[Part, ...]:
        return in_order(self.fields)

    @override
    def fits(self, value: object) -> bool:
        return type(value) is dict and cast("dict[object, object]", value).keys() <= self._names()

    def _names(self) -> set[object]:
        return {field.slot.name for field in self.fields}

    @override
    def lower(self, value: object) -> object:
        if type(value) is not dict:
            raise misfit(value, self.of)
        given = cast("dict[str, object]", value)
        for key in given.keys() - self._names():
            raise Misfit(f"has the key {key!r}, which {named(self.of)} does not declare. Declare it, or leave it away.")
        return lowered(self.fields, given)

    @override
    def lift(self, data: object) -> object:
        if (stored := as_object(data)) is None:
            raise unread(data, self.of)
        return lifted(self.fields, stored)


MISSING: Final = object()


def in_order(fields: tuple[Field, ...]) -> tuple[Part, ...]:
    """The fields by name: their order in the class changes nothing in the data."""
    return tuple(sorted(fields, key=by_name))


def by_name(field: Field) -> str:
    """What fields are sorted by."""
    return field.slot.name


def lowered(fields: tuple[Field, ...], values: Mapping[str, object]) -> dict[str, object]:
    """The fields as JSON data, by name."""
    found: dict[str, object] = {}
    for field in fields:
        name = field.slot.name
        if (value := values.get(name, MISSING)) is MISSING:
            if field.slot.required:
                raise Misfit("has no value. Give it one, or declare that it may be absent.", field.step)
            continue
        try:
            found[name] = field.plan.lower(value)
        except Misfit as inner:
            raise inner.under(field.step) from inner
    return found


def lifted(fields: tuple[Field, ...], data: Mapping[str, object]) -> dict[str, object]:
    """The values of the fields, by name; where one may be absent it can be."""
    found: dict[str, object] = {}
    for field in fields:
        if (value := data.get(field.slot.name, MISSING)) is MISSING:
            if field.slot.required:
                raise Misfit("is not there. It was encoded of another version of the type.", field.step)
            continue
        try:
            found[field.slot.name] = field.plan.lift(value)
        except Misfit as inner:
            raise inner.under(field.step) from inner
    return found
