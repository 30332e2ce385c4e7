"""What a stage costs on an engine, beside what the engine's own bare submit costs.

    python benchmarks/engines.py            the tables; about two minutes
    python benchmarks/engines.py --quick    only whether the answers are right

Both sides have the same workers: two processes, or a Dask cluster of two worker processes of one thread each on this
machine. They take turns, and the median of the rounds is shown. One stage is its latency; many are an ``.each`` over
as many items, beside as many submits at once.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from distributed import Client, LocalCluster
from engine_stages import add_one, added, count, counted

from stageflow import Completed, Runner
from stageflow.engines import DaskEngine, LocalEngine, ProcessEngine

COUNTS = {1: 30, 200: 5, 5_000: 1}  # stages, and how many rounds of them
WORKERS = 2
PARTS, HEAVY = 16, 3_000_000
Many = Callable[[Sequence[int]], Awaitable[Sequence[int]]]


@dataclass(frozen=True, slots=True)
class Side:
    """One way to run many calls."""

    name: str
    run: Many
    bare: str = ""


def through(runner: Runner) -> Many:
    pipeline = added.each()
    graph = pipeline.build().unwrap()

    async def run(items: Sequence[int]) -> Sequence[int]:
        outcome = await runner.run(graph, items)
        assert isinstance(outcome, Completed), outcome
        return outcome.value

    return run


def by_pool(pool: ProcessPoolExecutor) -> Many:
    loop = asyncio.get_running_loop()

    async def run(items: Sequence[int]) -> Sequence[int]:
        return await asyncio.gather(*[loop.run_in_executor(pool, add_one, item) for item in items])

    return run


def by_client(client: Client) -> Many:
    async def run(items: Sequence[int]) -> Sequence[int]:
        futures = [client.submit(add_one, item, pure=False, retries=0) for item in items]
        return await asyncio.gather(*futures)

    return run


async def timed(side: Side, items: Sequence[int]) -> float:
    began = time.perf_counter()
    got = await side.run(items)
    took = time.perf_counter() - began
    assert list(got) == [item + 1 for item in items], side.name
    return took


async def measured(sides: Sequence[Side], counts: Mapping[int, int]) -> None:
    print(f"{'stages':>8}  {'by':<28}{'us a stage':>12}{'stages/s':>12}{'beside bare':>13}")
    for number, rounds in counts.items():
        items = list(range(number))
        took: dict[str, list[float]] = {side.name: [] for side in sides}
        for turn in range(rounds):
            for side in sides if turn % 2 else reversed(sides):
                took[side.name].append(await timed(side, items))
        for side in sides:
            each = statistics.median(took[side.name]) / number
            bare = [mine / theirs for mine, theirs in zip(took[side.name], took.get(side.bare, []), strict=False)]
            ratio = f"{statistics.median(bare):>12.2f}x" if bare else ""
            print(f"{number:>8,}  {side.name:<28}{each * 1e6:>12,.0f}{1 / each:>12,.0f}{ratio}")


async def computing(rounds: int, heavy: int) -> None:
    """A CPU-bound ``.each`` over one process and over two, beside what two are worth to the executor alone now."""
    graph, items = counted.each().build().unwrap(), [heavy] * PARTS
    runners = [Runner(engine=ProcessEngine(workers=workers)) for workers in (1, 2)]
    ratios: dict[str, list[float]] = {"ProcessEngine": [], "bare ProcessPoolExecutor": []}
    with ProcessPoolExecutor(1) as one, ProcessPoolExecutor(2) as two:
        async with runners[0], runners[1]:
            engines = [lambda given, runner=runner: runner.run(graph, given) for runner in runners]
            pools = [lambda given, pool=pool: counted_by(pool, given) for pool in (one, two)]
            for run in (*engines, *pools):
                await run([1] * PARTS)
            for _ in range(rounds):
                for name, (alone, both) in zip(ratios, (engines, pools), strict=True):
                    ratios[name].append(await seconds(alone, items) / await seconds(both, items))
    for name, found in ratios.items():
        print(f"  {name:<28}two processes are {statistics.median(found):.2f} times one (goal 1.7)")


async def counted_by(pool: ProcessPoolExecutor, items: Sequence[int]) -> Sequence[int]:
    loop = asyncio.get_running_loop()
    return await asyncio.gather(*[loop.run_in_executor(pool, count, item) for item in items])


async def seconds(run: Callable[[Sequence[int]], Awaitable[object]], items: Sequence[int]) -> float:
    began = time.perf_counter()
    answer = await run(items)
    took = time.perf_counter() - began
    got = answer.value if isinstance(answer, Completed) else answer
    assert list(got) == [count(items[0])] * len(items), answer
    return took


async def main(*, quick: bool) -> None:
    counts = {1: 1, 20: 1} if quick else COUNTS
    with ProcessPoolExecutor(WORKERS) as pool:
        async with (
            LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, asynchronous=True) as cluster,
            Client(cluster, asynchronous=True) as client,
            Runner(engine=ProcessEngine(workers=WORKERS)) as processes,
        ):
            sides = [
                Side("no engine", through(Runner())),
                Side("LocalEngine", through(Runner(engine=LocalEngine())), "no engine"),
                Side("bare ProcessPoolExecutor", by_pool(pool)),
                Side("ProcessEngine", through(processes), "bare ProcessPoolExecutor"),
                Side("bare Client.submit", by_client(client)),
                Side("DaskEngine", through(Runner(engine=DaskEngine(client))), "bare Client.submit"),
            ]
            for side in sides:
                await side.run(range(10))  # every worker is there, and has imported what it needs
            await measured(sides, counts)
    print(f"\nA CPU-bound .each of {PARTS} items:")
    await computing(1 if quick else 5, 1_000 if quick else HEAVY)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only whether the answers are right")
    asyncio.run(main(quick=parser.parse_args().quick))
