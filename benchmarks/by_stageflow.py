"""The same graphs in stageflow: with names, validation, Results, records, isolation, fail-fast and an event sink."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from by_hand import Run
from graphs import MASK, Graph
from returns.result import Result
from typing_extensions import Never, override

from stageflow import (
    BaseInterceptor,
    Completed,
    Interceptor,
    Pipeline,
    Runner,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    UnifiedStageGraph,
    UnifiedStageSpec,
    ok,
    stage,
)


class Counting:
    """A sink that takes every event."""

    def __init__(self) -> None:
        self.events = 0

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:  # noqa: ARG002
        self.events += 1

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:  # noqa: ARG002
        self.events += 1


class Around(Interceptor[Never]):
    """An interceptor in around style that does nothing."""

    @override
    def wrap(self, call, /):
        async def passing(inputs):
            return await call(inputs)

        return passing


class Hooked(BaseInterceptor[Never]):
    """An interceptor in hook style that overrides no hook."""


RUNNER = Runner(sink=Counting())


def specs_of(graph: Graph) -> list[UnifiedStageSpec]:
    """The stages of a graph, wired by names."""
    return [
        UnifiedStageSpec(f"s{number}", _stage(graph, number), None, tuple([f"s{parent}" for parent in parents]))
        for number, parents in enumerate(graph.parents)
    ]


def built(specs: list[UnifiedStageSpec]) -> UnifiedStageGraph[object, object]:
    return Pipeline.from_specs(specs).build().unwrap()


def run_of(graph: Graph, *, runner: Runner[StageError] | Runner[Never] = RUNNER) -> Run:
    """The graph as a function of its input, which gives the sum of the sinks."""
    pipeline = built(specs_of(graph))
    sinks = [f"s{sink}" for sink in graph.sinks()]

    async def run(value: int) -> int:
        outcome = await runner.run(pipeline, value)
        assert isinstance(outcome, Completed), outcome
        outputs = outcome.report.outputs
        return sum([cast("int", outputs[sink]) for sink in sinks])

    return run


def each_of() -> Callable[[list[int]], Awaitable[int]]:
    """One stage over many items."""

    @stage
    async def adding(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
        return ok((inputs.value + 1) & MASK)

    pipeline = adding.each().build().unwrap()

    async def run(values: list[int]) -> int:
        outcome = await RUNNER.run(pipeline, values)
        assert isinstance(outcome, Completed), outcome
        return sum(outcome.value)

    return run


def _stage(graph: Graph, number: int) -> Stage[object, int]:
    several, suspends = len(graph.parents[number]) > 1, graph.suspends

    async def adding(inputs: StageInputs[object]) -> Result[StageOutput[int], Never]:
        return ok((cast("int", inputs.value) + 1) & MASK)

    async def adding_several(inputs: StageInputs[object]) -> Result[StageOutput[int], Never]:
        return ok((sum(cast("tuple[int, ...]", inputs.value)) + 1) & MASK)

    async def suspending(inputs: StageInputs[object]) -> Result[StageOutput[int], Never]:
        await asyncio.sleep(0)
        values = cast("tuple[int, ...]", inputs.value) if several else (cast("int", inputs.value),)
        return ok((sum(values) + 1) & MASK)

    return stage(suspending if suspends else adding_several if several else adding)
