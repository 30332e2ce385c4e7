"""One run from its first event to its last, and what it comes to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine

from returns.result import Failure

from stageflow.core.stage import StageStatus
from stageflow.errors import RunStoreError, StageError
from stageflow.graph.execution.ledger import Ledger
from stageflow.graph.execution.pool import Pool
from stageflow.graph.execution.run import Run, nothing_runs
from stageflow.graph.outcome import Cancelled, Completed, Failed, Outcome, Skipped
from stageflow.graph.report import RunReport
from stageflow.graph.shape import Given
from stageflow.graph.stepping import outlasting
from stageflow.ports import RunStore

_LOG = logging.getLogger(__name__)


async def execute(run: Run, value: object, store: RunStore | None) -> Outcome:
    """Runs a graph, tells sinks and the store, and gives the outcome."""
    pool = Pool(Ledger(run, run.atlas.root, value))
    run.halt = pool.halt
    if run.reason is not None:
        pool.halt()
    resumed = run.journal is not None and run.journal.resumed
    if run.teller is not None:
        run.teller.tell("pipeline.resumed" if resumed else "pipeline.created", pipeline=run.pipeline)
    timer = _deadline(run)
    try:
        if store is not None:
            await _kept(run, store.create_run(run.run_id, **_metadata(run)))
        if run.teller is not None and not resumed:
            run.teller.tell("pipeline.started", pipeline=run.pipeline)
        result = await pool.drive()
    except asyncio.CancelledError:
        cancelled = Cancelled(run.reason or "the run was cancelled", _report(pool.ledger))
        with contextlib.suppress(asyncio.CancelledError):  # the first is raised below
            await _to_its_end(lambda: _cancelled(run, cancelled, store))
        raise
    finally:
        run.halt = nothing_runs  # also breaks the one cycle of references there is, so that no run waits for the GC
        if timer is not None:
            timer.cancel()
    outcome = _outcome(pool.ledger, result)
    if store is None and (run.teller is None or run.teller.at_once):
        await _ended(run, outcome, None)
    else:
        await _to_its_end(lambda: _ended(run, outcome, store))
    return outcome


def _metadata(run: Run) -> dict[str, object]:
    """What is kept of a run beside its id: the run's own words win over ids of the application's of the same name."""
    ids = {name: value for name, value in run.correlation.as_mapping().items() if name not in {"run_id", "self"}}
    return {**ids, "pipeline": run.pipeline}


async def _cancelled(run: Run, outcome: Cancelled, store: RunStore | None) -> None:
    """Tells that the run was cancelled; a store that is lost by now must not take the cancellation's place."""
    try:
        await _ended(run, outcome, store)
    except RunStoreError:
        _LOG.exception("The cancelled run %s is not stored as cancelled", run.run_id)


def _deadline(run: Run) -> asyncio.TimerHandle | None:
    seconds = run.deadline
    if seconds is None:
        return None
    return asyncio.get_running_loop().call_later(seconds, run.stop, f"the run's deadline of {seconds:g} s has passed")


async def _ended(run: Run, outcome: Outcome, store: RunStore | None) -> None:
    """Tells how the run ended: the store first, so that whoever hears the last event finds it there."""
    if run.teller is None and store is None:
        return
    word, status, more = _words(outcome)
    try:
        if store is not None:
            stored = "skipped" if status == "skip" else word
            await _kept(run, _stored(store, run, stored, more))
    finally:
        if run.teller is not None:
            duration = outcome.report.duration_ms
            await run.teller.last(
                f"pipeline.{word}", pipeline=run.pipeline, status=status, duration_ms=duration, **more
            )


async def _stored(store: RunStore, run: Run, status: str, more: dict[str, object]) -> None:
    try:
        await store.update_status(run.run_id, status, **more)
    except asyncio.CancelledError:  # every task was cancelled, as a loop does on its way out: once more
        await store.update_status(run.run_id, status, **more)


def _words(outcome: Outcome) -> tuple[str, str, dict[str, object]]:
    """How events and the store call an outcome: what happened, its status, and the particulars."""
    match outcome:
        case Completed():
            return "completed", "ok", {}
        case Skipped(reason):
            return "completed", "skip", {"reason": reason}
        case Failed(error):
            return "failed", "fail", {"error": str(error), "error_type": type(error).__name__}
        case Cancelled(reason):
            return "cancelled", "cancel", {"reason": reason}


async def _kept(run: Run, awaitable: Awaitable[object]) -> None:
    try:
        await awaitable
    except RunStoreError:
        raise
    except Exception as error:
        raise RunStoreError(f"The run store lost run {run.run_id}: {type(error).__name__}: {error}") from error


async def _to_its_end(make: Callable[[], Coroutine[object, object, None]]) -> None:
    """Runs to the end, however often it is cancelled meanwhile, and only then lets the cancellation through."""
    task = asyncio.get_running_loop().create_task(make())
    cancelled = await outlasting(task)
    while task.cancelled():  # as is every task by a loop on its way out, before this one began
        task = asyncio.get_running_loop().create_task(make())
        cancelled = await outlasting(task) or cancelled
    if cancelled is None:
        task.result()
        return
    if (lost := task.exception()) is not None:
        _LOG.error("A cancelled run could not be told of to the end", exc_info=lost)
    raise cancelled


def _report(ledger: Ledger) -> RunReport:
    run = ledger.run
    duration = run.timer.elapsed_ms()
    return RunReport(run.run_id, run.correlation, run.timer.started_at, duration, ledger=ledger)


def _outcome(ledger: Ledger, result: Given) -> Outcome:
    run, report = ledger.run, _report(ledger)
    if run.reason is not None:
        return Cancelled(run.reason, report)
    if isinstance(result, Failure):
        errors = tuple(_failures(ledger)) or (result.failure(),)
        ids = {id(error) for error in errors}
        first = next((error for error in run.failed if id(error) in ids), errors[0])
        return Failed(first, errors, report)
    output = result.unwrap()
    if output.status is StageStatus.OK:
        return Completed(output.data, report)
    if output.status is StageStatus.SKIP:
        return Skipped(output.reason, report)
    return Cancelled(ledger.stopped_by() or "the run was cancelled", report)


def _failures(ledger: Ledger) -> list[StageError]:
    """Every failure that nothing handled, in graph order.

    A stage that only contains others failed of what failed inside it, unless its own wrappers made the error.
    """
    found: list[StageError] = []
    unseen: list[tuple[Ledger, int]] = [(ledger, 0)]
    while unseen:
        current, start = unseen.pop()
        for slot in range(start, len(current.states)):
            error = current.notes.get(slot)
            if current.states[slot] is not StageStatus.FAIL or not isinstance(error, StageError):
                continue
            inner = [child for (at, _), child in current.children.items() if at == slot and _has(child, error)]
            if not inner:
                found.append(error)
                continue
            unseen.append((current, slot + 1))
            unseen += [(child, 0) for child in reversed(inner)]
            break
    return found


def _has(ledger: Ledger, error: StageError) -> bool:
    return any(note is error for note in ledger.notes.values())
