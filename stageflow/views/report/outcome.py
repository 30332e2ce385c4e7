"""The report of a run from its outcome: all that the library knows of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias

from typing_extensions import Never

from stageflow.core.output import StageEvent
from stageflow.core.record import StageResult
from stageflow.errors import StageError
from stageflow.graph.executor import UnifiedStageGraph
from stageflow.graph.outcome import Cancelled, Completed, Failed, Outcome, Skipped
from stageflow.pipeline.builder import Stage
from stageflow.views.report.critical import Span, critical_path
from stageflow.views.report.data import ReportData, StageEntry
from stageflow.views.report.drawing import Drawing, drawing_of
from stageflow.views.report.heard import Heard
from stageflow.views.report.members import Members
from stageflow.views.report.texts import artifact_texts, error_text, milliseconds

AnyPipeline: TypeAlias = Stage[Never, object, StageError] | UnifiedStageGraph[Never, object, StageError]


def outcome_report(
    outcome: Outcome, pipeline: AnyPipeline | None = None, events: Iterable[StageEvent] = ()
) -> ReportData:
    """What the page of a run shows, from what the run came to.

    Args:
        outcome: what awaiting the run gave.
        pipeline: what was run; without it the page has no graph and no critical path.
        events: what a `RecordingEventSink` kept of the run; they give the times of attempts, and what stages emitted.

    >>> import asyncio
    >>> from stageflow import lift
    >>> pipeline = lift(str.split) | lift(len)
    >>> report = outcome_report(asyncio.run(pipeline.run("a b")), pipeline)
    >>> report.status, [stage.name for stage in report.stages], report.critical
    ('completed', ['split', 'len'], ('split', 'len'))
    """
    report = outcome.report
    status, reason, error = _words(outcome)
    ids = {name: str(id) for name, id in report.correlation.as_mapping().items()}
    heard = Heard(events, str(report.run_id), report.started_at, ids)
    stages = tuple(_entry(stage, report.started_at, heard) for stage in report.stages.values())
    drawing = drawn(pipeline)
    return ReportData(
        pipeline=called(pipeline),
        run_id=str(report.run_id),
        status=status,
        started_at=report.started_at,
        duration_ms=report.duration_ms,
        stages=stages,
        drawing=drawing,
        critical=critical_of(stages, drawing, status),
        reason=reason,
        error=error,
        correlation=tuple(ids.items()),
        events=heard.of_run,
    )


def drawn(pipeline: AnyPipeline | None) -> Drawing:
    """The drawing of a pipeline; an empty one where there is none."""
    return Drawing() if pipeline is None else drawing_of(pipeline.diagram())


def called(pipeline: AnyPipeline | None) -> str:
    """What a pipeline is called."""
    return "run" if pipeline is None else pipeline.name


def critical_of(stages: Iterable[StageEntry], drawing: Drawing, status: str) -> tuple[str, ...]:
    """The names of the stages that determined the end of a run; none where its graph is not known.

    Where a stage failed or another ended it, what was cancelled was cut short by that, and does not count; where the
    run itself was cancelled, it ended with what ran then.
    """
    began = [stage for stage in stages if stage.start_ms is not None and stage.status != "running"]
    counted = began if status == "cancelled" else [stage for stage in began if stage.status != "cancel"]
    if not drawing.nodes:
        return ()
    members = Members(drawing, (stage.name for stage in counted))
    return critical_path({stage.name: _span(stage) for stage in counted}, members.followed)


def _span(stage: StageEntry) -> Span:
    start = stage.start_ms or 0.0
    return Span(start, start + stage.duration_ms)


def _words(outcome: Outcome) -> tuple[str, str, str]:
    """How the page calls an outcome, why it was that, and its error."""
    match outcome:
        case Completed():
            return "completed", "", ""
        case Failed(error):
            return "failed", "", str(error)
        case Skipped(reason):
            return "skipped", reason, ""
        case Cancelled(reason):
            return "cancelled", reason, ""


def _entry(stage: StageResult, started_at: datetime, heard: Heard) -> StageEntry:
    return StageEntry(
        name=stage.name,
        kind=stage.kind.value,
        status=stage.status.value,
        attempts=stage.attempts,
        start_ms=None if stage.started_at is None else milliseconds(started_at, stage.started_at),
        duration_ms=stage.duration_ms,
        reason=stage.reason,
        error=None if stage.error is None else error_text(stage.error),
        artifacts=artifact_texts(stage.artifacts),
        events=heard.of_stage(stage.name, stage.events),
        tries=heard.tries(stage.name),
    )
