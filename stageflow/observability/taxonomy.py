"""The events of runs, all of them, and `parse`, which makes typed records of what a sink is told.

==================================  ======================================================================
type                                record
==================================  ======================================================================
``pipeline.created``                `RunCreated`
``pipeline.started``                `RunStarted`
``pipeline.resumed``                `RunResumed`, in place of the two before
``pipeline.completed``              `RunCompleted`, with status OK or SKIP
``pipeline.failed``                 `RunFailed`
``pipeline.cancelled``              `RunCancelled`
``stage.{name}.started``            `StageStarted`
``stage.{name}.retrying``           `StageRetrying`, one per further attempt
``stage.{name}.artifact``           `StageMade`, one per artifact of its output
``stage.{name}.completed``          `StageCompleted`
``stage.{name}.failed``             `StageFailed`
``stage.{name}.skipped``            `StageSkipped`, also of a stage that never started
``stage.{name}.cancelled``          `StageCancelled`
``events.dropped``                  `EventsDropped`, from a `QueueEventSink`
what a stage calls it               `StageEvent`: what a stage emits or brings along, in its own words
==================================  ======================================================================

A run has ``created``, ``started`` and one of the last three, and one that goes on has ``resumed`` and one of them; a
stage that started has one of its last four. A run that goes on tells nothing of stages that it takes as they were
recorded; a stage that was cut off is told as started again, and one that is known to have failed as retrying.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict, final
from uuid import UUID

from stageflow.core.output import StageEvent
from stageflow.core.stage import StageKind, StageStatus
from stageflow.observability.records import (
    EventOfStage,
    EventsDropped,
    LifecycleEvent,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunEvent,
    RunFailed,
    RunResumed,
    RunStarted,
    StageCancelled,
    StageCompleted,
    StageFailed,
    StageMade,
    StageRetrying,
    StageSkipped,
    StageStarted,
)
from stageflow.ports import CorrelationIds

__all__ = [
    "EventOfStage",
    "EventsDropped",
    "LifecycleEvent",
    "RunCancelled",
    "RunCompleted",
    "RunCreated",
    "RunEvent",
    "RunFailed",
    "RunResumed",
    "RunStarted",
    "StageCancelled",
    "StageCompleted",
    "StageFailed",
    "StageMade",
    "StageRetrying",
    "StageSkipped",
    "StageStarted",
    "parse",
]

_NO_IDS = frozenset(
    {
        *("run_id", "request_id", "trace_id", "pipeline", "status", "stage", "kind", "attempt"),
        *("duration_ms", "reason", "error", "error_type", "artifact_type", "payload", "made_at"),
    }
)


def parse(type: str, data: Mapping[str, object] | None) -> LifecycleEvent | StageEvent:
    """The record of an event, from what an `EventSink` is told; ids and times may also be as JSON has them.

    What is none of the library's own events, or has not what such an event has, is a `StageEvent` as it came.

    >>> parse("events.dropped", {"dropped": 3, "dropped_total": 5, "capacity": 100})
    EventsDropped(dropped=3, dropped_total=5, capacity=100)
    >>> own = parse("cache.hit", {"key": "a"})
    >>> own.type if isinstance(own, StageEvent) else "known"
    'cache.hit'
    """
    told = _Told(data or {})
    try:
        return _record(type, told) or StageEvent(type, told.data)
    except _OtherwiseError:
        return StageEvent(type, told.data)


class _OtherwiseError(Exception):
    """The event has not what its type promises: a stage has called its own so."""


@final
class _Told:
    """What an event carries, read as what it is to be."""

    __slots__ = ("data",)

    def __init__(self, data: Mapping[str, object]) -> None:
        self.data = data

    def text(self, key: str) -> str:
        value = self.data.get(key)
        if not isinstance(value, str):
            raise _OtherwiseError
        return value

    def count(self, key: str) -> int:
        value = self.data.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _OtherwiseError
        return value

    def milliseconds(self) -> float:
        value = self.data.get("duration_ms")
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _OtherwiseError
        return float(value)

    def run_id(self) -> UUID:
        found = _uuid(self.data.get("run_id"))
        if found is None:
            raise _OtherwiseError
        return found

    def kind(self) -> StageKind:
        try:
            return StageKind(self.text("kind"))
        except ValueError:
            raise _OtherwiseError from None

    def status(self) -> StageStatus:
        try:
            return StageStatus(self.text("status"))
        except ValueError:
            raise _OtherwiseError from None

    def correlation(self) -> CorrelationIds:
        trace_id = self.data.get("trace_id")
        return CorrelationIds(
            run_id=self.run_id(),
            request_id=_uuid(self.data.get("request_id")),
            trace_id=trace_id if isinstance(trace_id, str) else None,
            extra={key: id for key, id in self.data.items() if key not in _NO_IDS and isinstance(id, str)},
        )


def _uuid(value: object) -> UUID | None:
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _moment(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _record(type: str, told: _Told) -> LifecycleEvent | None:
    if type == "events.dropped":
        return EventsDropped(
            dropped=told.count("dropped"), dropped_total=told.count("dropped_total"), capacity=told.count("capacity")
        )
    if type.startswith("pipeline."):
        return _of_run(type, told)
    return _of_stage(type, told) if type.startswith("stage.") else None


class _AboutRun(TypedDict):
    run_id: UUID
    correlation: CorrelationIds
    pipeline: str


def _of_run(type: str, told: _Told) -> RunEvent | None:
    about: _AboutRun = {
        "run_id": told.run_id(),
        "correlation": told.correlation(),
        "pipeline": told.text("pipeline"),
    }
    match type.removeprefix("pipeline."):
        case "created":
            return RunCreated(**about)
        case "started":
            return RunStarted(**about)
        case "resumed":
            return RunResumed(**about)
        case "completed":
            reason = told.text("reason") if "reason" in told.data else ""
            return RunCompleted(**about, status=told.status(), duration_ms=told.milliseconds(), reason=reason)
        case "failed":
            error, error_type = told.text("error"), told.text("error_type")
            return RunFailed(**about, duration_ms=told.milliseconds(), error=error, error_type=error_type)
        case "cancelled":
            return RunCancelled(**about, duration_ms=told.milliseconds(), reason=told.text("reason"))
        case _:
            return None


class _AboutStage(TypedDict):
    run_id: UUID
    correlation: CorrelationIds
    stage: str
    kind: StageKind
    attempt: int


def _of_stage(type: str, told: _Told) -> EventOfStage | None:
    about: _AboutStage = {
        "run_id": told.run_id(),
        "correlation": told.correlation(),
        "stage": told.text("stage"),
        "kind": told.kind(),
        "attempt": told.count("attempt"),
    }
    # A name may have dots of its own, so the word is what follows the name and not what follows the last dot.
    match type.removeprefix(f"stage.{about['stage']}."):
        case "started":
            return StageStarted(**about)
        case "retrying":
            return StageRetrying(**about)
        case "artifact":
            kind, made_at = told.text("artifact_type"), _moment(told.data.get("made_at"))
            return StageMade(**about, artifact_type=kind, payload=told.data.get("payload"), made_at=made_at)
        case "completed":
            return StageCompleted(**about, duration_ms=told.milliseconds())
        case "failed":
            error, error_type = told.text("error"), told.text("error_type")
            return StageFailed(**about, duration_ms=told.milliseconds(), error=error, error_type=error_type)
        case "skipped":
            return StageSkipped(**about, duration_ms=told.milliseconds(), reason=told.text("reason"))
        case "cancelled":
            return StageCancelled(**about, duration_ms=told.milliseconds(), reason=told.text("reason"))
        case _:
            return None
