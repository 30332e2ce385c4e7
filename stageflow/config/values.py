"""A value of configuration as the type that is asked for: of a text, or of what a file has it as."""

from __future__ import annotations

import enum
import re
import types
import typing
from collections import abc
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast
from uuid import UUID


class Unfit(Exception):  # noqa: N818  (it never leaves the reading: it becomes the text of a ConfigError)
    """A value that is none of a type.

    Attributes:
        wanted: what would be one.
        fix: what to set.
    """

    def __init__(self, wanted: str, fix: str) -> None:
        super().__init__(wanted, fix)
        self.wanted = wanted
        self.fix = fix


def fitted(value: object, of: object, *, texts: bool) -> object:
    """The value as a type.

    Args:
        value: what the provider has.
        of: the type.
        texts: whether a text stands for a value of another type.

    Raises:
        Unfit: it is none.
        TypeError: the type is none that configuration has.
    """
    origin, inside = cast("object", typing.get_origin(of)), typing.get_args(of)
    if origin in _UNIONS:
        return _either(value, inside, texts=texts)
    if origin is typing.Literal:
        return _chosen(value, {str(each): each for each in inside}, texts=texts)
    if (members := _members(of)) is not None:
        return _member(value, members)
    if (kind := _COLLECTIONS.get(origin or of)) is not None:
        return kind(_items(value, inside[0] if inside else str, texts=texts))
    if of is None or of is type(None):
        _nothing(value, texts=texts)
        return None
    return _plain(value, of, texts=texts)


def _either(value: object, types: tuple[object, ...], *, texts: bool) -> object:
    """The value as the first of several types that it is one of; a text last, since every text is one."""
    wanted: list[str] = []
    fix = ""
    for of in sorted(types, key=lambda of: of is str):
        try:
            return fitted(value, of, texts=texts)
        except Unfit as unfit:
            wanted.append(unfit.wanted)
            fix = fix or unfit.fix
    raise Unfit(" or ".join(wanted), fix)


def _chosen(value: object, choices: Mapping[str, object], *, texts: bool) -> object:
    for text, choice in choices.items():
        if (type(value) is type(choice) and value == choice) or (texts and value == text):
            return choice
    raise _one_of(choices)


def _members(of: object) -> tuple[enum.Enum, ...] | None:
    return tuple(of) if isinstance(of, type) and issubclass(of, enum.Enum) else None


def _member(value: object, members: tuple[enum.Enum, ...]) -> object:
    for member in members:
        given: object = member.value
        if (
            value == given
            or value is member
            or (isinstance(value, str) and value.lower() in (str(given).lower(), member.name.lower()))
        ):
            return member
    raise _one_of([str(cast("object", member.value)) for member in members])


def _one_of(choices: Iterable[str]) -> Unfit:
    listed = ", ".join(choices)
    return Unfit(f"one of {listed}", "Set it to one of them.")


def _items(value: object, of: object, *, texts: bool) -> list[object]:
    if texts and isinstance(value, str):
        value = [part.strip() for part in value.split(",")] if value.strip() else []
    if not isinstance(value, list | tuple | set | frozenset):
        raise Unfit("a list", "Set it to one: comma-separated in a text." if texts else "Set it to one.")
    return [fitted(item, of, texts=texts) for item in cast("Iterable[object]", value)]


def _nothing(value: object, *, texts: bool) -> None:
    if value is not None and not (texts and isinstance(value, str) and value.strip().lower() in {"", "none", "null"}):
        raise Unfit("nothing", "Take it away, or leave it empty.")


def _plain(value: object, of: object, *, texts: bool) -> object:
    if of not in _KINDS:
        known = ", ".join(getattr(kind, "__name__", "") for kind in _KINDS)
        raise TypeError(
            f"Configuration has no {getattr(of, '__name__', of)}. Read one of {known}, an Enum, a Literal, "
            "a list, tuple, set or frozenset of these, or one of several with |."
        )
    kind = cast("type", of)
    parse, wanted, example = _KINDS[kind]
    if type(value) is kind or (kind is Path and isinstance(value, Path)):
        return value
    if kind is float and type(value) is int:
        return float(value)
    if isinstance(value, str) and (texts or kind in _WRITTEN):
        try:
            return parse(value.strip() if kind is not str else value)
        except (ValueError, InvalidOperation, OverflowError):
            pass
    raise Unfit(wanted, f"Set it to one, as {example}.")


def _bool(text: str) -> bool:
    if text.lower() in {"true", "yes", "on", "1"}:
        return True
    if text.lower() in {"false", "no", "off", "0"}:
        return False
    raise ValueError(text)


def _timedelta(text: str) -> timedelta:
    if (found := _DURATION.fullmatch(text)) is None or not text:
        return timedelta(seconds=float(text))
    return timedelta(**{unit: float(given) for unit, given in found.groupdict().items() if given is not None})


_UNITS: Final = (("days", "d"), ("hours", "h"), ("minutes", "m(?!s)"), ("seconds", "s"), ("milliseconds", "ms"))
_DURATION: Final = re.compile(
    "".join(
        rf"(?:(?P<{unit}>\d+(?:\.\d+)?)\s*{short}\s*)?"
        for unit, short in (
            ("days", "d"),
            ("hours", "h"),
            ("minutes", "m(?!s)"),
            ("seconds", "s"),
            ("milliseconds", "ms"),
        )
    )
)
_UNIONS: Final[tuple[object, ...]] = (typing.Union, types.UnionType)
_COLLECTIONS: Final[Mapping[object, Callable[[list[object]], object]]] = MappingProxyType(
    {list: list, tuple: tuple, set: set, frozenset: frozenset, abc.Sequence: tuple}
)
_KINDS: Final[Mapping[object, tuple[Callable[[str], object], str, str]]] = MappingProxyType(
    {
        bool: (_bool, "a bool", "true or false"),
        int: (int, "a whole number", "30"),
        float: (float, "a number", "1.5"),
        str: (str, "a text", '"text"'),
        Path: (Path, "a path", "/var/lib/app"),
        timedelta: (_timedelta, "a duration", "30s, 5m or 1h30m"),
        date: (date.fromisoformat, "a date", "2026-01-31"),
        datetime: (datetime.fromisoformat, "a moment", "2026-01-31T12:00:00Z"),
        UUID: (UUID, "a UUID", "12345678-1234-5678-1234-567812345678"),
        Decimal: (Decimal, "a decimal number", "1.50"),
    }
)
_WRITTEN: Final = frozenset({Path, timedelta, UUID, Decimal, date, datetime})  # what files have no form of but a text
