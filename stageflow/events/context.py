"""The ambient sink: what runs in this context send their events to, beside their own sinks."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from stageflow.events.sink import NoOpEventSink
from stageflow.ports import EventSink

_NO_OP = NoOpEventSink()
_ambient: ContextVar[EventSink] = ContextVar("stageflow_event_sink", default=_NO_OP)


def set_event_sink(sink: EventSink) -> None:
    """Makes this the sink of runs started in the current context; prefer ``with event_sink(sink):``."""
    _ambient.set(sink)


def get_event_sink() -> EventSink:
    """The sink of runs started in the current context; a `NoOpEventSink` where none was set."""
    return _ambient.get()


def clear_event_sink() -> None:
    """Takes the current context's sink away."""
    _ambient.set(_NO_OP)


@contextmanager
def event_sink(sink: EventSink) -> Generator[EventSink]:
    """Sends the events of runs inside the block to this sink, and restores the former one after it.

    >>> with event_sink(NoOpEventSink()) as sink:
    ...     get_event_sink() is sink
    True
    """
    token = _ambient.set(sink)
    try:
        yield sink
    finally:
        _ambient.reset(token)
