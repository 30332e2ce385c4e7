"""The functions of stages that only contain others: ``.each()``, ``route()`` and a tuple of branches."""

from __future__ import annotations

from collections.abc import Mapping

from returns.result import Failure

from stageflow.context.inputs import StageInputs
from stageflow.core.output import ok
from stageflow.core.stage import StageStatus
from stageflow.graph.execution.inputs import of_run
from stageflow.graph.execution.ledger import Ledger
from stageflow.graph.execution.pool import Pool, within
from stageflow.graph.execution.settling import not_chosen
from stageflow.graph.plan import Plan
from stageflow.graph.shape import Call, Given


def each(body: Plan, limit: int | None) -> Call:
    """Runs the body once per item of the value, at most so many at once."""

    async def run_each(inputs: StageInputs[object]) -> Given:
        around = of_run(inputs)
        items = Ledger(around.ledger.run, body, inputs.value, around=around.ledger, slot=around.slot, each=True)
        if (teller := around.ledger.run.teller) is not None:
            teller.expecting(around.ledger.name(around.slot), len(items.states), items.settled)
        return await Pool(items, limit=limit).drive()

    return run_each


def routed(label: str, selector: Plan, table: Mapping[object, Plan], otherwise: Plan | None) -> Call:
    """Runs the selector, then on the same value the stage that stands for what it gave."""
    run_selector = within(selector)
    run_plan = {plan: within(plan) for plan in (*table.values(), *((otherwise,) if otherwise else ()))}

    async def run_routed(inputs: StageInputs[object]) -> Given:
        chosen = await run_selector(inputs)
        if isinstance(chosen, Failure) or chosen.unwrap().status is not StageStatus.OK:
            return chosen
        key = chosen.unwrap().data
        taken = table.get(key, otherwise)
        if taken is None:
            known = ", ".join(repr(case) for case in table)
            raise LookupError(f"{label} gave {key!r}, which is no case of it ({known}). Add .case({key!r}, ...).")
        around = of_run(inputs)
        others = [plan for plan in run_plan if plan is not taken]
        not_chosen(around.ledger, around.slot, others, f"{label} chose {key!r}")
        return await run_plan[taken](inputs)

    return run_routed


async def together(inputs: StageInputs[object]) -> Given:
    """Gives the outputs of branches, as the tuple they came in."""
    return ok(inputs.value)
