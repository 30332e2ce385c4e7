"""What an execution of a plan gives, once nothing of it runs."""

from __future__ import annotations

from returns.result import Failure

from stageflow.core.output import cancel, ok, skip
from stageflow.core.stage import StageStatus
from stageflow.errors import StageError
from stageflow.graph.execution.ledger import Ledger
from stageflow.graph.execution.outputs import StageOutputs
from stageflow.graph.plan import INPUT
from stageflow.graph.shape import Given

_OK, _SKIP = StageStatus.OK, StageStatus.SKIP


def given_by(ledger: Ledger, first: StageError | None) -> Given:
    """The plan's output, or its first failure."""
    output = ledger.plan.output
    if first is not None:
        return Failure(first)
    if ledger.each:
        return _all_items(ledger)
    if output is None:
        return _all_outputs(ledger)
    if isinstance(output, tuple):
        left_out = next((slot for slot in output if slot >= 0 and ledger.states[slot] is not _OK), None)
        values = tuple([ledger.values[slot] for slot in output])
        return ok(values) if left_out is None else _settled(ledger, left_out)
    return ok(ledger.values[INPUT]) if output == INPUT else _settled(ledger, output)


def _settled(ledger: Ledger, slot: int) -> Given:
    match ledger.states[slot]:
        case StageStatus.OK:
            return ok(ledger.values[slot])
        case StageStatus.SKIP:
            return skip(ledger.why(slot))
        case _:
            return cancel(ledger.stopped_by() or "cancelled")


def _all_items(ledger: Ledger) -> Given:
    for slot, state in enumerate(ledger.states):
        if state is not _OK:
            return _settled(ledger, slot)
    return ok(tuple(ledger.values[:-1]))


def _all_outputs(ledger: Ledger) -> Given:
    sinks = ledger.plan.sinks
    left_out = [slot for slot in sinks if ledger.states[slot] is not _OK]
    if any(ledger.states[slot] is not _SKIP for slot in left_out) or len(left_out) == len(sinks):
        return _settled(ledger, left_out[0])
    return ok(StageOutputs(ledger=ledger))
