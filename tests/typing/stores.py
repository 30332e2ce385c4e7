"""Stores: each is what its ports ask, a page is what it says, and what is no store is refused."""

# pyright: reportUnusedExpression=false

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from typing_extensions import assert_type

from stageflow import Runner, RunRecord, RunStore
from stageflow.journal import DurableStore, Lease, StageJournal, StageRecord
from stageflow.stores import MemoryRunStore, PostgresRunStore, RunArchive, RunPage, SqliteRunStore
from stageflow.testing import check_durable_store, check_run_archive, check_run_store

DURABLE: tuple[DurableStore, ...] = (MemoryRunStore(), SqliteRunStore("runs.db"), PostgresRunStore("dbname=runs"))
PLAIN: tuple[RunStore, ...] = DURABLE
JOURNALS: tuple[StageJournal, ...] = DURABLE
ARCHIVES: tuple[RunArchive, ...] = (MemoryRunStore(), SqliteRunStore("runs.db"), PostgresRunStore("dbname=runs"))
Runner(store=SqliteRunStore("runs.db", busy_timeout=5))
SqliteRunStore(b"runs.db")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
PostgresRunStore("dbname=runs", schemas="mine")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Runner(store="runs.db")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Plain:
    """A store of runs that keeps no stages."""

    async def create_run(self, run_id: UUID, **metadata: object) -> RunRecord:
        """Keeps nothing."""
        return RunRecord(run_id, "running", metadata, datetime.now(UTC), datetime.now(UTC))

    async def update_status(self, run_id: UUID, status: str, **data: object) -> None:
        """Keeps nothing."""

    async def get_run(self, run_id: UUID) -> RunRecord | None:
        """Nothing."""
        return None


Runner(store=Plain())
journal: StageJournal = Plain()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


async def use(store: SqliteRunStore) -> None:
    """The types of what a store gives."""
    lease = await store.begin(uuid4(), "me", 30, pipeline="survey", owner="of metadata")
    assert_type(lease, Lease)
    assert_type(await store.load(lease.run_id), tuple[StageRecord, ...])
    page = await store.runs(status="failed", since=datetime.now(UTC))
    assert_type(page, RunPage)
    assert_type(page.runs[0], RunRecord)
    assert_type(page.next, str | None)
    assert_type(await store.prune(older_than=timedelta(days=30)), int)
    await store.prune(older_than=30)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await store.record(lease.run_id, StageRecord("a", 1, "ok"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    StageRecord("a", 1, "ok", payload="text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    page.next = None  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


async def check() -> None:
    """What the kit takes."""
    await check_run_store(Plain)
    await check_durable_store(lambda: SqliteRunStore("runs.db"), shared=True)
    await check_run_archive(lambda: PostgresRunStore("dbname=runs"))
    await check_durable_store(Plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await check_run_archive(Plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
