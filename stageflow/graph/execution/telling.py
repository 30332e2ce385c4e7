"""Telling sinks what happens in a run: in causal order, each event once, and never at the run's expense."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from stageflow.core.output import StageArtifact, StageEvent
from stageflow.core.stage import StageKind
from stageflow.errors import StageError
from stageflow.graph.stepping import never_waits
from stageflow.ports import EventSink, ExpectingSink

_LOG = logging.getLogger(__name__)
RAISED = (
    Exception,
    asyncio.CancelledError,
)  # a call that does not wait cannot be cancelled: the sink raised it itself
LAST_EVENT_SECONDS = 10.0  # how long a run waits for a sink to take its last event


class Send(Protocol):
    """Takes an event."""

    def __call__(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Takes it at once."""


class Teller:
    """What the executor tells of one run.

    Args:
        sinks: where to.
        about: what goes with every event.

    Attributes:
        send: takes one event; where it raises one of `RAISED`, the caller says so by `lost`. The pool tells of the
            start and end of nearly every stage by it, without a detour.
    """

    __slots__ = ("about", "send", "sinks")

    def __init__(self, sinks: tuple[EventSink, ...], about: Mapping[str, object]) -> None:
        self.sinks: tuple[EventSink, ...] = sinks
        self.send: Send = sinks[0].try_emit if len(sinks) == 1 else _to_all(sinks)
        self.about: Mapping[str, object] = about

    def watched(self, sink: EventSink) -> None:
        """Tells another sink too, from now on."""
        self.sinks = (*self.sinks, sink)
        self.send = _to_all(self.sinks)

    def tell(self, type: str, **data: object) -> None:
        """Tells an event of the run."""
        self._send(type, {**self.about, **data})

    def began(self, type: str, name: str, kind: StageKind, attempt: int) -> None:
        """Tells that a stage started."""
        self._send(type, {**self.about, "stage": name, "kind": kind, "attempt": attempt})

    def retrying(self, name: str, kind: StageKind, attempt: int, error: StageError | None) -> None:
        """Tells that a stage is tried again, and what the former try failed with."""
        why = {} if error is None else {"error": str(error), "error_type": type(error).__name__}
        about = {**self.about, "stage": name, "kind": kind, "attempt": attempt, **why}
        self._send(f"stage.{name}.retrying", about)

    def ended(self, name: str, kind: StageKind, how: tuple[str, int, float], **more: object) -> None:
        """Tells how a stage ended: the word for it, its attempts, and its milliseconds."""
        what, attempt, duration_ms = how
        about = {**self.about, "stage": name, "kind": kind, "attempt": attempt, "duration_ms": duration_ms}
        self._send(f"stage.{name}.{what}", {**about, **more} if more else about)

    def expecting(self, name: str, items: int, done: Callable[[], int]) -> None:
        """Tells sinks that want to know how many items a stage is about to go through."""
        for sink in self.sinks:
            if isinstance(sink, ExpectingSink):
                try:
                    sink.expect(stage=name, items=items, done=done, data=self.about)
                except RAISED:
                    _lost(sink, f"the items of {name}")

    def own(self, name: str, event: StageEvent) -> None:
        """Tells an event that a stage's output brought along."""
        self._send(event.type, {**self.about, "stage": name, **event.data})

    def made(self, name: str, kind: StageKind, attempt: int, artifact: StageArtifact) -> None:
        """Tells of an artifact that a stage's output brought along."""
        about = {**self.about, "stage": name, "kind": kind, "attempt": attempt}
        what = {"artifact_type": artifact.type, "payload": artifact.payload, "made_at": artifact.timestamp}
        self._send(f"stage.{name}.artifact", {**about, **what})

    @property
    def at_once(self) -> bool:
        """Whether the last event is told without a wait, so that no cancellation can come between."""
        return all(never_waits(sink.emit) for sink in self.sinks)

    async def last(self, type: str, **data: object) -> None:
        """Tells the run's last event, and waits until the sinks have it; called in a task of its own."""
        data = {**self.about, **data}
        for sink in self.sinks:
            try:
                await _in_time(sink, type, data)
            except RAISED:
                task = asyncio.current_task()
                if task is not None and task.cancelling():  # by a loop on its way out: do not wait again
                    _send_to(sink, type, data)
                    continue
                _LOG.exception("The sink %r did not take %s; the run's outcome stands.", sink, type)

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Tells an event that a stage emits while it runs."""
        self._send(type, data or {})

    def lost(self, type: str) -> None:
        """Says in the log that the one sink there is did not take an event."""
        _lost(self.sinks[0], type)

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """The same."""
        self.try_emit(type=type, data=data)

    def _send(self, type: str, data: Mapping[str, object]) -> None:
        for sink in self.sinks:
            _send_to(sink, type, data)


def _send_to(sink: EventSink, type: str, data: Mapping[str, object] | None) -> None:
    try:
        sink.try_emit(type=type, data=data)
    except RAISED:
        _lost(sink, type)


def _to_all(sinks: tuple[EventSink, ...]) -> Send:
    def send(*, type: str, data: Mapping[str, object] | None) -> None:
        for sink in sinks:
            _send_to(sink, type, data)

    return send


def _lost(sink: EventSink, type: str) -> None:
    _LOG.exception("The sink %r did not take %s; the run goes on.", sink, type)


async def _in_time(sink: EventSink, type: str, data: Mapping[str, object]) -> None:
    """Awaits a sink, but not for ever; one that cannot wait costs no timer."""
    if never_waits(sink.emit):
        await sink.emit(type=type, data=data)
        return
    async with asyncio.timeout(LAST_EVENT_SECONDS):
        await sink.emit(type=type, data=data)
