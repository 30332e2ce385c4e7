"""What rows are made of and read as: exactly what was kept, or an error that says where it is damaged."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn, TypeAlias, cast
from uuid import UUID

from stageflow.errors import RunStoreError
from stageflow.journal import StageRecord
from stageflow.ports import RunRecord

Value: TypeAlias = str | int | float | bytes | None
Row: TypeAlias = tuple[Value, ...]
Values: TypeAlias = dict[str, Value]

RUN_COLUMNS: Final = "id, status, pipeline, graph_fingerprint, input, correlation, metadata, created_at, updated_at"
STAGE_COLUMNS: Final = (
    "path, attempt, status, codec, type, schema_hash, payload, inside, reason, started_at, duration_ms, checksum"
)
_TEXTS: Final = ("pipeline", "graph_fingerprint")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNSAFE: Final = re.compile("[\\\\\0\ud800-\udfff]")
_ESCAPED: Final = re.compile(r"\\(\\|u[0-9a-f]{4})")
_BYTES: Final = "$bytes"
_BACKUP: Final = "Put it back from a copy, or delete the row: a stage without one runs again when its run is resumed."


def micros(moment: datetime) -> int:
    """A time as whole microseconds since 1970: exact, and a number in every database."""
    if moment.tzinfo is None:
        raise RunStoreError(f"{moment} has no time zone, so that it is no moment. Give one with tzinfo, as in UTC.")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(since_1970: int) -> datetime:
    """The time, in UTC."""
    return _EPOCH + timedelta(microseconds=since_1970)


def kept(text: str) -> str:
    r"""A text as every database takes it: what one of them refuses is escaped.

    >>> kept("a\0b"), given_back(kept("a\0\\b")) == "a\0\\b"
    ('a\\u0000b', True)
    """
    return _UNSAFE.sub(lambda found: "\\\\" if found[0] == "\\" else f"\\u{ord(found[0]):04x}", text)


def given_back(text: str) -> str:
    """What was kept as this text."""
    return _ESCAPED.sub(lambda found: "\\" if found[1] == "\\" else chr(int(found[1][1:], 16)), text)


def run_values(given: Mapping[str, object]) -> tuple[Values, dict[str, object]]:
    """The columns that metadata has of their own, and the rest of it."""
    columns: Values = {}
    rest = dict(given)
    for name in _TEXTS:
        if isinstance(text := rest.get(name), str):
            columns[name] = kept(text)
            del rest[name]
    if isinstance(input := rest.get("input"), bytes):
        columns["input"] = input
        del rest["input"]
    if isinstance(correlation := rest.get("correlation"), Mapping):
        columns["correlation"] = as_json({"correlation": cast("object", correlation)})
        del rest["correlation"]
    return columns, rest


def as_json(metadata: Mapping[str, object]) -> str:
    """Metadata as JSON, with bytes in base64.

    Raises:
        RunStoreError: JSON has no word for a value; the text says for which.
    """
    parts: list[str] = []
    for name, value in metadata.items():
        try:
            parts.append(json.dumps(_plain({name: value}), allow_nan=False)[1:-1])
        except (TypeError, ValueError, RecursionError) as error:
            raise RunStoreError(
                f"The metadata {name!r} of a run cannot be kept: {error}. Give texts, numbers, booleans, bytes, None, "
                "or lists and mappings of these."
            ) from error
    return "{" + ", ".join(parts) + "}"


def _plain(value: object) -> object:
    """The value in what JSON has words for: what would come back as something else is refused."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return {_BYTES: base64.b64encode(value).decode()}
        case Mapping():
            return {_named(key): _plain(inner) for key, inner in cast("Mapping[object, object]", value).items()}
        case list() | tuple():
            return [_plain(inner) for inner in cast("Sequence[object]", value)]
        case _:
            raise TypeError(f"{type(value).__name__} is nothing that JSON has a word for")


def _named(key: object) -> str:
    if not isinstance(key, str) or key == _BYTES:
        raise TypeError(f"{key!r} is no key that JSON can have here")
    return key


def _from_json(members: dict[str, object]) -> object:
    text = members.get(_BYTES)
    return base64.b64decode(text, validate=True) if len(members) == 1 and isinstance(text, str) else members


def metadata_of(text: str) -> dict[str, object]:
    """The metadata that was kept as this text."""
    found: object = json.loads(text, object_hook=_from_json)
    if not isinstance(found, dict):
        raise TypeError("it is no JSON object")
    return cast("dict[str, object]", found)


def run_record(row: Row) -> RunRecord:
    """The run that a row of `RUN_COLUMNS` tells of."""
    id, status, pipeline, fingerprint, input, correlation, metadata, created, updated = row
    try:
        of_columns = {"pipeline": pipeline, "graph_fingerprint": fingerprint, "input": input}
        found = {
            name: given_back(value) if isinstance(value, str) else value
            for name, value in of_columns.items()
            if value is not None
        }
        more = {} if correlation is None else metadata_of(_text(correlation))
        more = {**metadata_of(_text(metadata)), **found, **more}
        return RunRecord(UUID(_text(id)), _text(status), more, moment(_whole(created)), moment(_whole(updated)))
    except (TypeError, ValueError, OverflowError) as error:
        raise RunStoreError(f"The row of run {id!r} is damaged: {error}. Put it back from a copy.") from error


def stage_values(record: StageRecord) -> Values:
    """A row of `STAGE_COLUMNS`, by name."""
    return {
        "path": kept(record.path),
        "attempt": record.attempt,
        "status": record.status,
        "codec": record.codec,
        "type": kept(record.type),
        "schema_hash": record.schema_hash,
        "payload": record.payload,
        "inside": record.inside,
        "reason": kept(record.reason),
        "started_at": None if record.started_at is None else micros(record.started_at),
        "duration_ms": record.duration_ms,
        "checksum": _checksum(record.payload, record.inside),
    }


def stage_record(run_id: UUID, row: Row) -> StageRecord:
    """The stage that a row of `STAGE_COLUMNS` tells of."""
    path, attempt, status, codec, type, schema_hash, payload, inside, reason, started, duration, checksum = row
    try:
        record = StageRecord(
            path=given_back(_text(path)),
            attempt=_whole(attempt),
            status=_text(status),
            codec=_text(codec),
            type=given_back(_text(type)),
            schema_hash=_text(schema_hash),
            payload=_bytes(payload),
            inside=_bytes(inside),
            reason=given_back(_text(reason)),
            started_at=None if started is None else moment(_whole(started)),
            duration_ms=_number(duration),
        )
        if _checksum(record.payload, record.inside) != _whole(checksum):
            raise ValueError("its payload is not what was written")  # noqa: TRY301  (as any other damage)
    except (TypeError, ValueError, OverflowError) as error:
        raise RunStoreError(f"The row of stage {path!r} in run {run_id} is damaged: {error}. {_BACKUP}") from error
    return record


def _checksum(payload: bytes | None, inside: bytes | None) -> int:
    return zlib.crc32(inside or b"", zlib.crc32(payload or b""))


def _text(value: Value) -> str:
    return value if isinstance(value, str) else _wrong("a text", value)


def _whole(value: Value) -> int:
    return value if isinstance(value, int) else _wrong("a whole number", value)


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else _wrong("a number", value)


def _bytes(value: Value) -> bytes | None:
    return value if value is None or isinstance(value, bytes) else _wrong("bytes", value)


def _wrong(wanted: str, value: Value) -> NoReturn:
    raise TypeError(f"where {wanted} should be, there is {value!r}")


def first(rows: Sequence[Row]) -> Row | None:
    """The first row, or None where there is none."""
    return rows[0] if rows else None
