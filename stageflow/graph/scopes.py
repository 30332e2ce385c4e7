"""What ``.optional()``, ``.when()``, ``.recover()``, ``.settled()``, ``.each()`` and ``route()`` do to a stage.

Each is a decorator of a stage function, as an interceptor is: so they nest in any order and to any depth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from returns.result import Failure, Result, Success

from stageflow.context.inputs import StageInputs
from stageflow.core.output import StageOutput, ok, skip
from stageflow.core.stage import StageStatus
from stageflow.errors import StageError
from stageflow.graph.errors import defect
from stageflow.graph.ledger import Ledger
from stageflow.graph.plan import Plan
from stageflow.graph.pool import Pool, of_run, within
from stageflow.graph.shape import Build, Call, Each, OrNone, Recover, Settle, Using, When, Wrapper

Given = Result[StageOutput[object], StageError]


def wrapped(call: Call, how: Wrapper, label: str) -> Call:
    """The function of a stage, changed as one wrapper says."""
    match how:
        case Using(wrap):
            return wrap(call)
        case When(predicate):
            return _when(call, how)
        case OrNone():
            return _or_none(call)
        case Settle():
            return _settled(call, label)
        case Recover():
            return _recovering(call, how)
        case Each():
            raise AssertionError("an .each has a plan of its own")


def _when(call: Call, how: When) -> Call:
    async def run_when(inputs: StageInputs[object]) -> Given:
        return await call(inputs) if how.predicate(inputs) else skip("its condition was false")

    return run_when


def _or_none(call: Call) -> Call:
    async def run_or_none(inputs: StageInputs[object]) -> Given:
        result = await call(inputs)
        if isinstance(result, Success) and result.unwrap().status is StageStatus.SKIP:
            return ok(None)
        return result

    return run_or_none


def _settled(call: Call, label: str) -> Call:
    async def run_settled(inputs: StageInputs[object]) -> Given:
        try:
            result = await call(inputs)
        except Exception as escaped:  # noqa: BLE001  (a defect is a value here)
            result = Failure(defect(label, escaped))
        if isinstance(result, Failure):
            error = result.failure()
            return result if id(error) in of_run(inputs).ledger.run.foreign else ok(Failure(error))
        output = result.unwrap()
        return ok(Success(output.data)) if output.status is StageStatus.OK else result

    return run_settled


def _recovering(call: Call, how: Recover) -> Call:
    async def run_recovering(inputs: StageInputs[object]) -> Given:
        result = await call(inputs)
        if isinstance(result, Success):
            return result
        error, run = result.failure(), of_run(inputs).ledger.run
        return result if id(error) in run.foreign or id(error) in run.defects else await how.handler(error)

    return run_recovering


def each(body: Plan, limit: int | None) -> Call:
    """Runs the body once per item of the value, at most so many at once."""

    async def run_each(inputs: StageInputs[object]) -> Given:
        around = of_run(inputs)
        items = Ledger(
            around.ledger.run, body, inputs.value, above=around.ledger, slot=around.slot, each=True
        )
        return await Pool(items, limit=limit).drive()

    return run_each


def routed(
    label: str, selector: Plan, table: Mapping[object, Plan] | Sequence[tuple[object, Plan]], otherwise: Plan | None
) -> Call:
    """Runs the selector, then on the same value the stage that stands for what it gave."""
    run_selector = within(selector)
    calls = {key: within(plan) for key, plan in (table.items() if isinstance(table, Mapping) else table)}
    run_otherwise = within(otherwise) if otherwise is not None else None

    async def run_routed(inputs: StageInputs[object]) -> Given:
        chosen = await run_selector(inputs)
        if isinstance(chosen, Failure) or chosen.unwrap().status is not StageStatus.OK:
            return chosen
        key = chosen.unwrap().data
        call = calls.get(key, run_otherwise)
        if call is None:
            known = ", ".join(repr(case) for case in calls)
            raise LookupError(f"{label} gave {key!r}, which is no case of the route ({known}). Add .case({key!r}, ...).")
        around = of_run(inputs)
        around.ledger.notes[around.slot] = f"{label} chose {key!r}"
        return await call(inputs)

    return run_routed


def joined(build: Build | None) -> Call:
    """Makes one value of the outputs of branches."""

    async def run_joined(inputs: StageInputs[object]) -> Given:
        values = inputs.value
        return ok(values if build is None else build(*values))  # type: ignore[misc]  # a stage of branches gets a tuple

    return run_joined
