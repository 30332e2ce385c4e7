"""A file of events, one JSON object a line."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path, PurePath
from typing import cast, final
from uuid import UUID

from typing_extensions import override

_DEEPEST = 20  # what is nested deeper is written as its repr
_LONGEST = 10_000  # bits: Python refuses to write longer numbers in decimals


def _utc_now() -> datetime:
    return datetime.now(UTC)


@final
class JsonLinesEventSink:
    """Appends every event to a file as one line: ``{"type": ..., "timestamp": ..., "data": {...}}``.

    Each line is one unbuffered append. So ``tail -f`` shows it at once, a process that is killed loses none of what it
    told, and several processes may append to one file. A value that JSON has no word for is written as its ``repr``,
    a time in ISO 8601, an id or a path as its text: no event is lost for what it carries.

    Args:
        path: the file; it is made where there is none, and appended to where there is.
        now: the time of day, timezone-aware.

    Raises:
        OSError: the file cannot be opened; the text says which and why.
    """

    __slots__ = ("_file", "_now", "_path")

    def __init__(self, path: str | os.PathLike[str], *, now: Callable[[], datetime] = _utc_now) -> None:
        self._path = Path(path)
        self._now = now
        try:
            self._file = self._path.open("ab", buffering=0)
        except FileNotFoundError as error:
            text = f"Events cannot go to {self._path}: there is no folder {self._path.parent}. Make it first."
            raise FileNotFoundError(error.errno, text) from error
        except OSError as error:
            text = f"Events cannot go to {self._path}: {error.strerror}"
            raise type(error)(error.errno, text) from error

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Writes the event.

        Raises:
            ValueError: the sink was closed.
            OSError: the file took no more, as where the disk is full.
        """
        if self._file.closed:
            raise ValueError(f"The event {type} came after the events file {self._path} was closed.")
        line = {"type": type, "timestamp": self._now().isoformat(), "data": {} if data is None else dict(data)}
        rest = memoryview(_encoded(line).encode() + b"\n")
        while rest:  # an unbuffered file may take a part
            rest = rest[self._file.write(rest) :]

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Writes the event; see `try_emit`."""
        self.try_emit(type=type, data=data)

    async def aclose(self) -> None:
        """Closes the file; a second time does nothing."""
        self._file.close()

    @override
    def __repr__(self) -> str:
        return f"JsonLinesEventSink({str(self._path)!r})"


def _encoded(value: object) -> str:
    """The value as JSON on one line, however little of it JSON can say."""
    try:
        # ensure_ascii stays on: a lone surrogate has no UTF-8, but it has an escape.
        return json.dumps(value, default=_plain, allow_nan=False)
    except (TypeError, ValueError, RecursionError):  # a key that is no text, a NaN, a cycle, one too deep
        return json.dumps(_tamed(value, ()))


def _plain(value: object) -> object:
    """What stands for a value that JSON has no word for."""
    match value:
        case Mapping():
            return dict(cast("Mapping[object, object]", value))
        case date():
            return value.isoformat()
        case UUID() | PurePath():
            return str(value)
        case _:
            return _repr(value)


def _tamed(value: object, around: tuple[int, ...]) -> object:
    """The value, with a `repr` in each place where JSON cannot go on; ``around`` are the ids of what it is inside."""
    if id(value) in around or len(around) > _DEEPEST:
        return _repr(value)
    inside = (*around, id(value))
    match value:
        case None | bool() | str():
            return value
        case float():
            return value if math.isfinite(value) else repr(value)
        case int():
            return value if value.bit_length() < _LONGEST else hex(value)
        case Mapping():
            items = cast("Mapping[object, object]", value).items()
            return {key if isinstance(key, str) else _repr(key): _tamed(inner, inside) for key, inner in items}
        case list() | tuple():
            return [_tamed(inner, inside) for inner in cast("Sequence[object]", value)]
        case _:
            return _plain(value)


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  (an event is not lost for a broken repr)
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
