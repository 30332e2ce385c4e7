"""What a store does, in statements: a driver sends each to its database and gives the rows back.

An operation knows no database: it is the same for each, in a thread as in a coroutine. What it refuses it refuses
before it changes anything, so that others in the same transaction are not touched.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias, TypeVar
from uuid import UUID

from stageflow.errors import LeaseHeldError, RunStoreError
from stageflow.journal import Lease, StageRecord
from stageflow.ports import RunRecord
from stageflow.stores._rows import (
    RUN_COLUMNS,
    STAGE_COLUMNS,
    Row,
    Value,
    Values,
    as_json,
    first,
    given_back,
    kept,
    metadata_of,
    micros,
    moment,
    run_record,
    run_values,
    stage_record,
    stage_values,
)
from stageflow.stores.page import RunPage

_T = TypeVar("_T")
Operation: TypeAlias = Generator[tuple[str, Mapping[str, Value]], Sequence[Row], _T]

_CREATE: Final = f"""
    INSERT INTO run (id, status, pipeline, graph_fingerprint, input, correlation, metadata, lease_owner, lease_token,
                     lease_until, created_at, updated_at)
    VALUES (:id, 'running', :pipeline, :graph_fingerprint, :input, :correlation, :metadata, :owner, :token,
            :micros + <now>, <now>, <now>)
    ON CONFLICT (id) DO NOTHING RETURNING lease_until, {RUN_COLUMNS}"""  # noqa: S608  (of constants)
_GET: Final = f"SELECT {RUN_COLUMNS} FROM run WHERE id = :id"  # noqa: S608  (of constants)
_METADATA: Final = "SELECT metadata FROM run WHERE id = :id <alone>"
_UPDATE: Final = """
    UPDATE run SET status = :status, metadata = :metadata, updated_at = <now>,
        pipeline = coalesce(:pipeline, pipeline), graph_fingerprint = coalesce(:graph_fingerprint, graph_fingerprint),
        input = coalesce(:input, input), correlation = coalesce(:correlation, correlation)
    WHERE id = :id"""
_ACQUIRE: Final = """
    UPDATE run SET lease_owner = :owner, lease_token = lease_token + 1, lease_until = :micros + <now>
    WHERE id = :id AND (lease_owner IS NULL OR lease_until <= <now>) RETURNING lease_token, lease_until"""
_RENEW: Final = """
    UPDATE run SET lease_until = :micros + <now>
    WHERE id = :id AND lease_token = :token AND lease_owner = :owner RETURNING lease_until"""
_RELEASE: Final = """
    UPDATE run SET lease_owner = NULL, lease_until = 0
    WHERE id = :id AND lease_token = :token AND lease_owner = :owner"""
_HOLDER: Final = "SELECT lease_owner, lease_until, lease_token FROM run WHERE id = :id <alone>"
_RECORD: Final = f"""
    INSERT INTO stage (run, {STAGE_COLUMNS})
    SELECT id, :path, :attempt, :status, :codec, :type, :schema_hash, :payload, :inside, :reason, :started_at,
           :duration_ms, :checksum
    FROM run WHERE id = :id AND lease_token = :token AND lease_owner = :owner <share>
    ON CONFLICT (run, path, attempt) DO UPDATE SET seq = <next>, status = excluded.status, codec = excluded.codec,
        type = excluded.type, schema_hash = excluded.schema_hash, payload = excluded.payload,
        inside = excluded.inside, reason = excluded.reason, started_at = excluded.started_at,
        duration_ms = excluded.duration_ms, checksum = excluded.checksum
    RETURNING attempt"""  # noqa: S608  (of constants)
_LOAD: Final = f"""
    SELECT {STAGE_COLUMNS} FROM stage AS kept WHERE run = :id
        AND attempt = (SELECT max(attempt) FROM stage AS other WHERE other.run = kept.run AND other.path = kept.path)
    ORDER BY seq"""  # noqa: S608  (of constants)
_PRUNE: Final = """
    DELETE FROM run WHERE id IN (
        SELECT id FROM run WHERE updated_at < <now> - :micros AND (status <> 'running' OR :running = 1)
            AND (lease_owner IS NULL OR lease_until <= <now>) LIMIT :limit <skip>)
    RETURNING id"""


def create(run_id: UUID, metadata: Mapping[str, object]) -> Operation[RunRecord]:
    """Keeps a new run that nobody has a lease of."""
    return run_record((yield from _created(run_id, None, 0.0, metadata))[1:])


def begin(run_id: UUID, owner: str, seconds: float, metadata: Mapping[str, object]) -> Operation[Lease]:
    """Keeps a new run under its first lease."""
    row = yield from _created(run_id, owner, seconds, metadata)
    return Lease(run_id, owner, 1, moment(_int(row[0])))


def _created(run_id: UUID, owner: str | None, seconds: float, metadata: Mapping[str, object]) -> Operation[Row]:
    columns, rest = run_values(metadata)
    values: Values = {"pipeline": None, "graph_fingerprint": None, "input": None, "correlation": None, **columns}
    leased: Values = {"owner": owner if owner is None else kept(owner), "token": int(owner is not None)}
    times: Values = {"micros": _micros(seconds)}
    row = first((yield _CREATE, {"id": str(run_id), "metadata": as_json(rest), **values, **leased, **times}))
    if row is None:
        raise RunStoreError(f"The run {run_id} is kept already. Resume it, or give the new run another id.")
    return row


def update(run_id: UUID, status: str, data: Mapping[str, object]) -> Operation[None]:
    """Changes the status of a run and adds to its metadata."""
    columns, rest = run_values(data)
    row = first((yield _METADATA, {"id": str(run_id)}))
    if row is None:
        raise _unknown(run_id)
    try:
        before = metadata_of(str(row[0]))
    except (TypeError, ValueError) as error:
        raise RunStoreError(f"The metadata of run {run_id} is damaged: {error}. Put it back from a copy.") from error
    none: Values = {"pipeline": None, "graph_fingerprint": None, "input": None, "correlation": None}
    more: Values = {"id": str(run_id), "status": status, "metadata": as_json({**before, **rest})}
    yield _UPDATE, {**none, **columns, **more}


def get(run_id: UUID) -> Operation[RunRecord | None]:
    """The run, or None."""
    row = first((yield _GET, {"id": str(run_id)}))
    return None if row is None else run_record(row)


def acquire(run_id: UUID, owner: str, seconds: float) -> Operation[Lease]:
    """The lease, where nobody has it or it has ended."""
    values: Values = {"id": str(run_id), "owner": kept(owner), "micros": _micros(seconds)}
    row = first((yield _ACQUIRE, values))
    if row is None:
        raise (yield from _held(run_id))
    return Lease(run_id, owner, _int(row[0]), moment(_int(row[1])))


def renew(lease: Lease, seconds: float) -> Operation[Lease]:
    """The same lease, for longer."""
    row = first((yield _RENEW, {**_of(lease), "micros": _micros(seconds)}))
    if row is None:
        raise (yield from _held(lease.run_id))
    return Lease(lease.run_id, lease.owner, lease.token, moment(_int(row[0])))


def release(lease: Lease) -> Operation[None]:
    """Gives the lease back."""
    yield _RELEASE, _of(lease)


def end(lease: Lease, status: str, data: Mapping[str, object]) -> Operation[None]:
    """The last status of a run, and its lease back."""
    row = first((yield _HOLDER, {"id": str(lease.run_id)}))
    if row is None or (row[0], row[2]) != (kept(lease.owner), lease.token):
        raise (yield from _held(lease.run_id))
    yield from update(lease.run_id, status, data)
    yield from release(lease)


def record(lease: Lease, stage: StageRecord) -> Operation[None]:
    """Keeps a stage, where the lease is still the run's."""
    if not (yield _RECORD, {**_of(lease), **stage_values(stage)}):
        raise (yield from _held(lease.run_id))


