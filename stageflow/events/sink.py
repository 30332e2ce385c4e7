"""Where the events of runs go."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import final

from stageflow.ports import EventSink

__all__ = ["EventSink", "LoggingEventSink", "NoOpEventSink"]

_LOG = logging.getLogger(__name__)


@final
class NoOpEventSink:
    """Drops every event; the executor does not even make them for it."""

    __slots__ = ()

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Drops the event."""

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Drops the event."""


@final
class LoggingEventSink:
    """Writes every event to a logger, with its data as ``extra["event"]``.

    Args:
        level: the level of the lines; failures are written as warnings where that is higher.
        logger: where to; by default this module's.
    """

    __slots__ = ("_level", "_logger")

    def __init__(self, *, level: int = logging.INFO, logger: logging.Logger | None = None) -> None:
        self._level = level
        self._logger = logger or _LOG

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Writes the event."""
        self.try_emit(type=type, data=data)

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Writes the event."""
        level = max(self._level, logging.WARNING) if type.endswith(".failed") else self._level
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s %s", type, _particulars(data), extra={"event": {"type": type, **(data or {})}})


def _particulars(data: Mapping[str, object] | None) -> str:
    return " ".join(f"{name}={value}" for name, value in (data or {}).items())
