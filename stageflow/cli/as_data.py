"""Runs and their stages as plain data, for ``--json``."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import cast

import msgspec

from stageflow.core.record import StageResult
from stageflow.errors import StageError
from stageflow.graph.outcome import Cancelled, Completed, Failed, Outcome, Skipped
from stageflow.graph.report import RunReport
from stageflow.journal import StageRecord
from stageflow.ports import RunRecord


def json_text(value: object) -> str:
    """The value as JSON on indented lines; what JSON has no word for, as its ``repr``."""
    try:
        data = msgspec.json.encode(value, enc_hook=_plain)
    except Exception:  # noqa: BLE001  (a key that is no text, a number too long: it is shown all the same)
        data = msgspec.json.encode(repr(value))
    return msgspec.json.format(data, indent=2).decode()


def of_outcome(outcome: Outcome) -> dict[str, object]:
    """What a run came to."""
    about: dict[str, object] = {"run_id": str(outcome.report.run_id), "status": status(outcome)}
    match outcome:
        case Completed(value):
            about["value"] = _json_or_text(value)
        case Failed(error):
            about["error"] = of_error(error)
            about["errors"] = [of_error(each) for each in outcome.errors]
        case Skipped(reason) | Cancelled(reason):
            about["reason"] = reason
    return {**about, **_of_report(outcome.report)}


def status(outcome: Outcome) -> str:
    """What a store calls such an outcome."""
    match outcome:
        case Completed():
            return "completed"
        case Failed():
            return "failed"
        case Skipped():
            return "skipped"
        case Cancelled():
            return "cancelled"


def of_error(error: StageError) -> dict[str, object]:
    """An error: its type, its text and its fields."""
    about: dict[str, object] = {"type": type(error).__name__, "message": str(error)}
    if error.__cause__ is not None:
        about["cause"] = f"{type(error.__cause__).__name__}: {error.__cause__}"
    return about


def of_run(run: RunRecord) -> dict[str, object]:
    """A run of a store."""
    metadata = {name: _plain_bytes(value) for name, value in run.metadata.items() if name not in {"pipeline", "graph"}}
    return {
        "run_id": str(run.run_id),
        "pipeline": str(run.metadata.get("pipeline", "")),
        "status": run.status,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "metadata": metadata,
    }


def of_record(record: StageRecord) -> dict[str, object]:
    """A stage of a run of a store."""
    return {
        "stage": record.path,
        "status": record.status,
        "attempt": record.attempt,
        "started_at": record.started_at,
        "duration_ms": record.duration_ms,
        "reason": record.reason,
        "type": record.type,
        "payload": None if record.payload is None else _plain_bytes(record.payload),
    }


def _of_report(report: RunReport) -> dict[str, object]:
    return {
        "started_at": report.started_at,
        "duration_ms": report.duration_ms,
        "stages": [_of_stage(stage) for stage in report.stages.values()],
    }


def _of_stage(stage: StageResult) -> dict[str, object]:
    return {
        "name": stage.name,
        "kind": stage.kind,
        "status": stage.status,
        "attempts": stage.attempts,
        "started_at": stage.started_at,
        "duration_ms": stage.duration_ms,
        "reason": stage.reason,
        "error": None if stage.error is None else of_error(stage.error),
    }


def _json_or_text(value: object) -> object:
    """The value, where JSON can say it whole; its ``repr`` otherwise."""
    try:
        return msgspec.Raw(msgspec.json.encode(value, enc_hook=_plain))
    except Exception:  # noqa: BLE001  (a key that is no text, a number too long: it is shown all the same)
        return repr(value)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    if isinstance(value, StageError):
        return of_error(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _plain_bytes(value: object) -> object:
    """Bytes as the JSON that they mostly are; as base64 otherwise."""
    if not isinstance(value, bytes):
        return value
    try:
        return cast("object", msgspec.json.decode(value))
    except msgspec.DecodeError:
        return base64.b64encode(value).decode()
