"""How a stage starts and ends: in the ledger of its execution, in the scheduler, and in what is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from returns.result import Failure, Success

from stageflow.core.output import StageOutput
from stageflow.core.stage import StageKind, StageStatus
from stageflow.errors import StageError
from stageflow.graph.errors import defect, no_result
from stageflow.graph.execution.ledger import NEVER, Ledger
from stageflow.graph.names import stages_inside
from stageflow.graph.plan import Plan

_OK, _SKIP, _FAIL, _CANCEL = StageStatus.OK, StageStatus.SKIP, StageStatus.FAIL, StageStatus.CANCEL


def began(ledger: Ledger, slot: int) -> None:
    """Tells that a stage starts."""
    teller, kind = ledger.run.teller, ledger.kind(slot)
    if teller is not None and kind is not None:
        name, attempt = ledger.name(slot), ledger.attempt(slot)
        teller.began(f"stage.{name}.{'started' if attempt == 1 else 'retrying'}", name, kind, attempt)


def completed(ledger: Ledger, slot: int) -> None:
    """Tells that a stage ended OK."""
    _tell_ended(ledger, slot, "completed")


def escaped(ledger: Ledger, slot: int, error: BaseException) -> Failure[StageError]:
    """What a stage gave that an exception escaped: a defect is a value."""
    made = defect(ledger.name(slot), error)
    ledger.run.defects.add(made)
    return Failure(made)


def stopped(ledger: Ledger, slot: int, now: float) -> None:
    """Settles a stage that was cancelled."""
    ledger.scheduler.finished(slot, _CANCEL)
    ledger.notes[slot] = cause = ledger.stopped_by()
    if ledger.begun[slot] != NEVER:
        ledger.ended[slot] = now - ledger.begun[slot]
        _tell_ended(ledger, slot, "cancelled", reason=cause)


def rode_along(ledger: Ledger, slot: int, output: StageOutput[object]) -> None:
    """Keeps and tells the artifacts and events that an output brought along."""
    ledger.riders[slot] = output
    teller = ledger.run.teller
    if teller is not None:
        name, kind = ledger.name(slot), ledger.kind(slot) or StageKind.TRANSFORM
        for artifact in output.artifacts:
            teller.made(name, kind, ledger.attempt(slot), artifact)
        for event in output.events:
            teller.own(name, event)


def ended_otherwise(ledger: Ledger, slot: int, result: object) -> StageError | None:
    """Settles a stage that did not end OK, and what cannot run any more; gives its failure, where it failed."""
    failure: StageError | None = None
    match cast("Success[object] | Failure[object] | None", result):
        case Success(output) if isinstance(output, StageOutput):
            _left_out(ledger, slot, cast("StageOutput[object]", output))
        case Failure(StageError() as error):
            failure = error
        case _:
            failure = no_result(ledger.name(slot), result)
            ledger.run.defects.add(failure)
    if failure is not None:
        _failed(ledger, slot, failure)
    left_behind(ledger)
    return failure


def left_behind(ledger: Ledger) -> None:
    """Tells what was skipped since, because of what it follows."""
    for slot in ledger.scheduler.settled():
        if ledger.states[slot] is _SKIP:
            _tell_skipped(ledger, slot)


def not_chosen(ledger: Ledger, slot: int, plans: Sequence[Plan], reason: str) -> None:
    """Skips the stages of the cases that a route did not choose."""
    ledger.chosen = {**(ledger.chosen or {}), slot: reason}
    if ledger.begun[slot] != NEVER:  # else it is replayed, and was told then
        items = (*ledger.items, slot) if ledger.each else ledger.items
        for plan in plans:
            _tell_inside_skipped(ledger, plan, items, reason)


def _tell_inside_skipped(ledger: Ledger, plan: Plan, items: tuple[int, ...], reason: str) -> None:
    for name, kind in stages_inside(plan, items):
        if ledger.run.teller is not None:
            ledger.run.teller.ended(name, kind, ("skipped", 0, 0.0), reason=reason)


def _left_out(ledger: Ledger, slot: int, output: StageOutput[object]) -> None:
    """A stage skipped, or cancelled the run."""
    ledger.notes[slot] = output.reason
    if output.artifacts or output.events:
        rode_along(ledger, slot, output)
    ledger.scheduler.finished(slot, output.status)
    what = "skipped" if output.status is _SKIP else "cancelled"
    _tell_ended(ledger, slot, what, reason=output.reason)
    if output.status is _CANCEL:
        ledger.scheduler.halt()
        ledger.run.stop(ledger.why(slot))
    elif ledger.kind(slot) is None:
        _tell_skipped(ledger, slot)


def _failed(ledger: Ledger, slot: int, error: StageError) -> None:
    ledger.notes[slot] = error
    ledger.scheduler.finished(slot, _FAIL)
    ledger.run.failed.append(error)
    _tell_ended(ledger, slot, "failed", error=str(error), error_type=type(error).__name__)


def _tell_ended(ledger: Ledger, slot: int, what: str, **more: object) -> None:
    teller, kind = ledger.run.teller, ledger.kind(slot)
    if teller is not None and kind is not None:
        teller.ended(ledger.name(slot), kind, (what, ledger.attempt(slot), ledger.ended[slot] * 1000), **more)


def _tell_skipped(ledger: Ledger, slot: int) -> None:
    """Tells of a stage that was skipped without having started, or of those inside it."""
    teller = ledger.run.teller
    if teller is None:
        return
    kind, reason = ledger.kind(slot), ledger.why(slot)
    if kind is not None:
        teller.ended(ledger.name(slot), kind, ("skipped", 0, 0.0), reason=reason)
    elif not any(at == slot for at, _ in ledger.children):
        for plan in () if ledger.each else ledger.plan.inner.get(slot, ()):
            _tell_inside_skipped(ledger, plan, ledger.items, reason)
