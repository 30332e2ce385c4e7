"""A sink that remembers what it was told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from typing_extensions import override

from stageflow.core.output import StageEvent


@final
class RecordingEventSink:
    """Keeps every event in memory, in order; for tests, and for a look at a run that has ended.

    >>> sink = RecordingEventSink()
    >>> sink.try_emit(type="cache.hit", data={"key": "a"})
    >>> sink.types
    ('cache.hit',)
    """

    __slots__ = ("_events",)

    def __init__(self) -> None:
        self._events: list[StageEvent] = []

    @property
    def events(self) -> tuple[StageEvent, ...]:
        """What it was told so far; what comes later is not added to this tuple."""
        return tuple(self._events)

    @property
    def types(self) -> tuple[str, ...]:
        """The types of the events alone: what the order of a run is compared by."""
        return tuple(event.type for event in self._events)

    def clear(self) -> None:
        """Forgets what it was told."""
        self._events.clear()

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Keeps the event."""
        self.try_emit(type=type, data=data)

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Keeps the event."""
        self._events.append(StageEvent(type, data or {}))

    @override
    def __repr__(self) -> str:
        return f"<RecordingEventSink of {len(self._events)} events>"
