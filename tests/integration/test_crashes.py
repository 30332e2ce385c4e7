"""Processes and servers that are killed while they write: nothing that was acknowledged is lost.

A short loop by default. As many kills as you like::

    STAGEFLOW_KILLS=50 python -m pytest tests/integration/test_crashes.py
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from uuid import UUID

import pytest

from stageflow.journal import DurableStore
from stageflow.stores import PostgresRunStore, SqliteRunStore

KILLS = int(os.environ.get("STAGEFLOW_KILLS", "4"))
ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("recording.py")
ENDLESS = "1000000000"
Acknowledged = dict[UUID, set[str]]


def recording(place: str, runs: int, stages: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), place, str(runs), stages]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def lines_of(process: subprocess.Popen[str], most: int | None = None) -> list[str]:
    """So many lines, or all to the end, but for one that was cut off."""
    assert process.stdout is not None
    lines: list[str] = []
    while (most is None or len(lines) < most) and (line := process.stdout.readline()).endswith("\n"):
        lines.append(line.rstrip("\n"))
    return lines


def acknowledged_in(lines: list[str]) -> Acknowledged:
    found: Acknowledged = defaultdict(set)
    for line in lines:
        run, path = line.split()
        found[UUID(run)].add(path)
    return found


def kill(process: subprocess.Popen[str]) -> list[str]:
    """Kills it, and gives what it had still said by then."""
    process.kill()
    left = lines_of(process)
    process.wait(timeout=60)
    assert process.stdout is not None
    process.stdout.close()
    return left


async def lost(store: DurableStore, acknowledged: Acknowledged) -> list[str]:
    """What was acknowledged and is not there, whole."""
    missing: list[str] = []
    for run_id, paths in acknowledged.items():
        kept = {one.path: one for one in await store.load(run_id)}
        whole = {path for path, one in kept.items() if one.status == "ok" and one.payload == path.encode() * 50}
        missing += [f"{run_id} {path}" for path in paths - whole]
    return missing


def integrity(path: Path) -> list[tuple[str]]:
    connection = sqlite3.connect(path)
    try:
        found: list[tuple[str]] = connection.execute("PRAGMA integrity_check").fetchall()
        return found
    finally:
        connection.close()


async def test_what_a_killed_process_was_told_is_kept_is_in_the_file(tmp_path) -> None:
    path, acknowledged = tmp_path / "runs.db", Acknowledged()
    for number in range(KILLS):
        process = recording(str(path), 8, ENDLESS)
        lines = lines_of(process, random.Random(number).randrange(1, 400))
        lines += kill(process)
        acknowledged |= acknowledged_in(lines)
        assert integrity(path) == [("ok",)]
        store = SqliteRunStore(path)
        assert await lost(store, acknowledged) == []
        await store.aclose()
    assert len(acknowledged) >= KILLS


async def test_a_process_killed_before_it_has_said_a_word_leaves_a_whole_file(tmp_path) -> None:
    path = tmp_path / "runs.db"
    for _ in range(KILLS):
        process = recording(str(path), 8, ENDLESS)
        while not path.exists():  # it is being made right now
            assert process.poll() is None
        acknowledged = acknowledged_in(kill(process))
        assert integrity(path) == [("ok",)]
        store = SqliteRunStore(path)
        assert await lost(store, acknowledged) == []
        await store.aclose()
        path.unlink()
        for beside in tmp_path.iterdir():
            beside.unlink()


async def test_four_processes_write_one_file_at_once(tmp_path) -> None:
    path = tmp_path / "runs.db"
    processes = [recording(str(path), 3, "40") for _ in range(4)]
    spoken = [lines_of(process) for process in processes]
    for process in processes:
        kill(process)
    assert [lines[-1] for lines in spoken] == ["done"] * 4
    acknowledged = acknowledged_in([line for lines in spoken for line in lines[:-1]])
    assert len(acknowledged) == 12
    assert {len(paths) for paths in acknowledged.values()} == {40}
    assert integrity(path) == [("ok",)]
    store = SqliteRunStore(path)
    assert await lost(store, acknowledged) == []
    assert {record.status for record in (await store.runs()).runs} == {"completed"}
    await store.aclose()


@pytest.mark.postgres
async def test_what_a_killed_process_was_told_is_kept_is_on_the_server(postgres) -> None:
    acknowledged = Acknowledged()
    for number in range(KILLS):
        process = recording(postgres.dsn, 8, ENDLESS)
        lines = lines_of(process, random.Random(number).randrange(1, 200))
        lines += kill(process)
        acknowledged |= acknowledged_in(lines)
        store = PostgresRunStore(postgres.dsn)
        assert await lost(store, acknowledged) == []
        await store.aclose()


@pytest.mark.postgres
async def test_what_a_crashed_server_has_acknowledged_is_there_when_it_is_back(postgres) -> None:
    acknowledged = Acknowledged()
    for number in range(max(1, KILLS // 2)):
        process = recording(postgres.dsn, 8, ENDLESS)
        lines = lines_of(process, random.Random(number).randrange(1, 200))
        postgres.crash()
        try:
            *rest, said = lines_of(process)
            kill(process)
        finally:
            postgres.start()
        assert said.startswith("RunStoreError: The run store 127.0.0.1:")
        assert "lost in the middle" in said or "gave no connection within" in said
        acknowledged |= acknowledged_in(lines + rest)
        store = PostgresRunStore(postgres.dsn)
        assert await lost(store, acknowledged) == []
        await store.aclose()


@pytest.mark.postgres
async def test_four_processes_write_to_one_server_at_once(postgres) -> None:
    processes = [recording(postgres.dsn, 3, "20") for _ in range(4)]
    spoken = [lines_of(process) for process in processes]
    for process in processes:
        kill(process)
    assert [lines[-1] for lines in spoken] == ["done"] * 4
    acknowledged = acknowledged_in([line for lines in spoken for line in lines[:-1]])
    assert {len(paths) for paths in acknowledged.values()} == {20}
    store = PostgresRunStore(postgres.dsn)
    assert await lost(store, acknowledged) == []
    await store.aclose()
