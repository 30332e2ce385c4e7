"""A runner's interceptors around every stage of a graph, compiled once per runner and graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from returns.result import Failure

from stageflow.context.inputs import StageInputs
from stageflow.graph.errors import defect
from stageflow.graph.execution.inputs import of_run
from stageflow.graph.execution.seams import Wrapping
from stageflow.graph.plan import Node, Plan
from stageflow.graph.shape import Call, Given
from stageflow.graph.wrapping import Wraps


@final
class Around:
    """The interceptors of a runner around the stages of one graph: the first is the innermost.

    They go inside ``.optional``, ``.settled`` and ``.recover``, so that a retry sees the failure. Errors that they add
    pass through those to the outcome, since the type of the pipeline cannot tell of them.
    """

    __slots__ = ("_absorbs", "_inside", "_interceptors", "_wired")

    def __init__(self, interceptors: tuple[Wraps, ...], *, absorbs: bool, inside: Wrapping | None = None) -> None:
        self._interceptors = interceptors
        self._absorbs = absorbs
        self._inside = inside
        self._wired: dict[Plan, tuple[Sequence[Node], Mapping[int, Call]]] = {}

    def wired(self, plan: Plan, /) -> tuple[Sequence[Node], Mapping[int, Call]]:
        """The plan's nodes and cores, each stage of the user's wrapped."""
        found = self._wired.get(plan)
        if found is None:
            wired = (plan.nodes, plan.cores) if self._inside is None else self._inside.wired(plan)
            nodes, cores = list(wired[0]), dict(wired[1])
            for slot, kind in enumerate(plan.kinds):
                if kind is None:
                    continue
                if slot in cores:
                    cores[slot] = self._wrap(cores[slot])
                else:
                    nodes[slot] = (self._wrap(nodes[slot][0]), nodes[slot][1])
            found = self._wired[plan] = (nodes, cores)
        return found

    def _wrap(self, call: Call) -> Call:
        wrapped = _noting_own(call) if self._absorbs else call
        for interceptor in self._interceptors:
            wrapped = interceptor.wrap(wrapped)
        return _noting_foreign(wrapped) if self._absorbs else wrapped


def _noting_own(call: Call) -> Call:
    async def run_noting_own(inputs: StageInputs[object]) -> Given:
        around = of_run(inputs)
        run = around.ledger.run
        try:
            result = await call(inputs)
        except Exception as escaped:  # noqa: BLE001  (it is made the defect that it would become)
            made = defect(around.ledger.name(around.slot), escaped)
            run.defects.add(made)
            result = Failure(made)
        if isinstance(result, Failure):
            run.own.add(result.failure())
        return result

    return run_noting_own


def _noting_foreign(call: Call) -> Call:
    async def run_noting_foreign(inputs: StageInputs[object]) -> Given:
        result = await call(inputs)
        if isinstance(result, Failure):
            run, error = of_run(inputs).ledger.run, result.failure()
            if error not in run.own:
                run.foreign.add(error)
        return result

    return run_noting_foreign
