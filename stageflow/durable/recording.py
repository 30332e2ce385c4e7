"""A recorder around every stage of a graph: what a stage gave is durable before anything goes on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast, final

from returns.result import Failure

from stageflow.context.inputs import StageInputs
from stageflow.durable.chart import Chart
from stageflow.durable.description import Description
from stageflow.durable.journal import RunJournal
from stageflow.graph.errors import defect
from stageflow.graph.execution.inputs import of_run
from stageflow.graph.execution.seams import Wrapping
from stageflow.graph.plan import Node, Plan
from stageflow.graph.shape import Call, Given
from stageflow.graph.wrapping import Wrapped


@final
class Recording:
    """The recorder of one graph: outside of a runner's interceptors and of a stage's own wrappers.

    Attributes:
        chart: the places of the graph.
        description: the graph in words.
    """

    __slots__ = ("_around", "_wired", "chart", "description")

    def __init__(self, chart: Chart, description: Description, around: Wrapping | None) -> None:
        self.chart: Chart = chart
        self.description: Description = description
        self._around = around
        self._wired: dict[Plan, tuple[Sequence[Node], Mapping[int, Call]]] = {}

    def wired(self, plan: Plan, /) -> tuple[Sequence[Node], Mapping[int, Call]]:
        """The plan's nodes, each that has something to record in a recorder, and its cores."""
        found = self._wired.get(plan)
        if found is None:
            nodes, cores = (plan.nodes, plan.cores) if self._around is None else self._around.wired(plan)
            recorded = [
                (_recorded(call) if _gives(plan, slot) else call, source) for slot, (call, source) in enumerate(nodes)
            ]
            found = self._wired[plan] = (recorded, cores)
        return found


def _gives(plan: Plan, slot: int) -> bool:
    """Whether a place gives what does not come again of what is inside it."""
    return plan.kinds[slot] is not None or isinstance(plan.shapes[slot], Wrapped)


def _recorded(call: Call) -> Call:
    async def run_recorded(inputs: StageInputs[object]) -> Given:
        around = of_run(inputs)
        ledger, slot = around.ledger, around.slot
        try:
            result = await call(inputs)
        except Exception as escaped:  # noqa: BLE001  (it is made the defect that it would become)
            made = defect(ledger.name(slot), escaped)
            ledger.run.defects.add(made)
            result = Failure(made)
        return await cast("RunJournal", ledger.run.journal).kept(ledger, slot, result)

    return run_recorded
