"""What interceptors cost a stage, beside async closures nested by hand around the same functions, in the same run.

    python benchmarks/interceptors.py            the table; about a quarter of a minute
    python benchmarks/interceptors.py --quick    only whether the answers are right

A ratio to closures is what a stack adds to a stage, beside what as many closures add to a call, within a round. No
SDK of OpenTelemetry is set here: what tracing and metrics add is what an application without one pays.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import platform
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import by_stageflow
from by_hand import Run
from graphs import MASK, chain
from opentelemetry.trace import NoOpTracerProvider
from run import INPUT, show, turns
from typing_extensions import override

from stageflow import (
    BaseInterceptor,
    CircuitBreakerInterceptor,
    Interceptor,
    InterceptorContext,
    InterceptorResult,
    LimitInterceptor,
    LoggingInterceptor,
    RetryInterceptor,
    Runner,
    StageResult,
    TimeoutInterceptor,
    get_default_interceptors,
)
from stageflow.interceptors.correlation import CorrelationInterceptor
from stageflow.interceptors.metrics import MetricsInterceptor
from stageflow.interceptors.tracing import TracingInterceptor

GRAPH = chain(100)
Closure = Callable[[int], "asyncio.Future[int]"]


@dataclass(frozen=True, slots=True)
class Stack:
    """Interceptors, the first outermost, around every stage; ``closures`` is how many of those by hand are as many."""

    name: str
    interceptors: tuple[Interceptor, ...]
    closures: int = 0


class Hooks(BaseInterceptor):
    """Overrides all three hooks, and does nothing in them."""

    @override
    async def before(self, context: InterceptorContext, /) -> InterceptorResult:
        return InterceptorResult.proceed()

    @override
    async def after(self, context: InterceptorContext, outcome: StageResult, /) -> None: ...

    @override
    async def on_error(self, context, error, /):
        return await super().on_error(context, error)


def stacks() -> tuple[Stack, ...]:
    return (
        Stack("no interceptor", ()),
        Stack("five around, which do nothing", tuple(by_stageflow.Around() for _ in range(5)), 5),
        Stack("five whose hooks are not overridden", tuple(by_stageflow.Hooked() for _ in range(5)), 5),
        Stack("five whose hooks do nothing", tuple(Hooks() for _ in range(5)), 5),
        Stack("LimitInterceptor", (LimitInterceptor(10),), 1),
        Stack("CircuitBreakerInterceptor", (CircuitBreakerInterceptor(),), 1),
        Stack("RetryInterceptor", (RetryInterceptor(),), 1),
        Stack("TimeoutInterceptor", (TimeoutInterceptor(30.0),), 1),
        Stack("LoggingInterceptor, its level off", (LoggingInterceptor(),), 1),
        Stack("CorrelationInterceptor", (CorrelationInterceptor(),), 1),
        Stack("TracingInterceptor, no SDK", (TracingInterceptor(),), 1),
        Stack("TracingInterceptor, a no-op provider", (TracingInterceptor(NoOpTracerProvider()),), 1),
        Stack("MetricsInterceptor, no SDK", (MetricsInterceptor(),), 1),
        Stack("all defaults", get_default_interceptors(), 4),
    )


def of_runner(interceptors: Iterable[Interceptor]) -> Run:
    runner = Runner()
    for interceptor in reversed(tuple(interceptors)):
        runner = runner.using(interceptor)
    return by_stageflow.run_of(GRAPH, runner=runner)


def by_closures(depth: int) -> Run:
    """The chain by hand: functions that await one another, each in so many closures that pass on."""

    async def adding(value: int) -> int:
        return (value + 1) & MASK

    def around(call):
        async def passing(value: int) -> int:
            return await call(value)

        return passing

    stages = [adding for _ in GRAPH.parents]
    for _ in range(depth):
        stages = [around(call) for call in stages]

    async def run(value: int) -> int:
        for call in stages:
            value = await call(value)
        return value

    return run


async def check(runs: dict[str, Run]) -> None:
    """Runs every stack once.

    Raises:
        AssertionError: an answer is wrong.
    """
    for name, run in runs.items():
        if (got := await run(INPUT)) != GRAPH.answer(INPUT):
            raise AssertionError(f"{name}: {got!r} instead of {GRAPH.answer(INPUT)!r}")


async def main() -> None:
    parser = argparse.ArgumentParser(description="What interceptors cost a stage.")
    parser.add_argument("--quick", action="store_true", help="only check that the answers are right")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of which the median is shown")
    options = parser.parse_args()
    logging.getLogger("stageflow").setLevel(logging.WARNING)
    every = stacks()
    closures = {depth: by_closures(depth) for depth in sorted({stack.closures for stack in every})}
    hand = {f"{depth} closures": run for depth, run in closures.items()}
    ours = {stack.name: of_runner(stack.interceptors) for stack in every}
    await check(hand | ours)
    if options.quick:
        print(f"{len(ours)} stacks of interceptors: the answers are right")
        return
    print(f"Python {platform.python_version()}, medians of {options.rounds} rounds")
    runs = [*closures.values(), *ours.values()]
    taken = await turns([lambda run=run: run(INPUT) for run in runs], len(GRAPH.parents), options.rounds)
    by_depth = dict(zip(closures, taken, strict=False))
    show_table(every, by_depth, taken[len(closures) :])


def show_table(every: tuple[Stack, ...], hand: dict[int, list[float]], ours: list[list[float]]) -> None:
    rows: list[tuple[str, ...]] = []
    for stack, mine in zip(every, ours, strict=True):
        added = [a - b for a, b in zip(mine, ours[0], strict=True)]
        nested = [a - b for a, b in zip(hand[stack.closures], hand[0], strict=True)]
        ratio = (
            f"{statistics.median([a / b for a, b in zip(added, nested, strict=True)]):.1f}" if stack.closures else ""
        )
        by_hand = f"{statistics.median(nested):.2f}" if stack.closures else ""
        rows.append((stack.name, f"{statistics.median(mine):.2f}", f"{statistics.median(added):+.2f}", by_hand, ratio))
    heads = ("", "us a stage", "added, us", "as many closures, us", "ratio")
    show(f"Interceptors of a runner around each stage of a {GRAPH.name}", heads, rows)


if __name__ == "__main__":
    asyncio.run(main())
