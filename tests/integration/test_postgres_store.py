"""The PostgreSQL store where the server goes away, comes back, refuses, or is somebody else's."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import psycopg
import pytest

from stageflow import RunStoreError
from stageflow.errors import LeaseHeldError
from stageflow.journal import StageRecord
from stageflow.stores import PostgresRunStore

pytestmark = pytest.mark.postgres
HOUR = 3_600.0


@pytest.fixture
def schema() -> str:
    return f"test_{uuid4().hex}"


@pytest.fixture
async def store(postgres, schema):
    store = PostgresRunStore(postgres.dsn, schema=schema, timeout=5)
    yield store
    await store.aclose()


async def asked(postgres, *statements: str) -> list[tuple[object, ...]]:
    """What the server says to the last of some statements, beside the store."""
    async with await psycopg.AsyncConnection.connect(postgres.dsn, autocommit=True) as connection:
        for statement in statements:
            cursor = await connection.execute(statement)
        return [] if cursor.description is None else await cursor.fetchall()


async def test_a_server_that_crashed_between_two_stages_goes_unnoticed_once_it_is_back(postgres, store) -> None:
    lease = await store.begin(uuid4(), "me", HOUR)
    await asyncio.gather(*(store.record(lease, StageRecord(f"a{number}", 1, "ok")) for number in range(20)))
    postgres.crash()
    postgres.start()
    await asyncio.gather(*(store.record(lease, StageRecord(f"b{number}", 1, "ok")) for number in range(20)))
    assert len(await store.load(lease.run_id)) == 40


async def test_a_server_that_is_gone_is_said_and_the_run_goes_on_when_it_is_back(postgres, schema) -> None:
    store = PostgresRunStore(postgres.dsn, schema=schema, timeout=0.5)
    lease = await store.begin(uuid4(), "me", HOUR)
    postgres.crash()
    try:
        with pytest.raises(RunStoreError, match=r"The run store 127\.0\.0\.1:\d+/postgres gave no connection within"):
            await store.record(lease, StageRecord("a", 1, "ok"))
    finally:
        postgres.start()
    await store.aclose()
    again = PostgresRunStore(postgres.dsn, schema=schema)
    await again.record(lease, StageRecord("a", 1, "ok"))
    assert [one.path for one in await again.load(lease.run_id)] == ["a"]
    await again.aclose()


async def test_a_connection_that_is_lost_in_the_middle_of_a_request_is_said(postgres, store, schema) -> None:
    lease = await store.begin(uuid4(), "me", HOUR)
    async with await psycopg.AsyncConnection.connect(postgres.dsn) as other:
        await other.execute(f"SELECT 1 FROM {schema}.run FOR UPDATE")  # which holds the record up
        recording = asyncio.create_task(store.record(lease, StageRecord("a", 1, "ok")))
        blocked = f"FROM pg_locks WHERE NOT granted AND pid <> {other.info.backend_pid}"
        while await asked(postgres, f"SELECT 1 {blocked}") == []:
            pass
        await asked(postgres, f"SELECT pg_terminate_backend(pid) {blocked}")
        with pytest.raises(RunStoreError, match=r"was lost in the middle.*Whether this request was is"):
            await recording
    await store.record(lease, StageRecord("a", 1, "ok"))
    assert len(await store.load(lease.run_id)) == 1


async def test_a_server_that_is_not_there_says_why() -> None:
    store = PostgresRunStore("postgresql://me:secret@127.0.0.1:1/none")
    with pytest.raises(RunStoreError, match=r"127\.0\.0\.1:1/none cannot be reached.*refused") as raised:
        await store.create_run(uuid4())
    assert "secret" not in str(raised.value)
    assert "secret" not in repr(store)
    await store.aclose()


async def test_a_row_that_another_session_holds_is_said(postgres, schema) -> None:
    store, run_id = PostgresRunStore(postgres.dsn, schema=schema, timeout=0.1), uuid4()
    await store.create_run(run_id)
    async with await psycopg.AsyncConnection.connect(postgres.dsn) as other:
        await other.execute(f"SELECT 1 FROM {schema}.run FOR UPDATE")
        with pytest.raises(RunStoreError, match="is held by another session for longer than the timeout allows"):
            await store.update_status(run_id, "failed")
    await store.update_status(run_id, "failed")
    await store.aclose()


async def test_a_takeover_waits_for_the_record_that_is_under_way(postgres, store, schema) -> None:
    """Else the new owner would load the stages before that one, and run again what was acknowledged."""
    former = await store.begin(uuid4(), "first", 0)
    held = f"""INSERT INTO {schema}.stage (run, path, attempt, status, codec, type, schema_hash, reason, duration_ms,
        checksum) VALUES ('{former.run_id}', 'a', 1, '', '', '', '', '', 0, 0)"""
    async with await psycopg.AsyncConnection.connect(postgres.dsn) as other:
        await other.execute(held)  # the record waits to see whether it is of the same stage and attempt
        recording = asyncio.create_task(store.record(former, StageRecord("a", 1, "ok")))
        await waiting(postgres, 1, recording)
        taking = asyncio.create_task(store.acquire_lease(former.run_id, "second", HOUR))
        await waiting(postgres, 2, taking)
        await other.rollback()
    await recording
    assert (await taking).token == 2
    assert [one.status for one in await store.load(former.run_id)] == ["ok"]
    with pytest.raises(LeaseHeldError):
        await store.record(former, StageRecord("late", 1, "ok"))


async def waiting(postgres, sessions: int, last: asyncio.Task[object]) -> None:
    """Until so many sessions wait for a lock, that of the last task among them."""
    while len(await asked(postgres, "SELECT DISTINCT pid FROM pg_locks WHERE NOT granted")) < sessions:
        assert not last.done(), "it did not wait"


async def test_tables_of_a_newer_schema_are_refused(postgres, store, schema) -> None:
    await store.create_run(uuid4())
    await asked(postgres, f"INSERT INTO {schema}.stageflow_schema VALUES (99)")
    again = PostgresRunStore(postgres.dsn, schema=schema)
    with pytest.raises(RunStoreError, match=r"127\.0\.0\.1:\d+/postgres has schema 99, which a newer stageflow made"):
        await again.create_run(uuid4())
    await again.aclose()


async def test_ten_stores_that_come_at_once_make_the_tables_once(postgres, schema) -> None:
    stores = [PostgresRunStore(postgres.dsn, schema=schema) for _ in range(10)]
    await asyncio.gather(*(store.create_run(uuid4()) for store in stores))
    assert len((await stores[0].runs()).runs) == 10
    await asyncio.gather(*(store.aclose() for store in stores))
    assert await asked(postgres, f"SELECT version FROM {schema}.stageflow_schema") == [(1,)]


async def test_a_schema_may_have_any_name(postgres) -> None:
    name, run_id = f'My "Runs", {uuid4().hex}', uuid4()
    for _ in range(2):
        store = PostgresRunStore(postgres.dsn, schema=name)
        if await store.get_run(run_id) is None:
            await store.create_run(run_id)
        await store.aclose()
    assert await asked(postgres, f"SELECT 1 FROM pg_namespace WHERE nspname = '{name}'") == [(1,)]


async def test_a_role_that_may_make_no_table_uses_those_there_are(postgres, store, schema) -> None:
    run_id, role = uuid4(), f"role_{uuid4().hex}"
    await store.create_run(run_id)
    dsn = postgres.dsn.replace("stageflow@", f"{role}@")
    await asked(postgres, f"CREATE ROLE {role} LOGIN", f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    reader = PostgresRunStore(dsn, schema=schema)
    with pytest.raises(RunStoreError, match=r"is refused to this role\. Grant it the tables"):
        await reader.get_run(run_id)
    await asked(postgres, f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}")
    assert (await reader.get_run(run_id)).status == "running"
    with pytest.raises(RunStoreError, match="is refused to this role"):
        await reader.update_status(run_id, "failed")
    await reader.aclose()


async def test_a_damaged_row_is_said(postgres, store, schema) -> None:
    lease = await store.begin(uuid4(), "me", HOUR)
    await store.record(lease, StageRecord("hurt", 1, "ok", payload=b"x"))
    await asked(postgres, f"UPDATE {schema}.stage SET payload = 'y'")
    with pytest.raises(RunStoreError, match=r"The row of stage 'hurt' in run .* its payload is not what was written"):
        await store.load(lease.run_id)


@pytest.mark.parametrize(("server", "session"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")])
async def test_what_is_acknowledged_is_on_the_disk_whatever_the_server_makes_of_it(postgres, server, session) -> None:
    store = PostgresRunStore(f"{postgres.dsn}?options=-csynchronous_commit%3D{server}", schema=f"test_{uuid4().hex}")

    def setting():
        rows = yield "SELECT current_setting('synchronous_commit')", {}
        return rows[0][0]

    assert await store._kept(setting, writes=False) == session
    await store.aclose()


async def test_a_closed_store_says_so_and_closes_once(store) -> None:
    await store.create_run(uuid4())
    await store.aclose()
    await store.aclose()
    with pytest.raises(RunStoreError, match=r"is closed\. Ask it before aclose\(\), or make another one"):
        await store.create_run(uuid4())


async def test_another_event_loop_is_told_to_have_a_store_of_its_own(store) -> None:
    await store.create_run(uuid4())

    def ask() -> None:
        asyncio.run(store.create_run(uuid4()))

    with pytest.raises(RunStoreError, match="was opened in another event loop, which has its connections"):
        await asyncio.to_thread(ask)
