"""Records stages for as long as it is let, run as a process of its own that a test may kill.

    python recording.py STORE RUNS STAGES

It prints ``run path`` for each stage that the store has acknowledged, and at its end ``done``, or the store's error.
"""

from __future__ import annotations

import asyncio
import sys
from uuid import uuid4

from stageflow.errors import RunStoreError
from stageflow.journal import StageRecord
from stageflow.stores import PostgresRunStore, SqliteRunStore


def payload_of(path: str) -> bytes:
    """What the stage of a path gave."""
    return path.encode() * 50


async def record(store: SqliteRunStore | PostgresRunStore, stages: int) -> None:
    lease = await store.begin(uuid4(), "recording.py", 3_600)
    for number in range(stages):
        path = f"stage{number}"
        await store.record(lease, StageRecord(path, 1, "started"))
        await store.record(lease, StageRecord(path, 1, "ok", payload=payload_of(path)))
        print(lease.run_id, path, flush=True)  # noqa: T201
    await store.end(lease, "completed")


async def main(place: str, runs: int, stages: int) -> None:
    store = PostgresRunStore(place, timeout=2) if "://" in place else SqliteRunStore(place)
    given = await asyncio.gather(*(record(store, stages) for _ in range(runs)), return_exceptions=True)
    errors = [one for one in given if one is not None]
    unexpected = [error for error in errors if not isinstance(error, RunStoreError)]
    print(f"{type(errors[0]).__name__}: {errors[0]}" if errors else "done", *unexpected, flush=True)  # noqa: T201
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
