"""Interceptors around stages: on a function, a stage, a pipeline, a runner."""

import asyncio
from typing import TypeVar

from returns.result import Failure, Result
from typing_extensions import Never

from stageflow import (
    BaseInterceptor,
    CircuitBreakerInterceptor,
    CircuitOpenError,
    Completed,
    ErrorAction,
    Failed,
    Interceptor,
    InterceptorContext,
    InterceptorResult,
    RetryInterceptor,
    Runner,
    Skipped,
    Stage,
    StageError,
    StageFunction,
    StageInputs,
    StageOutput,
    StageResult,
    StageStatus,
    StageTimeoutError,
    TimeoutInterceptor,
    fail,
    lift,
    ok,
    run_with_interceptors,
    stage,
)

_A = TypeVar("_A")
_B = TypeVar("_B")
_E1 = TypeVar("_E1", bound=StageError)


class DeniedError(StageError): ...


class Noting(Interceptor[Never]):
    """Around style: notes when a stage begins and ends."""

    def __init__(self, log: list[str], name: str = "") -> None:
        self.log = log
        self.name = name

    def wrap(self, call: StageFunction[_A, _B, _E1], /) -> StageFunction[_A, _B, _E1]:
        async def run_noted(inputs: StageInputs[_A], /) -> Result[StageOutput[_B], _E1]:
            self.log.append(f"{self.name}<{inputs.context.stage}")
            result = await call(inputs)
            self.log.append(f"{self.name}>{inputs.context.stage}")
            return result

        return run_noted


class Guard(BaseInterceptor[DeniedError]):
    """Hook style: denies one value."""

    async def before(self, context: InterceptorContext, /) -> InterceptorResult[DeniedError]:
        return InterceptorResult.deny(DeniedError("not yours")) if context.value == 13 else InterceptorResult.proceed()


class Seeing(BaseInterceptor[Never]):
    """Hook style: keeps what it sees, and does what it was told to about errors."""

    def __init__(self, action: ErrorAction = ErrorAction.FAIL, tries: int = 1) -> None:
        self.action = action
        self.tries = tries
        self.seen: list[StageResult] = []

    async def after(self, context: InterceptorContext, outcome: StageResult, /) -> None:
        self.seen.append(outcome)

    async def on_error(self, context: InterceptorContext, error: StageError, /) -> ErrorAction:
        return self.action if context.stage.attempt <= self.tries else ErrorAction.FAIL


@lift
def double(number: int) -> int:
    return number * 2


def flaky(failures: int) -> Stage[int, int, StageError]:
    left = [failures]

    @stage(name="flaky")
    async def failing(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        left[0] -= 1
        return fail(StageError("not yet", retryable=True)) if left[0] >= 0 else ok(inputs.value)

    return failing


async def test_an_interceptor_decorates_a_function() -> None:
    log: list[str] = []

    @Noting(log, "outer")
    @Noting(log, "inner")
    @stage
    async def halve(inputs: StageInputs[int]) -> Result[StageOutput[float], StageError]:
        return ok(inputs.value / 2)

    outcome = await halve.run(4)
    assert isinstance(outcome, Completed)
    assert outcome.value == 2.0
    assert log == ["outer<halve", "inner<halve", "inner>halve", "outer>halve"]


async def test_the_last_using_is_the_outermost() -> None:
    log: list[str] = []
    await double.using(Noting(log, "first")).using(Noting(log, "last")).run(1)
    assert log == ["last<double", "first<double", "first>double", "last>double"]


async def test_on_a_pipeline_an_interceptor_wraps_the_whole_as_one_stage() -> None:
    log: list[str] = []
    outcome = await (double | double.named("again")).using(Noting(log)).run(1)
    assert isinstance(outcome, Completed)
    assert outcome.value == 4
    assert len(log) == 2


async def test_on_a_runner_an_interceptor_wraps_every_stage() -> None:
    log: list[str] = []
    outcome = await Runner().using(Noting(log)).run(double | double.named("again"), 1)
    assert isinstance(outcome, Completed)
    assert log == ["<double", ">double", "<again", ">again"]


async def test_a_denied_stage_does_not_run_and_fails_with_the_guards_error() -> None:
    ran: list[int] = []
    guarded = lift(name="guarded")(ran.append).using(Guard())
    outcome = await guarded.run(13)
    assert isinstance(outcome, Failed)
    assert outcome.error == DeniedError("not yours")
    assert not ran
    assert isinstance(await guarded.run(12), Completed)
    assert ran == [12]


async def test_after_sees_success_failure_and_cancellation() -> None:
    seeing, began = Seeing(), asyncio.Event()

    @stage
    async def endless(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        began.set()
        await asyncio.Event().wait()
        return ok(inputs.value)

    runner = Runner().using(seeing)
    await runner.run(double, 1)
    await runner.run(flaky(1), 1)
    handle = runner.start(endless, 1)
    await began.wait()
    handle.cancel("enough")
    await handle
    assert [record.status for record in seeing.seen] == [StageStatus.OK, StageStatus.FAIL, StageStatus.CANCEL]


async def test_on_error_can_try_again_or_fall_back_to_a_skip_or_let_it_fail() -> None:
    again = await flaky(2).using(Seeing(ErrorAction.RETRY, tries=2)).run(7)
    assert isinstance(again, Completed)
    assert again.report.stages["flaky"].attempts == 3
    assert isinstance(await flaky(2).using(Seeing(ErrorAction.FALLBACK)).run(7), Skipped)
    assert isinstance(await flaky(2).using(Seeing(ErrorAction.FAIL)).run(7), Failed)


async def test_a_retry_counts_its_attempts() -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    retry = RetryInterceptor(attempts=3, backoff=1.0, draw=lambda: 1.0, sleep=wait)
    outcome = await flaky(2).using(retry).run(7)
    assert isinstance(outcome, Completed)
    assert outcome.report.stages["flaky"].attempts == 3
    assert waits == [1.0, 2.0]
    assert isinstance(await flaky(3).using(retry).run(7), Failed)


async def test_a_timeout_cancels_the_stage_and_is_an_error_with_a_type() -> None:
    cleaned_up = asyncio.Event()

    @stage
    async def endless(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.set()
        return ok(inputs.value)

    outcome = await endless.using(TimeoutInterceptor(0.001)).run(1)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, StageTimeoutError)
    assert outcome.error.seconds == 0.001
    assert cleaned_up.is_set()


async def test_a_breaker_opens_after_its_failures_and_refuses_without_calling() -> None:
    calls: list[int] = []

    @stage
    async def broken(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        calls.append(inputs.value)
        return fail("no")

    pipeline = broken.using(CircuitBreakerInterceptor(failures=2, reset_after=60.0))
    outcomes = [await pipeline.run(number) for number in range(4)]
    errors = [type(outcome.error) for outcome in outcomes if isinstance(outcome, Failed)]
    assert errors == [StageError, StageError, CircuitOpenError, CircuitOpenError]
    assert calls == [0, 1]


async def test_a_stage_function_runs_in_interceptors_without_a_pipeline() -> None:
    log: list[str] = []
    result = await run_with_interceptors(double, StageInputs(13), [Noting(log, "outer"), Guard()])
    assert result == Failure(DeniedError("not yours"))
    assert log == ["outer<", "outer>"]
