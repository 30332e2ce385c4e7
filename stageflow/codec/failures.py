"""Errors as data: by the name of their class, with their fields, their notes, and the text of what caused them."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from typing_extensions import override

from stageflow.codec.plan import Misfit, Plan, as_array, as_object, misfit, unread
from stageflow.codec.records import Field, lifted, lowered
from stageflow.codec.slots import Slot, slots
from stageflow.errors import StageError, StageExecutionError, rebuilt

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ORIGINAL: Final = ("type", "text", "traceback")


class OriginalError(Exception):
    """What caused an error that crossed as data: an exception of another process, or of an earlier one, as text.

    Attributes:
        type: the class of the original, with its module.
        text: what the original said.
        traceback: where it was raised, as Python writes it.
    """

    def __init__(self, type: str, text: str, traceback: str) -> None:
        super().__init__(type, text, traceback)
        self.type = type
        self.text = text
        self.traceback = traceback

    @override
    def __str__(self) -> str:
        return "\n\n".join(filter(None, (f"{self.type}: {self.text}".removesuffix(": "), self.traceback)))

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, OriginalError) and self.args == other.args

    @override
    def __hash__(self) -> int:
        return hash(self.args)


@dataclass(frozen=True, eq=False)
class Raised(Plan):
    """An error of a class that is found by its name, or of one derived from it."""

    kinds: tuple[type[StageError], ...]
    fields_of: Callable[[type[StageError]], tuple[Field, ...]]

    @property
    @override
    def tag(self) -> str:
        return "error"  # which says its class by itself

    @property
    @override
    def label(self) -> str:
        kinds = sorted(self.kinds, key=lambda kind: kind.__qualname__)
        return " | ".join(f"{kind.__qualname__}({', '.join(slot.name for slot in slots_of(kind))})" for kind in kinds)

    @override
    def fits(self, value: object) -> bool:
        return isinstance(value, self.kinds)

    @override
    def lower(self, value: object) -> object:
        if not isinstance(value, StageError) or not self.fits(value):
            raise misfit(value, self.of)
        data: dict[str, object] = {"error": _place(cast("Hashable", type(value))), "fields": self._lowered(value)}
        if notes := notes_of(value):
            data["notes"] = list(notes)
        if (original := original_of(value)) is not None:
            data["cause"] = {name: str(getattr(original, name)) for name in ORIGINAL}
        return data

    def _lowered(self, error: StageError) -> dict[str, object]:
        return lowered(self.fields_of(type(error)), values_of(error))

    @override
    def lift(self, data: object) -> object:
        found = as_object(data) or {}
        place, fields = found.get("error"), as_object(found.get("fields"))
        if not isinstance(place, str) or fields is None:
            raise unread(data, self.of)
        kind = _class_at(place)
        if not issubclass(kind, self.kinds):
            raise unread(data, self.of)
        error = rebuilt(kind, _filled(kind, lifted(self.fields_of(kind), fields)))
        for note in as_array(found.get("notes")) or ():
            error.add_note(str(note))
        if (cause := as_object(found.get("cause"))) is not None:
            error.__cause__ = OriginalError(*(str(cause.get(name, "")) for name in ORIGINAL))
        return error


def slots_of(kind: type[StageError]) -> tuple[Slot, ...]:
    """The declared fields of an error."""
    return slots(kind) or ()


def _filled(kind: type[StageError], values: dict[str, object]) -> dict[str, object]:
    """The fields of an error in their order; one that an earlier version of the class did not have, as its default."""
    filled: dict[str, object] = {}
    for field in dataclasses.fields(cast("type[DataclassInstance]", kind)):
        if field.name in values:
            filled[field.name] = values[field.name]
        elif field.default is not dataclasses.MISSING:
            filled[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            filled[field.name] = field.default_factory()
    return filled


def values_of(error: StageError) -> dict[str, object]:
    """What the declared fields of an error hold."""
    held: dict[str, object] = error.__dict__
    return {name: held[name] for name in _names(cast("Hashable", type(error))) if name in held}


@lru_cache(maxsize=1024)
def _names(kind: Hashable) -> tuple[str, ...]:
    return tuple(slot.name for slot in slots_of(cast("type[StageError]", kind)))


def notes_of(error: StageError) -> tuple[str, ...]:
    """What was added to an error by ``add_note``."""
    return tuple(cast("list[str]", getattr(error, "__notes__", ())))


def original_of(error: StageError) -> OriginalError | None:
    """What caused an error, as text; for a defect without a cause, where it was raised itself."""
    cause = error.__cause__
    if isinstance(cause, OriginalError):
        return cause
    if cause is None and isinstance(error, StageExecutionError) and error.__traceback__ is not None:
        cause = error
    if cause is None:
        return None
    text = "".join(traceback.format_exception(cause)).strip()
    return OriginalError(_full_name(type(cause)), _text(cause), text)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  (an error whose own text raises must not hide what it caused)
        return ""


def _full_name(of: type) -> str:
    return of.__qualname__ if of.__module__ == "builtins" else f"{of.__module__}.{of.__qualname__}"


@lru_cache(maxsize=1024)
def _place(kind: Hashable) -> str:
    of = cast("type[StageError]", kind)
    place = f"{of.__module__}:{of.__qualname__}"
    try:
        found = _class_at(place)
    except Misfit as absent:
        raise Misfit(f"is of a class that another process could not find: {absent.what}") from absent
    if found is not of:
        raise Misfit(
            f"is of a class that is not at its own name by now: {place} is another. Give the two different names."
        )
    return place


def _class_at(place: str) -> type[StageError]:
    module, _, qualname = place.partition(":")
    if "<locals>" in qualname:
        raise Misfit(f"the class {place} is defined inside a function. Define it at the top of a module.")
    try:
        found: object = import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as absent:
        fix = "Define it in a module that is imported by its name"
        script = ", and not in the script that is run" if module == "__main__" else ""
        raise Misfit(f"the class {place} is not there: {absent}. {fix}{script}.") from absent
    if not isinstance(found, type) or not issubclass(found, StageError):
        raise Misfit(f"{place} is no StageError. The data is damaged, or the class has changed.")
    return found
