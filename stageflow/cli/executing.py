"""Running and resuming from the command line: one run, with its progress, until it ends or Ctrl-C is pressed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from inspect import isroutine
from typing import Literal, TypeAlias, cast
from uuid import UUID

from stageflow.cli.exit_codes import CommandError, ExitCode
from stageflow.cli.loading import parted, summary, thing
from stageflow.cli.showing import show_outcome, tell
from stageflow.cli.stopping import Interrupts
from stageflow.cli.stores import store_at
from stageflow.core.output import StageEvent
from stageflow.errors import (
    CodecError,
    EffectsUnknownError,
    MissingPortError,
    PipelineValidationError,
    ResumeError,
    RunStoreError,
    StageError,
)
from stageflow.events.sink import NoOpEventSink
from stageflow.graph.executor import AnyGraph, UnifiedStageGraph
from stageflow.graph.outcome import Outcome
from stageflow.running.decision import Decision
from stageflow.running.handle import RunHandle
from stageflow.running.runner import Runner
from stageflow.views.progress import ProgressSink

AnyRunner: TypeAlias = Runner[StageError]
Policy: TypeAlias = Literal["cancel", "finish"]
LAST = frozenset({"pipeline.completed", "pipeline.failed", "pipeline.cancelled"})


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is to be run, and what is to be shown of it.

    Attributes:
        store: where it is kept; None for nowhere.
        runner: ``module:runner``, the application's own; None for one of the command line's.
        policy: what the first failure does.
        deadline: seconds after which it is cancelled.
        concurrency: how many stages may run at once.
        lease: for how many seconds after it was last heard of nobody else may resume the run.
        progress: whether progress is shown.
        json: whether the outcome is printed as JSON.
        trace: whether the traceback of a defect is printed.
    """

    store: str | None = None
    runner: str | None = None
    policy: Policy = "cancel"
    deadline: float | None = None
    concurrency: int | None = None
    lease: float = 30.0
    progress: bool = True
    json: bool = False
    trace: bool = False


def run(graph: AnyGraph, value: object, options: Options) -> ExitCode:
    """Runs a pipeline to its end."""

    async def running(runner: AnyRunner, stop: Interrupts, sink: ProgressSink | None) -> Outcome:
        handle = runner.start(cast("UnifiedStageGraph[object, object, StageError]", graph), value)
        watching = _watching(handle, sink) if sink is not None and options.runner else None
        with stop.stopping(lambda: handle.cancel("interrupted by Ctrl-C"), _left):
            outcome = await handle
        if watching is not None:
            await watching
        return outcome

    return _command(options, running)


def resume(graph: AnyGraph, run_id: UUID, decisions: tuple[Decision, ...], options: Options) -> ExitCode:
    """Goes on with a run to its end."""

    async def resuming(runner: AnyRunner, stop: Interrupts, _: ProgressSink | None) -> Outcome:
        task = asyncio.ensure_future(runner.resume(graph, run_id, decisions=decisions))
        with stop.stopping(task.cancel, _left):
            return await task

    return _command(options, resuming)


Go: TypeAlias = Callable[[AnyRunner, Interrupts, "ProgressSink | None"], Awaitable[Outcome]]


def _command(options: Options, go: Go) -> ExitCode:
    try:
        return asyncio.run(_with_runner(options, go))
    except MissingPortError as error:
        raise CommandError(f"{error}\n  Give a runner that has them: --runner MODULE:RUNNER.") from error
    except PipelineValidationError as error:
        raise CommandError(str(error), ExitCode.BROKEN) from error
    except (ResumeError, RunStoreError, EffectsUnknownError, CodecError) as error:
        raise CommandError(f"{type(error).__name__}: {error}", ExitCode.STORE) from error


async def _with_runner(options: Options, go: Go) -> ExitCode:
    stop = Interrupts()
    sink = ProgressSink() if options.progress else None
    try:
        async with _runner(options, sink) as runner:
            outcome = await go(runner, stop, sink)
    except asyncio.CancelledError:
        if not stop.count:
            raise
        tell("the run was cancelled")
        return ExitCode.INTERRUPTED
    finally:
        if sink is not None:
            await sink.aclose()
    code = show_outcome(outcome, json=options.json, trace=options.trace)
    return ExitCode.INTERRUPTED if stop.count and code is ExitCode.CANCELLED else code


def _runner(options: Options, sink: ProgressSink | None) -> AnyRunner:
    if options.runner is not None:
        return _given(options)
    return Runner(
        store=None if options.store is None else store_at(options.store, make=True),
        sink=sink or NoOpEventSink(),
        on_failure=options.policy,
        max_concurrency=options.concurrency,
        deadline=options.deadline,
        lease_seconds=options.lease,
    )


def _given(options: Options) -> AnyRunner:
    """The application's own runner, or what its function gives."""
    target = options.runner or ""
    if (options.store, options.policy, options.deadline, options.concurrency) != (None, "cancel", None, None):
        raise CommandError("--runner has a store, a policy and limits of its own: leave out the options for these.")
    found = thing(*parted(target))
    if isroutine(found):
        try:
            found = cast("Callable[[], object]", found)()
        except Exception as error:
            raise CommandError(f"{target} fails: {summary(error)}", ExitCode.BROKEN) from error
    if not isinstance(found, Runner):
        raise CommandError(f"{target} is no Runner and gives none, but {type(found).__name__}.")
    return cast("AnyRunner", found)


def _watching(handle: RunHandle[object, StageError], sink: ProgressSink) -> asyncio.Task[None]:
    """Shows the events of a run whose runner has a sink of its own."""
    return asyncio.create_task(_watched(handle.events(), sink))


async def _watched(events: AsyncIterator[StageEvent], sink: ProgressSink) -> None:
    async for event in events:
        if event.type in LAST:
            await sink.emit(type=event.type, data=event.data)
        else:
            sink.try_emit(type=event.type, data=event.data)


def _left() -> None:
    """Gives the terminal back, with its cursor: a live view may be on it."""
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h\n")
    tell("left at once; the run is not told of as cancelled")
