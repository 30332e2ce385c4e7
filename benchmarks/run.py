"""What orchestration costs, beside hand-written asyncio in the same run.

    python benchmarks/run.py            the table; about half a minute
    python benchmarks/run.py --quick    only whether the answers are right

Each row is timed in rounds, in which both sides take turns, in reverse in every second one. A ratio is taken within a
round, and the median of the rounds is shown, so that what else the machine does weighs on both sides alike.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import platform
import statistics
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import by_hand
import by_stageflow
from graphs import SMALL, Graph, chain, fan, layered, sparse

CONCURRENT, ITEMS, INPUT = 1_000, 1_000, 5
GRAPHS = (chain(100), fan(1_000), layered(20, 50))
Go = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Case:
    """Two ways to one answer, and how many units of work are in it."""

    name: str
    units: int
    answer: object
    hand: Go
    ours: Go
    goal: str


def graph_case(graph: Graph, goal: str) -> Case:
    hand, ours = by_hand.run_of(graph), by_stageflow.run_of(graph)
    return Case(graph.name, len(graph.parents), graph.answer(INPUT), lambda: hand(INPUT), lambda: ours(INPUT), goal)


def concurrent_case() -> Case:
    hand, ours = by_hand.run_of(SMALL), by_stageflow.run_of(SMALL)

    def all_of(run: by_hand.Run) -> Go:
        return lambda: asyncio.gather(*[run(value) for value in range(CONCURRENT)])

    answer = [SMALL.answer(value) for value in range(CONCURRENT)]
    units = CONCURRENT * len(SMALL.parents)
    return Case(f"{CONCURRENT:,} runs of {SMALL.name} at once", units, answer, all_of(hand), all_of(ours), "0.77")


def each_case() -> Case:
    items, ours = list(range(ITEMS)), by_stageflow.each_of()
    answer = sum(value + 1 for value in items)
    return Case(f".each over {ITEMS:,} items", ITEMS, answer, lambda: by_hand.each(items), lambda: ours(items), "1.5")


def cases() -> list[Case]:
    goals = ("0.8", "0.75", "0.9")
    plain = [graph_case(graph, goal) for graph, goal in zip(GRAPHS, goals, strict=True)]
    return [*plain, *[graph_case(graph.suspending(), "1.2") for graph in GRAPHS], concurrent_case(), each_case()]


async def timed(go: Go, repeat: int, clock: Callable[[], float]) -> float:
    """Seconds that one takes, on average."""
    gc.collect()
    began = clock()
    for _ in range(repeat):
        await go()
    return (clock() - began) / repeat


async def turns(
    sides: list[Go], units: int, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[list[float]]:
    """Microseconds a unit of each side, in each round."""
    repeat = max(1, 10_000 // units)
    for go in sides:
        await go()
    taken: list[list[float]] = [[] for _ in sides]
    for number in range(rounds):
        order = range(len(sides)) if number % 2 == 0 else reversed(range(len(sides)))
        for side in order:
            taken[side].append(await timed(sides[side], repeat, clock) / units * 1e6)
    return taken


def show(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    print(f"\n{title}\n")
    for row in (heads, tuple("-" * width for width in widths), *rows):
        first, *others = [
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("| " + " | ".join([first, *others]) + " |")


async def check(every: list[Case]) -> None:
    """Runs every case once on both sides.

    Raises:
        AssertionError: an answer is wrong.
    """
    for case in every:
        for side, go in (("by hand", case.hand), ("stageflow", case.ours)):
            got = await go()
            if got != case.answer:
                raise AssertionError(f"{case.name}, {side}: {got!r} instead of {case.answer!r}")


async def show_ratios(every: list[Case], rounds: int) -> None:
    rows: list[tuple[str, ...]] = []
    for case in every:
        hand, ours = await turns([case.hand, case.ours], case.units, rounds)
        ratio = statistics.median([mine / theirs for mine, theirs in zip(ours, hand, strict=True)])
        times = (f"{statistics.median(hand):.2f}", f"{statistics.median(ours):.2f}")
        rows.append((case.name, *times, f"{ratio:.2f}", case.goal))
    heads = ("", "by hand, us", "stageflow, us", "ratio", "goal")
    show("A stage (or item), beside one asyncio task per stage in a TaskGroup", heads, rows)


def show_building(sizes: tuple[int, ...]) -> None:
    rows: list[tuple[str, ...]] = []
    for size in sizes:
        specs = by_stageflow.specs_of(sparse(size))
        times: list[float] = []
        for _ in range(3):
            gc.collect()
            began = time.perf_counter()
            by_stageflow.built(specs)
            times.append((time.perf_counter() - began) / size * 1e6)
        del specs
        rows.append((f"{size:,} stages", f"{statistics.median(times):.1f}", f"{memory_of(size):.2f}"))
    show("Building a sparse graph, a stage (goals: 8 us, 1.2 KiB)", ("", "build, us", "stage and graph, KiB"), rows)


def memory_of(size: int) -> float:
    """KiB a stage, the stage itself included."""
    graph = sparse(size)
    gc.collect()
    tracemalloc.start()
    kept = by_stageflow.built(by_stageflow.specs_of(graph))
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return used / size / 1024


async def main() -> None:
    parser = argparse.ArgumentParser(description="What orchestration costs, beside hand-written asyncio.")
    parser.add_argument("--quick", action="store_true", help="only check that the answers are right")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of which the median is shown")
    options = parser.parse_args()
    every = cases()
    await check(every)
    if options.quick:
        print(f"{len(every)} cases: the answers are right")
        return
    print(f"Python {platform.python_version()}, medians of {options.rounds} rounds")
    await show_ratios(every, options.rounds)
    show_building((1_000, 10_000))


if __name__ == "__main__":
    asyncio.run(main())
