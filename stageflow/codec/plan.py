"""How values of one type become plain JSON data and come back: the base of what a type is analysed into."""

from __future__ import annotations

import re
import reprlib
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol, cast

from typing_extensions import override

from stageflow.graph.building.annotations import shown


class Misfit(Exception):  # noqa: N818  (it never leaves the codec: it becomes the text of a CodecError)
    """What does not fit, and where inside the value: the path grows on the way out.

    Attributes:
        what: a sentence or two that go on after the path: what was there, what was declared, the fix.
        path: the steps from the value to the misfit: ``.pages[3].body``.
    """

    def __init__(self, what: str, path: str = "") -> None:
        super().__init__(what, path)
        self.what = what
        self.path = path

    def under(self, step: str) -> Misfit:
        """The same misfit, seen from one step further out."""
        return Misfit(self.what, step + self.path)

    @override
    def __str__(self) -> str:
        return f"${self.path} {self.what}"


class Part(Protocol):
    """What a plan is made of: a step of the path, and the plan of what is there."""

    @property
    def step(self) -> str:
        """The step of the path."""
        ...

    @property
    def plan(self) -> Plan:
        """The plan of what is there."""
        ...


@dataclass(frozen=True, slots=True)
class Inside:
    """A part without particulars of its own."""

    step: str
    plan: Plan


@dataclass(frozen=True, eq=False)
class Plan(ABC):
    """How values of one type become JSON data and come back. Immutable once analysed.

    Attributes:
        of: the type, as it was declared.
    """

    of: object

    @property
    def native(self) -> bool:
        """Whether msgspec can do the same, many times as fast, where it can for each of the parts."""
        return False

    @property
    def parts(self) -> tuple[Part, ...]:
        """The plans of what is inside."""
        return ()

    @property
    def tag(self) -> str:
        """What tells it from the others of a union, where its type does not."""
        return ""

    @property
    def label(self) -> str:
        """What a digest of the schema takes of this plan, its parts aside."""
        return shown(self.of)

    @abstractmethod
    def fits(self, value: object) -> bool:
        """Whether the value is of this type at its outside; what is inside is not looked at."""

    @abstractmethod
    def lower(self, value: object) -> object:
        """The value as data that msgspec encodes. Raises `Misfit`."""

    @abstractmethod
    def lift(self, data: object) -> object:
        """The value that the data stands for. Raises `Misfit`."""


def walked(plan: Plan) -> Iterator[Plan]:
    """Every plan in a plan, each once."""
    seen: dict[int, Plan] = {}
    unseen = [plan]
    while unseen:
        found = unseen.pop()
        if id(found) not in seen:
            seen[id(found)] = found
            yield found
            unseen += [part.plan for part in found.parts]


def as_object(data: object) -> dict[str, object] | None:
    """Decoded data as an object of JSON, or None where it is none."""
    return cast("dict[str, object]", data) if isinstance(data, dict) else None


def as_array(data: object) -> list[object] | None:
    """Decoded data as an array of JSON, or None where it is none."""
    return cast("list[object]", data) if isinstance(data, list) else None


def misfit(value: object, declared: object) -> Misfit:
    """A value that is not of the type which is declared for it."""
    of = type(value)
    fix = f"Give a value of the declared type, or declare {named(of)} there."
    if isinstance(declared, type) and issubclass(of, declared) and declared.__module__ != "builtins":
        fix = f"Only its own fields would come back: declare {named(declared)} | {named(of)}, or {named(of)} alone."
    return Misfit(f"is {brief(value)}, where {named(declared)} is declared. {fix}")


def unread(data: object, declared: object) -> Misfit:
    """Data that stands for no value of a type."""
    return Misfit(f"has {brief(data)}, which is no {named(declared)}. It was encoded of another type, or is damaged.")


def named(of: object) -> str:
    """A type as it is written, without the names of modules; equal types have one name, however they are written."""
    if of is None or of is type(None):
        return "None"
    origin, arguments = typing.get_origin(of), typing.get_args(of)
    if origin in _UNIONS:
        return " | ".join(map(named, arguments))
    if arguments and isinstance(origin, type):
        return f"{named(origin)}[{', '.join('...' if each is ... else named(each) for each in arguments)}]"
    if isinstance(of, type):
        return of.__qualname__.rpartition("<locals>.")[2]
    return _MODULES.sub("", shown(of))


_UNIONS: Final[tuple[object, ...]] = (typing.Union, types.UnionType)
_MODULES: Final = re.compile(r"(?:\w+\.|<locals>\.)+(?=\w)")


def brief(value: object) -> str:
    """A value and its type in a few words, for a text."""
    if value is None:
        return "None"
    try:
        text = _SHORT.repr(value)
    except Exception:  # noqa: BLE001  (a broken __repr__ must not hide what is wrong with the value)
        text = ""
    of = named(type(value))
    bare = not text or " at 0x" in text or len(text) > _SHORT.maxother + 20
    return f"a value of the type {of}" if bare else f"{text} ({of})"


_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = 60
_SHORT.maxlevel = 2
