"""The records of stages, as the ledger of a run has them."""

from __future__ import annotations

from returns.result import Failure, Result, Success

from stageflow.codec.plan import named
from stageflow.core.output import StageOutput
from stageflow.core.stage import StageStatus
from stageflow.durable.cells import Cell
from stageflow.durable.values import ABSENT, Encoded, came_from, encoded
from stageflow.errors import CodecError, StageError
from stageflow.graph.execution.ledger import Ledger
from stageflow.graph.shape import Given
from stageflow.journal import StageRecord
from stageflow.running.durability import ValueCodec

Found = Result[StageRecord | None, CodecError]


def of_result(codec: ValueCodec, ledger: Ledger, slot: int, cell: Cell, path: str, result: Given) -> Found:
    """The record of a stage that gave a result; None where it comes again of what is inside the stage, or runs again.

    What only contains others is recorded where it hides how that went, or was skipped.
    """
    output: object = result.unwrap() if isinstance(result, Success) else None
    if isinstance(output, StageOutput):
        if output.status is StageStatus.OK:
            return _of_value(codec, ledger, slot, cell, path, output.data)
        if cell.contains and output.status is StageStatus.CANCEL:
            return Success(None)
        return Success(_made(ledger, slot, path, output.status.value, reason=output.reason))
    error: object = result.failure() if isinstance(result, Failure) else None
    if cell.contains or not isinstance(error, StageError):
        return Success(None)
    return Success(of_failure(codec, ledger, slot, path, error))


def of_failure(codec: ValueCodec, ledger: Ledger, slot: int, path: str, error: StageError | None) -> StageRecord:
    """The record of an attempt that failed; an error that cannot be encoded is kept as its text."""
    payload = None if error is None else codec.encode_failure(error).value_or(None)
    kept = Encoded(None, payload)
    return _made(ledger, slot, path, "fail", kept, codec="" if payload is None else codec.name, reason=str(error or ""))


def of_start(ledger: Ledger, slot: int, path: str) -> StageRecord:
    """The record of a stage that is about to run."""
    return StageRecord(path, ledger.attempt(slot), "started", started_at=ledger.run.timer.moment(ledger.begun[slot]))


def of_value(codec: ValueCodec, cell: Cell, record: StageRecord, value: object, inside: object = ABSENT) -> Found:
    """A record, changed to that of a stage which gave a value."""
    kept = encoded(codec, cell, value, inside)
    if isinstance(kept, Failure):
        return Failure(_told(kept.failure(), cell.label))
    return Success(_filled(codec, cell, record, kept.unwrap()))


def _of_value(codec: ValueCodec, ledger: Ledger, slot: int, cell: Cell, path: str, value: object) -> Found:
    inside = ledger.inside.get(slot, ABSENT)
    if cell.contains and (cell.absorber is None or came_from(inside, value)):
        return Success(None)
    return of_value(codec, cell, _made(ledger, slot, path, "ok"), value, ABSENT if cell.contains else inside)


def _filled(codec: ValueCodec, cell: Cell, record: StageRecord, kept: Encoded) -> StageRecord:
    same = kept.type is cell.type
    return StageRecord(
        record.path,
        record.attempt,
        "ok",
        codec.name,
        cell.text if same else named(kept.type),
        cell.schema_hash if same else codec.schema_hash(kept.type),
        kept.payload,
        kept.inside,
        "",
        record.started_at,
        record.duration_ms,
    )


def _made(
    ledger: Ledger,
    slot: int,
    path: str,
    status: str,
    kept: Encoded | None = None,
    *,
    codec: str = "",
    reason: str = "",
) -> StageRecord:
    timer, begun = ledger.run.timer, ledger.begun[slot]
    took = (timer.clock() - begun) * 1000
    return StageRecord(
        path,
        ledger.attempt(slot),
        status,
        codec,
        payload=None if kept is None else kept.payload,
        reason=reason,
        started_at=timer.moment(begun),
        duration_ms=took,
    )


def _told(error: CodecError, stage: str) -> CodecError:
    """The same defect, with the name of the stage that it came of."""
    made = CodecError(f'What stage "{stage}" gave cannot be recorded. {error}', stage=stage)
    made.__cause__ = error
    return made
