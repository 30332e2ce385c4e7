"""The events of runs as typed frozen records; `stageflow.observability.taxonomy` makes them of what sinks are told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, final
from uuid import UUID

from stageflow.core.stage import StageKind, StageStatus
from stageflow.ports import CorrelationIds


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfRun:
    """What every event of a run says.

    Attributes:
        run_id: the run.
        correlation: the ids that tie it to what caused it.
    """

    run_id: UUID
    correlation: CorrelationIds


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfPipeline(_OfRun):
    """What an event about a whole run says.

    Attributes:
        pipeline: the name of the graph.
    """

    pipeline: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunCreated(_OfPipeline):
    """A run is about to be, and a store may not know of it yet."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed(_OfPipeline):
    """A durable run goes on, in another process as a rule: told there in place of `RunCreated` and `RunStarted`."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(_OfPipeline):
    """A run begins with its first stage."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunCompleted(_OfPipeline):
    """A run came to its output, or its output was skipped.

    Attributes:
        status: OK or SKIP.
        duration_ms: milliseconds from start to end.
        reason: why it was skipped; empty where OK.
    """

    status: StageStatus
    duration_ms: float
    reason: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunFailed(_OfPipeline):
    """A run failed.

    Attributes:
        duration_ms: milliseconds from start to end.
        error: what its first failure says.
        error_type: the class of that error, by name.
    """

    duration_ms: float
    error: str
    error_type: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunCancelled(_OfPipeline):
    """A run was cancelled: by a stage, its handle, its deadline, or with the task that awaited it.

    Attributes:
        duration_ms: milliseconds from start to end.
        reason: why.
    """

    duration_ms: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfStage(_OfRun):
    """What an event about a stage says.

    Attributes:
        stage: its name in the graph, dotted where it is inside a named pipeline.
        kind: what it is for.
        attempt: which try this is, from 1; 0 where it never started.
    """

    stage: str
    kind: StageKind
    attempt: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted(_OfStage):
    """A stage began."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StageRetrying(_OfStage):
    """A stage begins once more."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StageMade(_OfStage):
    """A stage made an artifact, which came with its output.

    Attributes:
        artifact_type: what it is, in the application's words.
        payload: the thing, or where it is.
        made_at: when it was made, in UTC; None where that was not told.
    """

    artifact_type: str
    payload: object
    made_at: datetime | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StageCompleted(_OfStage):
    """A stage did its work.

    Attributes:
        duration_ms: milliseconds from start to end, all attempts.
    """

    duration_ms: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StageFailed(_OfStage):
    """A stage failed.

    Attributes:
        duration_ms: milliseconds from start to end, all attempts.
        error: what its error says.
        error_type: the class of that error, by name.
    """

    duration_ms: float
    error: str
    error_type: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StageSkipped(_OfStage):
    """A stage had nothing to do, or follows one that had nothing to do.

    Attributes:
        duration_ms: milliseconds from start to end; 0 where it never started.
        reason: why.
    """

    duration_ms: float
    reason: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StageCancelled(_OfStage):
    """A stage was cancelled on its way, or ended the run itself.

    Attributes:
        duration_ms: milliseconds from start to end.
        reason: why.
    """

    duration_ms: float
    reason: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class EventsDropped:
    """A queue had no room for some of the events before this one.

    Attributes:
        dropped: how many were dropped since the last such event.
        dropped_total: how many were dropped since the queue was made.
        capacity: how many events the queue keeps.
    """

    dropped: int
    dropped_total: int
    capacity: int


RunEvent: TypeAlias = RunCreated | RunStarted | RunResumed | RunCompleted | RunFailed | RunCancelled
EventOfStage: TypeAlias = (
    StageStarted | StageRetrying | StageMade | StageCompleted | StageFailed | StageSkipped | StageCancelled
)
LifecycleEvent: TypeAlias = RunEvent | EventOfStage | EventsDropped
