"""Running: what an outcome may be, that a match on it is exhaustive, runners, and what reports give."""

# ruff: noqa: B018, T201
# pyright: reportUnusedExpression=false

from __future__ import annotations

from uuid import UUID

from typing_extensions import assert_never, assert_type
from vocabulary import CLOCK, FixedClock, Guard, NotFound, Page, counted, fetch, links, words

from stageflow import (
    Cancelled,
    CircuitBreakerInterceptor,
    CircuitOpenError,
    Completed,
    Failed,
    PipelineContext,
    PipelineResult,
    RunHandle,
    Runner,
    RunReport,
    Skipped,
    StageError,
    StageExecutionError,
    StagePorts,
    StageTimeoutError,
    TimeoutInterceptor,
    lift,
    stage,
)
from stageflow.durable import Decision

CONTEXT = PipelineContext(ports=StagePorts().provide(CLOCK, FixedClock()))
StagePorts().provide(CLOCK, "noon")  # type: ignore[misc]  # pyright: ignore[reportArgumentType]

# a runner's type is the errors that its interceptors add
RUNNER = Runner(max_concurrency=4).using(TimeoutInterceptor(5.0))
assert_type(RUNNER, Runner[StageTimeoutError])
assert_type(RUNNER.using(CircuitBreakerInterceptor()), Runner[StageTimeoutError | CircuitOpenError])
Runner(on_failure="continue")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Runner(max_concurrency="4")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Runner().using(fetch)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
unwatched: Runner[StageTimeoutError] = RUNNER.using(Guard())  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]


async def run() -> None:
    """The types of outcomes."""
    assert_type(await counted.run("a"), PipelineResult[int, NotFound | StageExecutionError])
    assert_type(await fetch.run("a", context=CONTEXT), PipelineResult[Page, NotFound | StageExecutionError])
    assert_type(await RUNNER.run(counted, "a"), PipelineResult[int, NotFound | StageTimeoutError | StageExecutionError])
    assert_type(
        await RUNNER.run(counted.build().unwrap(), "a"),
        PipelineResult[int, NotFound | StageTimeoutError | StageExecutionError],
    )
    await counted.run(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await RUNNER.run(counted, 3)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await counted.build().unwrap().run(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await (links & words).run("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await RUNNER.run(len, "a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    lost: PipelineResult[int, NotFound] = await counted.run("a")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(lost)


async def resume(run_id: UUID) -> None:
    """A run that goes on is typed as one that starts, and so is what is decided about its stages."""
    assert_type(
        await RUNNER.resume(counted, run_id), PipelineResult[int, NotFound | StageTimeoutError | StageExecutionError]
    )
    await RUNNER.resume(counted, run_id, decisions=[Decision.of(words).gave(3), Decision.of("fetch").repeat()])
    await RUNNER.resume(counted, str(run_id))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await RUNNER.resume(counted, run_id, decisions=[words])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    Decision.of(words).gave("three")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Decision.of(words).skip()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


stage(effects="once")
lift(effects="once")
stage(effects="twice")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


async def start() -> None:
    """A handle's types."""
    handle = RUNNER.start(counted, "a", context=CONTEXT)
    typed: RunHandle[int, NotFound | StageTimeoutError | StageExecutionError] = handle
    assert_type(typed.run_id, UUID)
    handle.cancel("enough")
    async for event in handle.events():
        assert_type(event.type, str)
    assert_type(await handle, PipelineResult[int, NotFound | StageTimeoutError | StageExecutionError])
    handle.value  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    handle.cancel(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RUNNER.start(counted, 3)  # type: ignore[misc,unused-awaitable]  # pyright: ignore[reportArgumentType]


async def whole() -> str:
    """A match on all four cases is exhaustive, and each case has its types."""
    outcome = await counted.run("a")
    match outcome:
        case Completed(value):
            assert_type(value, int)
            assert_type(outcome.report, RunReport)
            return str(value)
        case Failed(error):
            assert_type(error, NotFound | StageExecutionError)
            assert_type(outcome.errors, tuple[NotFound | StageExecutionError, ...])
            return error.message
        case Skipped(reason) | Cancelled(reason):
            assert_type(reason, str)
            return reason


async def forgets_failure() -> int:  # type: ignore[return]  # pyright: ignore[reportReturnType]
    """A case is missing."""
    match await counted.run("a"):  # type: ignore[exhaustive-match]  # pyright: ignore[reportMatchNotExhaustive]
        case Completed(value):
            return value
        case Skipped() | Cancelled():
            return 0


async def forgets_a_defect() -> int:
    """So it is where an error is missing."""
    match await counted.run("a"):
        case Completed(value):
            return value
        case Failed(NotFound()):
            return 0
        case Skipped() | Cancelled():
            return 1
        case rest:
            assert_never(rest)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def outputs() -> None:
    """Outputs have the type of their handle."""
    outcome = await counted.run("a")
    assert_type(outcome.report.outputs[fetch], Page)
    assert_type(outcome.report.outputs[words], int)
    assert_type(outcome.report.outputs["words"], object)
    count: str = outcome.report.outputs[words]  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    outcome.report.outputs[3]  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    print(count)
    if isinstance(outcome, Failed):
        assert_type(outcome.error, NotFound | StageExecutionError)
        print(outcome.error.status)  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
    if isinstance(outcome, Completed):
        outcome.value = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    print(outcome.value)  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]


def raised(error: StageError) -> None:
    """An error is an exception too."""
    raise error
