"""The tables, and how an older file becomes one of today."""

from __future__ import annotations

from typing import Final

from stageflow.errors import RunStoreError
from stageflow.stores._operations import Operation
from stageflow.stores._rows import first

_FIRST: Final = (
    """CREATE TABLE run (
        id TEXT PRIMARY KEY, pipeline TEXT, graph_fingerprint TEXT, status TEXT NOT NULL,
        input <blob>, correlation TEXT, metadata TEXT NOT NULL,
        lease_owner TEXT, lease_token BIGINT NOT NULL DEFAULT 0, lease_until BIGINT NOT NULL DEFAULT 0,
        created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL)""",
    """CREATE TABLE stage (
        seq <serial>, run TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        path TEXT NOT NULL, attempt BIGINT NOT NULL, status TEXT NOT NULL,
        codec TEXT NOT NULL, type TEXT NOT NULL, schema_hash TEXT NOT NULL, payload <blob>, inside <blob>,
        reason TEXT NOT NULL, started_at BIGINT, duration_ms DOUBLE PRECISION NOT NULL, checksum BIGINT NOT NULL,
        UNIQUE (run, path, attempt))""",
    "CREATE INDEX run_created ON run (created_at, id)",
    "CREATE INDEX run_updated ON run (updated_at)",
)

# Each makes the next version of the one before it. What was released is never edited: a change is one more.
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (_FIRST,)


def version(where: str, newest: int = len(MIGRATIONS)) -> Operation[int]:
    """The schema that the tables have; 0 where there are none yet.

    Raises:
        RunStoreError: a newer stageflow made them.
    """
    row = first((yield "SELECT max(version) FROM stageflow_schema", {}))
    found = 0 if row is None or not isinstance(row[0], int) else row[0]
    if found > newest:
        raise RunStoreError(
            f"The run store {where} has schema {found}, which a newer stageflow made; this one knows up to {newest}. "
            "Install that version of stageflow or a later one. Nothing was changed."
        )
    return found


def migrated(where: str, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> Operation[None]:
    """Brings the tables to today's schema; inside one transaction, so that two processes cannot both do it."""
    yield "CREATE TABLE IF NOT EXISTS stageflow_schema (version BIGINT NOT NULL)", {}
    found = yield from version(where, len(migrations))
    for number, statements in enumerate(migrations[found:], found + 1):
        for statement in statements:
            yield statement, {}
        yield "INSERT INTO stageflow_schema (version) VALUES (:version)", {"version": number}
