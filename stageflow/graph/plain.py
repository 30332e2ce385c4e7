"""The exception style (a compatibility door): plain async functions of a context, which return data or raise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import cast, final

from returns.result import Success

from stageflow.context.inputs import StageInputs
from stageflow.context.pipeline import PipelineContext
from stageflow.core.output import StageOutput, ok
from stageflow.core.record import StageResult
from stageflow.graph.errors import UnifiedPipelineCancelled
from stageflow.graph.execution.inputs import of_run
from stageflow.graph.executor import AnyGraph, driver, graph_of
from stageflow.graph.outcome import Cancelled, Failed
from stageflow.graph.shape import Given, Leaf
from stageflow.graph.spec import StageSpec
from stageflow.graph.wired import Source, Step, Wire
from stageflow.graph.wrapping import When, Wrapped


@final
class StageGraph:
    """A graph of `StageSpec`: a thin face on the executor, for code that does not speak Result.

    Raises:
        PipelineValidationError: the specs have problems; all of them are in it.
    """

    __slots__ = ("_graph",)

    def __init__(self, specs: Iterable[StageSpec], /) -> None:
        wires = tuple([_wire(spec) for spec in specs])
        self._graph: AnyGraph = graph_of(Step(Source(object), wires))

    async def run(self, context: PipelineContext | None = None) -> Mapping[str, StageResult]:
        """Runs the graph, and gives how each stage went, by name.

        Raises:
            StageExecutionError: a stage raised, and its exception is the ``__cause__``.
            UnifiedPipelineCancelled: a stage cancelled the run, or its deadline did.
        """
        outcome = await driver()(self._graph, context, context)
        if isinstance(outcome, Failed):
            raise outcome.error
        if isinstance(outcome, Cancelled):
            stages = outcome.report.stages
            by = [name for name, stage in stages.items() if outcome.reason == f"{name}: {stage.reason}"]
            if not by:
                raise UnifiedPipelineCancelled("", outcome.reason, stages)
            raise UnifiedPipelineCancelled(by[0], stages[by[0]].reason, stages)
        return outcome.report.stages


def _wire(spec: StageSpec) -> Wire:
    async def run_plain(inputs: StageInputs[object]) -> Given:
        given = await spec.runner(_context(inputs, spec.dependencies))
        if isinstance(given, StageOutput):
            return Success(cast("StageOutput[object]", given))
        return ok(given)

    shape: Leaf | Wrapped = Leaf(spec.name, run_plain, spec.kind, (), (), run_plain)
    if (when := spec.when) is not None:
        shape = Wrapped.of(shape, When(lambda inputs: when(_context(inputs, spec.dependencies))))
    return Wire(shape, spec.dependencies, len(spec.dependencies) == 1)


def _context(inputs: StageInputs[object], dependencies: tuple[str, ...]) -> PipelineContext:
    run = of_run(inputs).ledger.run
    outputs = {name: inputs[name] for name in dependencies}
    return replace(run.context, run_id=run.run_id, timer=run.timer, outputs=outputs)