def load(run_id: UUID) -> Operation[tuple[StageRecord, ...]]:
    """The stages of a run, in one reading."""
    rows = yield _LOAD, {"id": str(run_id)}
    return tuple(stage_record(run_id, row) for row in rows)


def page(
    status: str | None, pipeline: str | None, since: datetime | None, limit: int, after: str | None
) -> Operation[RunPage]:
    """Some runs, the newest first."""
    if limit < 1:
        raise RunStoreError(f"A page of {limit} runs has no place for one. Give a limit of 1 or more.")
    wanted: Values = {"limit": limit + 1}
    conditions: list[str] = []
    if status is not None:
        conditions.append("status = :status")
        wanted["status"] = status
    if pipeline is not None:
        conditions.append("pipeline = :pipeline")
        wanted["pipeline"] = kept(pipeline)
    if since is not None:
        conditions.append("created_at >= :since")
        wanted["since"] = micros(since)
    if after is not None:
        conditions.append("(created_at, id) < (:created, :id)")
        wanted["created"], wanted["id"] = _place(after)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = yield f"SELECT {RUN_COLUMNS} FROM run {where} ORDER BY created_at DESC, id DESC LIMIT :limit", wanted  # noqa: S608  (of constants)
    last = rows[limit - 1] if len(rows) > limit else None
    return RunPage(tuple(map(run_record, rows[:limit])), None if last is None else f"{_int(last[7])}:{last[0]!s}")


def prune(older_than: timedelta, limit: int, *, running: bool) -> Operation[int]:
    """Throws some old runs away; gives how many."""
    age = older_than // timedelta(microseconds=1)
    return len((yield _PRUNE, {"micros": age, "running": int(running), "limit": limit}))


def _place(after: str) -> tuple[int, str]:
    created, _, id = after.partition(":")
    try:
        return int(created), str(UUID(id))
    except ValueError as error:
        raise RunStoreError(f"There is no page after {after!r}. Give the `next` of the page before it.") from error


def _held(run_id: UUID) -> Operation[RunStoreError]:
    """Why the lease of a run cannot be had or is no longer one."""
    row = first((yield _HOLDER, {"id": str(run_id)}))
    match row:
        case None:
            return _unknown(run_id)
        case (str(owner), int(until), _):
            return LeaseHeldError(
                f"The run {run_id} is held by {given_back(owner)} until {moment(until).isoformat()}, and longer if "
                "renewed. Let that one go on, or resume the run once its lease has ended."
            )
        case _:
            return LeaseHeldError(
                f"The lease of run {run_id} was given back, so that nothing more is kept under it. Acquire a new one."
            )


def _unknown(run_id: UUID) -> RunStoreError:
    return RunStoreError(f"There is no run {run_id} in the store. Create it first, or open the store that has it.")


def _of(lease: Lease) -> Values:
    return {"id": str(lease.run_id), "owner": kept(lease.owner), "token": lease.token}


def _micros(seconds: float) -> int:
    if not 0 <= seconds < 1e9:  # noqa: PLR2004  (30 years, and no NaN)
        raise RunStoreError(f"A lease of {seconds} seconds is none. Give 0 or more.")
    return int(seconds * 1e6)


def _int(value: Value) -> int:
    if not isinstance(value, int):
        raise RunStoreError(f"The row of a lease is damaged: where a whole number should be, there is {value!r}.")
    return value
