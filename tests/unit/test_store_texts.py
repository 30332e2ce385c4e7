"""What the stores say when something is wrong: each text whole, as whoever operates them reads it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from stageflow import RunStoreError
from stageflow.journal import Lease, StageRecord
from stageflow.stores import MemoryRunStore, _faults, _server_faults
from stageflow.stores._driving import drive
from stageflow.stores._schema import migrated

PATH = Path("/data/runs.db")
WHERE = "db.example:5432/runs"
RUN, OTHER = UUID(int=1), UUID(int=2)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def of_sqlite(code: int) -> RunStoreError:
    error = sqlite3.OperationalError("its own words")
    error.sqlite_errorcode = code
    return _faults.fault(PATH, error)


def test_what_sqlite_cannot_do(golden) -> None:
    codes = [name for name in dir(sqlite3) if name in {"SQLITE_FULL", "SQLITE_BUSY", "SQLITE_CORRUPT", "SQLITE_NOTADB"}]
    codes += ["SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR_WRITE", "SQLITE_ERROR"]
    texts = [f"{code}: {of_sqlite(getattr(sqlite3, code))}" for code in codes]
    texts += [f"gone: {_faults.gone(PATH)}", f"closed: {_faults.closed(PATH)}", f"forked: {_faults.forked(PATH)}"]
    texts += [f"not of SQLite: {_faults.fault(PATH, OverflowError('too large'))}"]
    golden("stores/sqlite", "\n\n".join(texts))


def test_what_postgresql_cannot_do(golden) -> None:
    kinds = ("DiskFull", "ReadOnlySqlTransaction", "InsufficientPrivilege", "LockNotAvailable", "DataCorrupted")
    errors = [getattr(psycopg.errors, kind)("its own\nwords") for kind in (*kinds, "AdminShutdown", "SyntaxError")]
    texts = [f"{type(error).__name__}: {_server_faults.fault(WHERE, error)}" for error in errors]
    texts += [f"unreachable: {_server_faults.unreachable(WHERE, 10, TimeoutError('waited'))}"]
    texts += [f"closed: {_server_faults.closed(WHERE)}", f"other loop: {_server_faults.other_loop(WHERE)}"]
    golden("stores/postgres", "\n\n".join(texts))


def newer(store: MemoryRunStore) -> None:
    store._connection.execute("INSERT INTO stageflow_schema VALUES (99)")
    drive(store._connection, migrated("/data/runs.db"), lambda: NEW_YEAR)


async def damaged(store: MemoryRunStore, column: str) -> object:
    await store.record(Lease(RUN, "host 7", 1, NEW_YEAR), StageRecord("fetch", 1, "ok", payload=b"1"))
    store._connection.execute(f"UPDATE {column}")
    return await store.load(RUN) if column.startswith("stage") else await store.get_run(RUN)


async def given_back(store: MemoryRunStore) -> object:
    lease = Lease(RUN, "host 7", 1, NEW_YEAR)
    await store.release(lease)
    return await store.renew(lease, 30)


Ask = Callable[[MemoryRunStore], Awaitable[object]]
ASKED: dict[str, Ask] = {
    "a run twice": lambda store: store.create_run(RUN),
    "no run": lambda store: store.update_status(OTHER, "failed"),
    "a lease that is held": lambda store: store.acquire_lease(RUN, "host 8", 30),
    "a lease that was given back": given_back,
    "a lease of less than nothing": lambda store: store.acquire_lease(RUN, "host 8", -1),
    "metadata without words": lambda store: store.create_run(OTHER, mine={"a": [object]}),
    "a page of none": lambda store: store.runs(limit=0),
    "no page": lambda store: store.runs(after="nowhere"),
    "no moment": lambda store: store.runs(since=datetime(2026, 1, 1)),  # noqa: DTZ001
    "damaged payload": lambda store: damaged(store, "stage SET payload = x'00'"),
    "damaged text": lambda store: damaged(store, "stage SET status = x'00'"),
    "damaged metadata": lambda store: damaged(store, "run SET metadata = '{'"),
}


async def test_what_a_store_refuses(golden) -> None:
    texts: list[str] = []
    for name, ask in ASKED.items():
        store = MemoryRunStore(now=lambda: NEW_YEAR)
        await store.begin(RUN, "host 7", 30)
        with pytest.raises(RunStoreError) as raised:
            await ask(store)
        texts.append(f"{name}: {type(raised.value).__name__}: {raised.value}")
    store = MemoryRunStore()
    with pytest.raises(RunStoreError) as raised:
        newer(store)
    texts.append(f"a newer schema: {raised.value}")
    golden("stores/refused", "\n\n".join(texts))


def said_by(script: str) -> str:
    """What a fresh interpreter says, which has this very package."""
    ours = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run([sys.executable, "-c", script], env=ours, capture_output=True, text=True, check=True)
    return ended.stdout


def test_a_store_whose_extra_is_missing_says_how_to_get_it_and_the_others_are_there() -> None:
    script = """if True:
        import sys
        sys.modules["psycopg"] = None  # as where it is not installed
        from stageflow.stores import MemoryRunStore, SqliteRunStore
        try:
            from stageflow.stores import PostgresRunStore
        except ImportError as error:
            print(error)
    """
    said = said_by(script)
    assert said.startswith("PostgresRunStore needs psycopg and its pool (")
    assert said.endswith("): pip install 'stageflow[postgres]'\n")


def test_a_store_does_not_load_the_database_of_another() -> None:
    script = """if True:
        import sys
        import stageflow.stores
        print(sorted({"sqlite3", "psycopg"} & set(sys.modules)))
        stageflow.stores.SqliteRunStore
        print(sorted({"sqlite3", "psycopg"} & set(sys.modules)))
    """
    assert said_by(script) == "[]\n['sqlite3']\n"


def test_pages_and_runs_are_plain_data() -> None:
    import asyncio
    import pickle

    async def page():
        store = MemoryRunStore(now=lambda: NEW_YEAR)
        await store.create_run(RUN, pipeline="p", input=b"1")
        return await store.runs(since=NEW_YEAR - timedelta(days=1))

    found = asyncio.run(page())
    assert pickle.loads(pickle.dumps(found)) == found
    assert hash(found) == hash(pickle.loads(pickle.dumps(found)))
