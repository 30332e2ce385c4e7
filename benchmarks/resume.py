"""What it takes to go on with a large run: ``python benchmarks/resume.py --stages 10000``.

A chain of so many stages, or as many side by side, fails in the last one; then it is resumed. It prints how long the
run took, how long reading its journal alone, and how long the resume, with how often the journal was read.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

from stageflow import Completed, Failed, Pipeline, PipelineContext, Runner, UnifiedStageSpec, lift
from stageflow.journal import Lease, StageRecord
from stageflow.stores import SqliteRunStore


class Counted:
    """A store that counts how often a journal was read, and what was recorded."""

    def __init__(self, path: Path) -> None:
        self._store = SqliteRunStore(path)
        self.reads = self.records = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def load(self, run_id: UUID) -> Sequence[StageRecord]:
        self.reads += 1
        return await self._store.load(run_id)

    async def record(self, lease: Lease, record: StageRecord) -> None:
        self.records += 1
        await self._store.record(lease, record)


def pipeline(stages: int, *, wide: bool, ready: list[bool]) -> Pipeline:
    @lift
    async def work(value: int) -> int:
        return value + 1

    @lift
    async def last(value: int) -> int:
        if not ready:
            raise ValueError("not yet")
        return value

    names = [f"stage{number}" for number in range(stages - 1)]
    follows = [() if wide or not number else (names[number - 1],) for number in range(stages - 1)]
    specs = [
        UnifiedStageSpec(name, work.named(name), dependencies=after) for name, after in zip(names, follows, strict=True)
    ]
    return Pipeline.from_specs([*specs, UnifiedStageSpec("last", last, dependencies=(names[-1],))])


async def measured(stages: int, folder: Path, *, wide: bool) -> None:
    ready: list[bool] = []
    graph, run_id = pipeline(stages, wide=wide, ready=ready).build().unwrap(), uuid4()
    store = Counted(folder / f"{'wide' if wide else 'chain'}.db")
    begun = time.perf_counter()
    outcome = await Runner(store=store).run(graph, 0, context=PipelineContext(run_id=run_id))
    ran = time.perf_counter() - begun
    assert isinstance(outcome, Failed)
    begun = time.perf_counter()
    await store.load(run_id)
    loaded = time.perf_counter() - begun
    ready.append(True)
    store.reads = store.records = 0
    seconds = await resumed(store, graph, run_id)
    assert (store.reads, store.records) == (1, 1)
    print(
        f"{stages:,} stages {'side by side' if wide else 'in a chain'}: run in {ran:.2f} s; the journal alone read in "
        f"{loaded:.2f} s; resumed in {seconds:.2f} s, with 1 read of the journal and 1 stage run"
    )


async def resumed(store: Counted, graph, run_id: UUID) -> float:
    begun = time.perf_counter()
    outcome = await Runner(store=store).resume(graph, run_id)  # a new runner, as in a new process
    seconds = time.perf_counter() - begun
    assert isinstance(outcome, Completed)
    return seconds


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stages", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stageflow-resume-") as folder:
        for wide in (False, True):
            await measured(given.stages, Path(folder), wide=wide)


if __name__ == "__main__":
    asyncio.run(main())
