"""What it costs to record a stage, beside a bare INSERT and commit on the same file in the same run.

    python benchmarks/durable.py            the table; about a minute
    python benchmarks/durable.py --quick    only whether everything is kept
    python benchmarks/durable.py --folder D on the disk of another folder than the one for temporary files

The sides take turns in rounds; a ratio is taken within a round, and the median of the rounds is shown. All write to
one file, in WAL mode with ``synchronous=FULL``, so that a commit is on the disk when it returns.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID, uuid4

from stageflow.journal import StageRecord
from stageflow.stores import MemoryRunStore, SqliteRunStore

STAGES, RUNS, ROUNDS = 200, 50, 9
PAYLOAD = b"x" * 200
Go = Callable[[], Awaitable[None]]
Store = SqliteRunStore | MemoryRunStore


def bare(connection: sqlite3.Connection, stages: int) -> Go:
    """One INSERT and one commit a stage, by hand, on this thread."""

    async def insert() -> None:
        for number in range(stages):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO bare (path, payload) VALUES (?, ?)", (f"stage{number}", PAYLOAD))
            connection.execute("COMMIT")

    return insert


def recorded(store: Store, runs: int, stages: int, kept: list[UUID]) -> Go:
    """So many runs at once, each recording one stage after the other."""

    async def one() -> None:
        lease = await store.begin(uuid4(), "benchmark", 3_600)
        for number in range(stages):
            await store.record(lease, StageRecord(f"stage{number}", 1, "ok", payload=PAYLOAD, duration_ms=1.0))
        kept.append(lease.run_id)

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(runs)))

    return all_of_them


async def timed(go: Go, stages: int) -> float:
    """Microseconds a stage."""
    began = time.perf_counter()
    await go()
    return (time.perf_counter() - began) / stages * 1e6


def show(rows: list[tuple[str, ...]]) -> None:
    heads = ("", "us a stage", "beside the bare INSERT")
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, tuple("-" * width for width in widths), *rows):
        first, *others = row
        print("| " + " | ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]) + " |")


async def main() -> None:
    parser = argparse.ArgumentParser(description="What it costs to record a stage.")
    parser.add_argument("--quick", action="store_true", help="only check that everything is kept")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of which the median is shown")
    parser.add_argument("--folder", help="where the file is made")
    options = parser.parse_args()
    stages, rounds = (5, 1) if options.quick else (STAGES, options.rounds)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        await measure(Path(folder) / "runs.db", stages, rounds)


async def measure(path: Path, stages: int, rounds: int) -> None:
    store, memory, kept = SqliteRunStore(path), MemoryRunStore(), list[UUID]()
    await store.create_run(uuid4())  # makes the file
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, path TEXT, payload BLOB)")
    sides: dict[str, tuple[Go, int]] = {
        "bare INSERT and commit": (bare(connection, stages), stages),
        "SqliteRunStore, one run": (recorded(store, 1, stages, kept), stages),
        f"SqliteRunStore, {RUNS} runs at once": (recorded(store, RUNS, stages, kept), RUNS * stages),
        "MemoryRunStore, one run": (recorded(memory, 1, stages, []), stages),
    }
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, (go, units) in sides.items() if number % 2 == 0 else reversed(sides.items()):
            taken[name].append(await timed(go, units))
    for run_id in kept:
        if len(await store.load(run_id)) != stages:
            raise AssertionError(f"run {run_id} has lost stages")
    await store.aclose()
    connection.close()
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {rounds} rounds; all stages are kept\n"
    )
    first = next(iter(taken.values()))
    ratios = {name: statistics.median([a / b for a, b in zip(one, first, strict=True)]) for name, one in taken.items()}
    show([(name, f"{statistics.median(one):.0f}", f"{ratios[name]:.2f}") for name, one in taken.items()])


if __name__ == "__main__":
    asyncio.run(main())
