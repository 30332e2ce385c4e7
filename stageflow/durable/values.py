"""What a stage gave as bytes, and back: by its declared type, through the wrappers that may hide how it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from returns.result import Failure, Result, Success

from stageflow.codec.plan import named
from stageflow.core.stage import StageStatus
from stageflow.durable.cells import Cell
from stageflow.errors import CodecError, StageError
from stageflow.graph.building.annotations import UNKNOWN
from stageflow.graph.wrapping import OrNone, Settle
from stageflow.journal import StageRecord
from stageflow.running.durability import ValueCodec

ABSENT: Final = object()  # in place of what came from inside the wrappers, where nothing did


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a stage gave, as bytes.

    Attributes:
        type: the type that the payload goes by.
        payload: what it gave; None where that is what came from inside, or nothing.
        inside: what came from inside its wrappers.
    """

    type: object
    payload: bytes | None = None
    inside: bytes | None = None


@dataclass(frozen=True, slots=True)
class Recalled:
    """A stage as it was recorded.

    Attributes:
        record: the record.
        status: how it ended; None where it did not.
        value: what it gave.
        inside: what came from inside its wrappers, or `ABSENT`.
        note: why it did not end OK: its error, or the reason.
    """

    record: StageRecord
    status: StageStatus | None
    value: object = None
    inside: object = ABSENT
    note: StageError | str = ""

    @property
    def reused(self) -> bool:
        """Whether a resumed run takes it as it is."""
        return self.status in (StageStatus.OK, StageStatus.SKIP)

    @property
    def tried(self) -> int:
        """How many attempts are known to have ended, and do not count for the next."""
        return self.record.attempt - (0 if self.status in (StageStatus.FAIL, StageStatus.CANCEL) else 1)


def encoded(codec: ValueCodec, cell: Cell, value: object, inside: object = ABSENT) -> Result[Encoded, CodecError]:
    """What a stage gave, as bytes.

    Args:
        codec: what encodes it.
        cell: the stage's place.
        value: what it gave.
        inside: what came from inside its wrappers.
    """
    if inside is ABSENT:
        return _outer(codec, cell, value)
    kept = codec.encode(inside, cell.type)
    if isinstance(kept, Failure) or came_from(inside, value):
        return kept.map(lambda data: Encoded(cell.type, None, data))
    return _outer(codec, cell, value).map(lambda outer: Encoded(outer.type, outer.payload, kept.unwrap()))


def came_from(inside: object, value: object) -> bool:
    """Whether a stage gave what came from inside its wrappers, as it is or as a success."""
    return inside is not ABSENT and (value is inside or _opened(value) is inside)


def _outer(codec: ValueCodec, cell: Cell, value: object) -> Result[Encoded, CodecError]:
    """What the wrappers made of it."""
    if isinstance(cell.absorber, OrNone) and value is None:
        return Success(Encoded(cell.type))
    error = _failure(value) if isinstance(cell.absorber, Settle) else None
    if error is not None:
        return codec.encode_failure(error).map(lambda data: Encoded(cell.type, data))
    if cell.handled is not UNKNOWN:
        handled = codec.encode(value, cell.handled)
        if isinstance(handled, Success):
            return handled.map(lambda data: Encoded(cell.handled, data))
    return codec.encode(value, cell.type).map(lambda data: Encoded(cell.type, data))


def recalled(codec: ValueCodec, cell: Cell, record: StageRecord) -> Result[Recalled, CodecError]:
    """A stage as it was recorded."""
    match record.status:
        case "ok":
            return _value(codec, cell, record)
        case "skip":
            return _skipped(codec, cell, record)
        case "fail":
            return Success(Recalled(record, StageStatus.FAIL, note=_error(codec, record)))
        case "cancel":
            return Success(Recalled(record, StageStatus.CANCEL, note=record.reason))
        case _:
            return Success(Recalled(record, None))


def _skipped(codec: ValueCodec, cell: Cell, record: StageRecord) -> Result[Recalled, CodecError]:
    if record.inside is None:
        return Success(Recalled(record, StageStatus.SKIP, note=record.reason))
    inside = codec.decode(record.inside, cell.type)
    return inside.map(lambda value: Recalled(record, StageStatus.SKIP, None, value, record.reason))


def _value(codec: ValueCodec, cell: Cell, record: StageRecord) -> Result[Recalled, CodecError]:
    inside: object = ABSENT
    if record.inside is not None:
        decoded = codec.decode(record.inside, cell.type)
        if isinstance(decoded, Failure):
            return decoded
        inside = decoded.unwrap()
    if record.payload is None:
        through = None if inside is ABSENT else inside
        value: object = Success(through) if isinstance(cell.absorber, Settle) else through
        return Success(Recalled(record, StageStatus.OK, value, inside))
    outer: Result[object, CodecError]
    if isinstance(cell.absorber, Settle):
        outer = codec.decode_failure(record.payload).map(lambda error: cast("object", Failure(error)))
    else:
        handled = cell.handled is not UNKNOWN and record.type == named(cell.handled)
        outer = codec.decode(record.payload, cell.handled if handled else cell.type)
    return outer.map(lambda value: Recalled(record, StageStatus.OK, value, inside))


def _error(codec: ValueCodec, record: StageRecord) -> StageError:
    """What it failed with; where that cannot be decoded, its text: a stage that failed runs again in any case."""
    error = None if record.payload is None else codec.decode_failure(record.payload)
    return error.unwrap() if isinstance(error, Success) else StageError(record.reason)


def _opened(value: object) -> object:
    return cast("Success[object]", value).unwrap() if isinstance(value, Success) else ABSENT


def _failure(value: object) -> StageError | None:
    error: object = cast("Failure[object]", value).failure() if isinstance(value, Failure) else None
    return error if isinstance(error, StageError) else None
