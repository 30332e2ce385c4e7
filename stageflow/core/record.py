"""The record of one stage in a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from stageflow.core.output import StageArtifact, StageEvent
from stageflow.core.stage import StageKind, StageStatus
from stageflow.errors import StageError


@dataclass(frozen=True, slots=True)
class StageResult:
    """How one stage went.

    Attributes:
        name: the stage's name in the graph, dotted where it is inside a named pipeline.
        kind: what the stage is for.
        status: how it ended.
        attempts: how often it was tried; 0 where it never started.
        started_at: when its first attempt began, in UTC; None where it never started.
        duration_ms: milliseconds from its start to its end, all attempts.
        reason: why it was skipped or cancelled, or never started.
        error: what it failed with.
        artifacts: what it made beside its data.
        events: what happened meanwhile, in its own words.
        data: what it gave, where it was OK.
        tries: its attempts before the last, each with status RETRY, its number as ``attempts``, its time and its error.
            An attempt has no error where it did not fail itself: what is around it was tried again.
    """

    name: str
    kind: StageKind
    status: StageStatus
    attempts: int = 0
    started_at: datetime | None = None
    duration_ms: float = 0.0
    reason: str = ""
    error: StageError | None = None
    artifacts: tuple[StageArtifact, ...] = ()
    events: tuple[StageEvent, ...] = ()
    data: object = None
    tries: tuple[StageResult, ...] = ()
