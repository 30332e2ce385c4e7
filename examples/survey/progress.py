"""Showing how far a survey is, as the sink of its run's events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO, final

TENTHS = 10  # lines to write where there is no terminal


@final
class Progress:
    """Writes how far a survey is: in place on a terminal, a line per tenth of the files elsewhere.

    Args:
        stream: where to.
    """

    __slots__ = ("_done", "_files", "_in_place", "_stream")

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_place = stream.isatty()
        self._files = self._done = 0

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Takes an event; the survey's own two are what it shows."""
        match type, data:
            case "survey.found", {"files": int(files)}:
                self._files = files
                self._show()
            case "survey.surveyed", _:
                self._done += 1
                self._show()
            case "pipeline.completed" | "pipeline.failed" | "pipeline.cancelled", _:
                self._leave()
            case _:
                pass

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Takes the run's last event."""
        self.try_emit(type=type, data=data)

    def _show(self) -> None:
        line = f"surveyed {self._done} of {self._files} files"
        if self._in_place:
            self._stream.write(f"\r{line}")
        elif self._done * TENTHS // self._files > (self._done - 1) * TENTHS // self._files:
            self._stream.write(f"{line}\n")
        self._stream.flush()

    def _leave(self) -> None:
        """What comes next on a terminal starts on a line of its own."""
        if self._in_place and self._files:
            self._stream.write("\n")
            self._stream.flush()
