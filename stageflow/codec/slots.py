"""The fields that a class tells of: of dataclasses, typed dicts, structs of msgspec."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import cast

from typing_extensions import NotRequired, Required, is_typeddict

from stageflow.codec.hints import hints_of


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


def slots(of: type[object]) -> tuple[Slot, ...] | None:
    """The fields that a class tells of, or None where it is no record."""
    if dataclasses.is_dataclass(of):
        return tuple(_of_dataclass(field) for field in dataclasses.fields(of))
    names = cast("tuple[str, ...] | None", _read(of, "__struct_fields__"))  # of msgspec.Struct
    if names is not None:
        return tuple(Slot(name, name) for name in names)
    return None


def _of_dataclass(field: dataclasses.Field[object]) -> Slot:
    default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    return Slot(field.name, field.name if field.init else None, required=not default)


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
