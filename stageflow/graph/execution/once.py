"""Stages that must not run twice: ``@stage(effects="once")``.

What such a stage gave stands for the rest of the run, also where what is around it is tried again. Where it failed by
itself, it has said what happened, and may be tried again. Where it was cut off, by a timeout, a cancellation or an
exception that escaped it, nobody knows whether its effect happened: then no further attempt is made.
"""

from __future__ import annotations

from returns.result import Failure, Success

from stageflow.context.inputs import StageInputs
from stageflow.errors import EffectsUnknownError
from stageflow.graph.execution.inputs import RunInputs
from stageflow.graph.shape import Call, Given


def only_once(call: Call) -> Call:
    """The function, held to one run of it in a run."""

    async def run_once(inputs: StageInputs[object]) -> Given:
        if not isinstance(inputs, RunInputs):  # called by hand, outside of a run
            return await call(inputs)
        ledger, slot = inputs.ledger, inputs.slot
        run, name = ledger.run, ledger.name(slot)
        if run.once is None:
            run.once = {}
        if name in run.once:
            return run.once[name] or Failure(_cut_off(name))
        run.once[name] = None
        if run.journal is not None:
            lost = await run.journal.starting(ledger, slot)
            if lost is not None:
                return lost
        result = await call(inputs)
        if isinstance(result, Success):
            run.once[name] = result
        else:
            del run.once[name]
            if run.journal is not None and isinstance(result, Failure):
                run.journal.failed(ledger, slot, result.failure())
        return result

    return run_once


def _cut_off(name: str) -> EffectsUnknownError:
    return EffectsUnknownError(
        f'Stage "{name}" must not run twice (effects="once"), and its former attempt was cut off: its effect may have '
        "happened, so that it was not tried again. Find out whether it did; let the stage return its failures where "
        "another attempt is safe.",
        stage=name,
        stages=(name,),
    )
