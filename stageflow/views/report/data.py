"""What a run report shows: a frozen structure of plain values, whatever it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from stageflow.views.report.drawing import Drawing

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ErrorText:
    """An error, for a reader.

    Attributes:
        type: its class, by name.
        message: what it says.
        fields: its declared fields, as text, where they are set.
        trace: its traceback with causes, notes and the members of groups; empty where it was never raised.
    """

    type: str
    message: str
    fields: Pairs = ()
    trace: str = ""


@dataclass(frozen=True, slots=True)
class EventText:
    """An event, for a reader.

    Attributes:
        type: what happened.
        at_ms: milliseconds from the run's start.
        data: the particulars, without the ids that every event carries.
    """

    type: str
    at_ms: float
    data: Pairs = ()


@dataclass(frozen=True, slots=True)
class ArtifactText:
    """An artifact, for a reader."""

    type: str
    payload: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a stage.

    Attributes:
        at_ms: milliseconds from the run's start to the begin of the try.
        error: what the try before it failed with; empty for the first.
    """

    at_ms: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class StageEntry:
    """How one stage went.

    Attributes:
        name: its full name, with the numbers of items.
        kind: what it is for; empty where nobody knows.
        status: ``ok``, ``fail``, ``skip``, ``cancel``, ``running`` or ``waiting``.
        attempts: how often it was tried; 0 where it never started.
        start_ms: milliseconds from the run's start to its own; None where it never started.
        duration_ms: milliseconds from its start to its end, all attempts.
        reason: why it was skipped or cancelled, or never started.
        tries: when each attempt began, where events tell.
    """

    name: str
    kind: str
    status: str
    attempts: int = 0
    start_ms: float | None = None
    duration_ms: float = 0.0
    reason: str = ""
    error: ErrorText | None = None
    artifacts: tuple[ArtifactText, ...] = ()
    events: tuple[EventText, ...] = ()
    tries: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that the page of a run shows; made by `outcome_report` or `stored_report`.

    Attributes:
        pipeline: what the graph is called.
        run_id: the run, as text.
        status: ``completed``, ``failed``, ``skipped``, ``cancelled`` or ``running``.
        started_at: when it started, in UTC.
        duration_ms: milliseconds from its start to its end.
        stages: how each stage went, in graph order.
        drawing: the graph; without nodes where the pipeline was not given.
        critical: the names of the stages that determined when the run ended, first to last.
        reason: why it was skipped or cancelled.
        error: what it failed with first.
        correlation: the ids that tie it to what caused it.
        events: the events of the run itself.
    """

    pipeline: str
    run_id: str
    status: str
    started_at: datetime
    duration_ms: float
    stages: tuple[StageEntry, ...]
    drawing: Drawing
    critical: tuple[str, ...] = ()
    reason: str = ""
    error: str = ""
    correlation: Pairs = ()
    events: tuple[EventText, ...] = ()
