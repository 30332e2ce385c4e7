"""One run from its first event to its last, and what it comes to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator
from typing import TypeVar

from returns.result import Failure

from stageflow.core.stage import StageStatus
from stageflow.errors import RunStoreError, StageError
from stageflow.graph.ledger import Ledger
from stageflow.graph.outcome import Cancelled, Completed, Failed, Outcome, Skipped
from stageflow.graph.pool import Pool
from stageflow.graph.report import RunReport
from stageflow.graph.run import Run, nothing_runs
from stageflow.graph.shape import Given
from stageflow.ports import RunStore

_T = TypeVar("_T")


async def execute(run: Run, value: object, store: RunStore | None) -> Outcome:
    """Runs a graph, tells sinks and the store, and gives the outcome."""
    pipeline = run.pipeline
    if run.teller is not None:
        run.teller.tell("pipeline.created", pipeline=pipeline)
    if store is not None:
        correlation = run.correlation.as_mapping()
        await _kept(run, store.create_run(run.run_id, pipeline=pipeline, **correlation))
    if run.teller is not None:
        run.teller.tell("pipeline.started", pipeline=pipeline)
    pool = Pool(Ledger(run, run.atlas.root, value))
    run.halt = pool.halt
    if run.reason is not None:
        pool.halt()
    timer = _deadline(run)
    try:
        result = await pool.drive()
    except asyncio.CancelledError:
        cancelled = Cancelled(run.reason or run.cause or "the run was cancelled", _report(pool.ledger))
        await _uninterrupted(_ended(run, cancelled, store))
        raise
    finally:
        run.halt = nothing_runs  # also breaks the one cycle of references there is, so that no run waits for the GC
        if timer is not None:
            timer.cancel()
    outcome = _outcome(pool.ledger, result)
    if run.teller is not None or store is not None:
        await _ended(run, outcome, store)
    return outcome


def _deadline(run: Run) -> asyncio.TimerHandle | None:
    seconds = run.deadline
    if seconds is None:
        return None
    return asyncio.get_running_loop().call_later(seconds, run.stop, f"the run's deadline of {seconds:g} s has passed")


async def _ended(run: Run, outcome: Outcome, store: RunStore | None) -> None:
    """Tells how the run ended: the store first, so that whoever hears the last event finds it there."""
    word, status, more = _words(outcome)
    try:
        if store is not None:
            stored = "skipped" if status == "skip" else word
            await _kept(run, store.update_status(run.run_id, stored, **more))
    finally:
        if run.teller is not None:
            duration = outcome.report.duration_ms
            await run.teller.last(
                f"pipeline.{word}", pipeline=run.pipeline, status=status, duration_ms=duration, **more
            )


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
    except Exception as error:
        raise RunStoreError(f"The run store lost run {run.run_id}: {type(error).__name__}: {error}") from error


async def _uninterrupted(awaitable: Awaitable[_T]) -> _T:
    """Awaits to the end, however often it is cancelled meanwhile: its caller is about to raise that."""
    task = asyncio.ensure_future(awaitable)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()


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
    return Cancelled(run.cause or "the run was cancelled", report)


def _failures(ledger: Ledger) -> Iterator[StageError]:
    """Every failure that nothing handled, in graph order."""
    for slot, state in enumerate(ledger.states):
        error = ledger.notes.get(slot)
        if state is not StageStatus.FAIL or not isinstance(error, StageError):
            continue
        inner: list[StageError] = []
        if ledger.kind(slot) is None:
            inner = [found for (at, _), child in ledger.children.items() if at == slot for found in _failures(child)]
        yield from inner if any(found is error for found in inner) else [error]
