"""The report of a run from what a store kept of it: also of a run that was killed, or that still goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import cast

from stageflow.core.output import StageEvent
from stageflow.errors import StageError
from stageflow.journal import StageRecord
from stageflow.ports import RunRecord
from stageflow.views.report.data import ErrorText, ReportData, StageEntry
from stageflow.views.report.drawing import Drawing
from stageflow.views.report.heard import Heard
from stageflow.views.report.members import Members, numbers_of
from stageflow.views.report.outcome import AnyPipeline, called, critical_of, drawn
from stageflow.views.report.texts import error_text, milliseconds
from stageflow.views.report.unrecorded import unrecorded

Decode = Callable[[StageRecord], StageError | None]
_NO_ID = frozenset({"pipeline", "reason", "error", "error_type"})  # what the executor keeps among ids


def stored_report(
    run: RunRecord,
    records: Sequence[StageRecord],
    pipeline: AnyPipeline | None = None,
    events: Iterable[StageEvent] = (),
    *,
    decode: Decode | None = None,
) -> ReportData:
    """What the page of a run shows, from what a store kept of it.

    Args:
        run: the run, as ``get_run`` gives it.
        records: its stages, as ``load`` of a `StageJournal` gives them.
        pipeline: what was run; without it the page has no graph, no critical path and no stage that never started.
        events: what was kept of its events, if anything.
        decode: makes the error of a failed stage's record again; without it the page says only that it failed.
    """
    ids = _ids(run.metadata)
    heard = Heard(events, str(run.run_id), run.created_at, ids)
    drawing = drawn(pipeline)
    latest = {record.path: record for record in records if not record.contains}
    kinds = _Kinds(drawing, latest)
    kept = tuple(_entry(record, kinds, run.created_at, heard, decode) for record in latest.values())
    stages = (*kept, *unrecorded(drawing, latest, run.status))
    return ReportData(
        pipeline=str(run.metadata.get("pipeline", called(pipeline))),
        run_id=str(run.run_id),
        status=run.status,
        started_at=run.created_at,
        duration_ms=milliseconds(run.created_at, run.updated_at),
        stages=_in_order(stages, drawing),
        drawing=drawing,
        critical=critical_of(stages, drawing, run.status),
        reason=str(run.metadata.get("reason", "")),
        error=str(run.metadata.get("error", "")),
        correlation=tuple(ids.items()),
        events=heard.of_run,
    )


def _ids(metadata: Mapping[str, object]) -> dict[str, str]:
    """The correlation of a run: in one entry where its stages are kept too, else among what else is kept of it."""
    together = metadata.get("correlation")
    if not isinstance(together, Mapping):
        return {name: id for name, id in metadata.items() if isinstance(id, str) and name not in _NO_ID}
    found = cast("Mapping[str, object]", together)
    extra = found.get("extra")
    ids = {**found, **(cast("Mapping[str, object]", extra) if isinstance(extra, Mapping) else {})}
    return {name: id for name, id in ids.items() if isinstance(id, str)}


class _Kinds:
    """What stages are for, which records do not say."""

    def __init__(self, drawing: Drawing, names: Iterable[str]) -> None:
        self._drawing = drawing
        self._members = Members(drawing, names)

    def of(self, name: str) -> str:
        node = self._members.node(name)
        return self._drawing.nodes[node].kind if node >= 0 else ""


def _entry(record: StageRecord, kinds: _Kinds, started_at: datetime, heard: Heard, decode: Decode | None) -> StageEntry:
    return StageEntry(
        name=record.path,
        kind=kinds.of(record.path),
        status="running" if record.status == "started" else record.status,
        attempts=record.attempt,
        start_ms=None if record.started_at is None else milliseconds(started_at, record.started_at),
        duration_ms=record.duration_ms,
        reason=record.reason,
        error=_error(record, decode),
        events=heard.of_stage(record.path),
        tries=heard.tries(record.path),
    )


def _error(record: StageRecord, decode: Decode | None) -> ErrorText | None:
    if record.status != "fail":
        return None
    error = None if decode is None else decode(record)
    if error is not None:
        return error_text(error)
    return ErrorText(record.type or "an error", record.reason or "The store keeps it encoded; nothing here decodes it.")


def _in_order(stages: tuple[StageEntry, ...], drawing: Drawing) -> tuple[StageEntry, ...]:
    """The stages in graph order, the items of an ``.each`` by their numbers."""
    members = Members(drawing, (stage.name for stage in stages))
    return tuple(sorted(stages, key=lambda stage: (members.node(stage.name), numbers_of(stage.name))))
