"""What watching a run costs: the graphs of `run.py` with progress on and off, side by side.

    python benchmarks/progress.py [--rounds N]

Both sides have a sink; one counts the events, the other is `ProgressSink`, drawing for a terminal into nowhere. The
stages do nothing but add, so that a stage costs about what telling of it does: this is the worst there is. The last
rows last long enough to be drawn. As in `run.py`, the sides take turns, and a ratio is taken within a
round. What is timed is the processor's time, that of the thread which draws included.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time

import by_stageflow
from graphs import chain, fan
from run import CONCURRENT, GRAPHS, INPUT, ITEMS, Go, show, turns

from stageflow import Completed, EventSink, Runner, StageInputs, UnifiedStageGraph, ok, stage
from stageflow.views.progress import ProgressSink

MANY = 100_000


@stage
async def adding(inputs: StageInputs[int]):
    return ok(inputs.value + 1)


@stage
async def suspending(inputs: StageInputs[int]):
    await asyncio.sleep(0)
    return ok(inputs.value + 1)


def cases() -> list[tuple[str, UnifiedStageGraph, object, int, int]]:
    """Of each: its name, graph, input, how many units of work are in it, and how many runs at once."""
    plain = [*GRAPHS, *[graph.suspending() for graph in GRAPHS]]
    rows = [
        (graph.name, by_stageflow.built(by_stageflow.specs_of(graph)), INPUT, len(graph.parents), 1) for graph in plain
    ]
    small = by_stageflow.built(by_stageflow.specs_of(chain(10)))
    rows.append((f"{CONCURRENT:,} runs of chain(10) at once", small, INPUT, 10 * CONCURRENT, CONCURRENT))
    each = adding.each().build().unwrap()
    rows += [(f".each over {size:,} items", each, list(range(size)), size, 1) for size in (ITEMS, MANY)]
    items = list(range(MANY))
    rows.append((f"suspending .each over {MANY:,}", suspending.each(limit=100).build().unwrap(), items, MANY, 1))
    rows.append((f"fan({MANY:,})", by_stageflow.built(by_stageflow.specs_of(fan(MANY))), INPUT, MANY, 1))
    return rows


def going(graph: UnifiedStageGraph, value: object, at_once: int, sink: EventSink) -> Go:
    runner = Runner(sink=sink)

    async def go() -> None:
        outcomes = await asyncio.gather(*[runner.run(graph, value) for _ in range(at_once)])
        assert all(isinstance(outcome, Completed) for outcome in outcomes)

    return go


async def main() -> None:
    parser = argparse.ArgumentParser(description="What watching a run costs.")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of which the median is shown")
    options = parser.parse_args()
    rows: list[tuple[str, ...]] = []
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: ASYNC230, PTH123  (nothing waits for it)
        for name, graph, value, units, at_once in cases():
            sink = ProgressSink(nowhere, live=True)
            sides = [going(graph, value, at_once, each) for each in (by_stageflow.Counting(), sink)]
            off, on = await turns(sides, units, options.rounds, time.process_time)
            await sink.aclose()
            ratio = statistics.median([a / b for a, b in zip(on, off, strict=True)])
            rows.append((name, f"{statistics.median(off):.2f}", f"{statistics.median(on):.2f}", f"{ratio:.2f}"))
    show("A stage (or item), with progress off and on", ("", "off, us", "on, us", "ratio"), rows)


if __name__ == "__main__":
    asyncio.run(main())
