"""Plans of what has named fields: dataclasses, typed dicts, the structs of msgspec and of attrs."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from typing_extensions import NotRequired, Required, is_typeddict, override

from stageflow.codec.plan import Misfit, Part, Plan, misfit, named, unread


@dataclass(frozen=True, slots=True)
class Slot:
    """One field of a record, as its class tells of it.

    Attributes:
        name: the attribute, or the key.
        argument: what its constructor calls it, or None where it takes none of this name.
        required: whether the value can come back without it.
    """

    name: str
    argument: str | None
    required: bool = True


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

    of: object
    kind: type
    fields: tuple[Field, ...]

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
    def parts(self) -> tuple[Part, ...]:
        return tuple(sorted(self.fields, key=lambda field: field.slot.name))

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
        if not isinstance(data, dict):
            raise unread(data, self.of)
        values = lifted(self.fields, cast("dict[str, object]", data))
        arguments = {field.slot.argument: values.pop(field.slot.name) for field in self._given(values)}
        try:
            made = cast("Callable[..., object]", self.kind)(**arguments)  # type: ignore[explicit-any]  # of any arguments
            for name, value in values.items():
                object.__setattr__(made, name, value)
        except Exception as error:
            raise Misfit(
                f"cannot be made again: {named(self.kind)} of its own fields raises {type(error).__name__}: {error}. "
                f"Let {named(self.kind)} take what its fields hold, or give the codec a TypeHook for it."
            ) from error
        return made

    def _given(self, values: Mapping[str, object]) -> list[Field]:
        return [field for field in self.fields if field.slot.argument is not None and field.slot.name in values]


@dataclass(frozen=True, eq=False)
class Keyed(Plan):
    """A dict that a ``TypedDict`` describes."""

    of: object
    fields: tuple[Field, ...]

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
    def parts(self) -> tuple[Part, ...]:
        return tuple(sorted(self.fields, key=lambda field: field.slot.name))

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
        if not isinstance(data, dict):
            raise unread(data, self.of)
        return lifted(self.fields, cast("dict[str, object]", data))


MISSING: typing.Final = object()


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


def slots(of: type) -> tuple[Slot, ...] | None:
    """The fields that a class tells of, or None where it is no record."""
    if dataclasses.is_dataclass(of):
        return tuple(_of_dataclass(field) for field in dataclasses.fields(of))
    if hasattr(of, "__struct_fields__"):  # msgspec.Struct
        names = cast("tuple[str, ...]", of.__struct_fields__)
        return tuple(Slot(name, name) for name in names)
    if hasattr(of, "__attrs_attrs__"):
        found = cast("tuple[object, ...]", of.__attrs_attrs__)
        return tuple(Slot(str(_read(each, "name")), _alias(each)) for each in found)
    return None


def _of_dataclass(field: dataclasses.Field[object]) -> Slot:
    default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    return Slot(field.name, field.name if field.init else None, required=not default)


def _alias(attribute: object) -> str | None:
    return str(_read(attribute, "alias") or _read(attribute, "name")) if _read(attribute, "init") else None


def _read(of: object, name: str) -> object:
    found: object = getattr(of, name, None)
    return found


def keys(of: object) -> tuple[Slot, ...] | None:
    """The keys that a ``TypedDict`` declares, or None where it is none."""
    if not is_typeddict(of):
        return None
    required = cast("frozenset[str]", _read(of, "__required_keys__"))
    hints = hints_of(cast("type", of))
    return tuple(Slot(name, None, _required(hint, otherwise=name in required)) for name, hint in hints.items())


def _required(hint: object, *, otherwise: bool) -> bool:
    origin = typing.get_origin(hint)
    return otherwise if origin not in (Required, NotRequired) else origin is Required


def hints_of(of: type) -> dict[str, object]:
    """The annotations of a class and its bases, evaluated.

    Raises:
        Misfit: one of them names what cannot be found.
    """
    try:
        return cast("dict[str, object]", typing.get_type_hints(of, include_extras=True))
    except Exception as error:
        raise Misfit(
            f"is a {named(of)}, whose annotations cannot be evaluated: {error}. "
            "Define what they name where a module can be imported, and import it outside of TYPE_CHECKING."
        ) from error


def bound(of: object) -> dict[type, dict[object, object]]:
    """What the type variables of a generic class and of its generic bases stand for, by class."""
    found: dict[type, dict[object, object]] = {}
    unseen = [of]
    while unseen:
        alias = unseen.pop()
        origin = typing.get_origin(alias) or alias
        if not isinstance(origin, type) or origin in found:
            continue
        parameters = cast("tuple[object, ...]", getattr(origin, "__parameters__", ()))
        variables = dict(zip(parameters, typing.get_args(alias), strict=False))
        found[origin] = variables
        bases = cast("tuple[object, ...]", types.get_original_bases(origin) if _NEW else _bases(origin))
        unseen += [
            put(base, variables) for base in bases if typing.get_origin(base) not in (typing.Generic, typing.Protocol)
        ]
    return found


_NEW = hasattr(types, "get_original_bases")


def _bases(of: type) -> tuple[object, ...]:
    found: tuple[object, ...] = of.__dict__.get("__orig_bases__", of.__bases__)
    return found


def put(hint: object, variables: Mapping[object, object]) -> object:
    """An annotation with what its type variables stand for."""
    if hint in variables:
        return variables[hint]
    parameters = cast("tuple[object, ...]", getattr(hint, "__parameters__", ()))
    if not parameters or isinstance(hint, type) or not variables:
        return hint
    given = tuple(variables.get(parameter, parameter) for parameter in parameters)
    return cast("Mapping[object, object]", hint)[given]
