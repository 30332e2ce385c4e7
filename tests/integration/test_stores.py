"""Every store of the package, held to the kit that any implementation is held to."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from stageflow.stores import MemoryRunStore, PostgresRunStore, SqliteRunStore
from stageflow.testing import check_durable_store, check_run_archive, check_run_store

Store = MemoryRunStore | SqliteRunStore | PostgresRunStore
KINDS = ("memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres))


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, tmp_path) -> Callable[[], Store]:
    """Makes stores of one kind that keep their runs in one place, which no other test knows."""
    match request.param:
        case "memory":
            return MemoryRunStore
        case "sqlite":
            return lambda: SqliteRunStore(tmp_path / "runs.db")
        case _:
            server, schema = request.getfixturevalue("postgres"), f"test_{uuid4().hex}"
            return lambda: PostgresRunStore(server.dsn, schema=schema)


async def test_a_store_is_what_a_runner_counts_on(make) -> None:
    await check_run_store(make)


async def test_a_store_is_what_resuming_counts_on(make) -> None:
    await check_durable_store(make, shared=make is not MemoryRunStore)


async def test_runs_are_listed_and_pruned(make) -> None:
    await check_run_archive(make)
