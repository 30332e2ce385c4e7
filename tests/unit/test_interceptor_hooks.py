"""The hook style of interceptors: `BaseInterceptor`, what its hooks see, and what their answers do."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import FrozenInstanceError, dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from returns.result import Result

from stageflow import (
    BaseInterceptor,
    Cancelled,
    Completed,
    CorrelationIds,
    ErrorAction,
    Failed,
    Interceptor,
    InterceptorContext,
    InterceptorResult,
    PipelineContext,
    PipelineTimer,
    Runner,
    RunRecord,
    Skipped,
    StageContext,
    StageError,
    StageExecutionError,
    StageInputs,
    StageResult,
    StageStatus,
    cancel,
    fail,
    lift,
    ok,
    run_with_interceptors,
    skip,
    stage,
)


class DeniedError(StageError):
    who: str


class Watch(BaseInterceptor):
    """Notes what its hooks see, in a list that the test has."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self.name = name
        self.seen = seen
        self.records: list[StageResult] = []

    async def before(self, context: InterceptorContext, /) -> InterceptorResult:
        self.seen.append(f"{self.name} before {context.value}")
        return InterceptorResult.proceed()

    async def after(self, context: InterceptorContext, outcome: StageResult, /) -> None:
        self.records.append(outcome)
        self.seen.append(f"{self.name} after {outcome.status}")


class Guard(BaseInterceptor[DeniedError]):
    async def before(self, context: InterceptorContext, /) -> InterceptorResult[DeniedError]:
        if context.value == "secret":
            return InterceptorResult.deny(DeniedError("not yours", who="anonymous"))
        return InterceptorResult.proceed()


class Decide(BaseInterceptor):
    """Answers each failure with the next action; notes the attempts it was asked about."""

    def __init__(self, *actions: ErrorAction) -> None:
        self.actions = iter(actions)
        self.asked: list[tuple[int, StageError]] = []

    async def on_error(self, context: InterceptorContext, error: StageError, /) -> ErrorAction:
        self.asked.append((context.stage.attempt, error))
        return next(self.actions)


@stage
async def echo(inputs: StageInputs[str]):
    return ok(inputs.value)


@stage
async def refuse(inputs: StageInputs[str]):
    return fail("no")


@stage
async def explode(inputs: StageInputs[str]):
    raise ValueError("bad digit")


@stage
async def nothing(inputs: StageInputs[str]):
    return skip("nothing new")


@stage
async def stop(inputs: StageInputs[str]):
    return cancel("enough")


async def test_hooks_run_from_the_outermost_in_and_from_the_innermost_out() -> None:
    seen: list[str] = []
    outer, inner = Watch("outer", seen), Watch("inner", seen)
    wrapped = echo.using(inner).using(outer)
    assert isinstance(await wrapped.run("a"), Completed)
    order = ["outer before a", "inner before a", "inner after ok", "outer after ok"]
    assert seen == order
    seen.clear()
    assert await run_with_interceptors(echo, StageInputs("a"), [outer, inner]) == ok("a")
    assert seen == order
    seen.clear()

    @outer
    @inner
    @stage
    async def decorated(inputs: StageInputs[str]):
        return ok(inputs.value)

    await decorated.run("a")
    assert seen == order


async def test_without_interceptors_a_stage_is_just_called() -> None:
    assert await run_with_interceptors(echo, StageInputs("a"), []) == ok("a")


@pytest.mark.parametrize(
    ("made", "status", "reason", "data"),
    [
        (echo, StageStatus.OK, "", "a"),
        (nothing, StageStatus.SKIP, "nothing new", None),
        (stop, StageStatus.CANCEL, "enough", None),
        (refuse, StageStatus.FAIL, "", None),
    ],
)
async def test_after_sees_how_the_stage_went(made, status, reason, data) -> None:
    watch = Watch("w", [])
    await made.using(watch).run("a")
    (record,) = watch.records
    assert (record.name, record.status, record.reason, record.data) == (made.name, status, reason, data)
    assert record.attempts == 1
    assert record.duration_ms >= 0
    assert (record.error == StageError("no")) is (made is refuse)


async def test_after_sees_how_long_the_stage_took_on_the_clock_of_the_run() -> None:
    seconds = [10.0]

    @stage
    async def slow(inputs: StageInputs[str]):
        seconds[0] += 0.25
        return ok("done")

    watch = Watch("w", [])
    outcome = await slow.using(watch).run("a", context=PipelineContext(timer=PipelineTimer(clock=lambda: seconds[0])))
    assert [record.duration_ms for record in watch.records] == [250.0]
    assert outcome.report.stages["slow"].duration_ms == 250.0


async def test_after_sees_what_escaped_as_a_stage_execution_error_and_it_stays_a_defect() -> None:
    watch = Watch("w", [])
    outcome = await explode.using(watch).run("a")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, StageExecutionError)
    assert isinstance(outcome.error.__cause__, ValueError)
    assert isinstance(watch.records[0].error, StageExecutionError)


async def test_after_sees_what_is_no_result_as_a_failure() -> None:
    @stage
    async def wrong(inputs: StageInputs[str]):
        return 3

    watch = Watch("w", [])
    outcome = await wrong.using(watch).run("a")
    assert isinstance(outcome, Failed)
    assert "returned 3" in str(outcome.error)
    assert (watch.records[0].status, watch.records[0].reason) == (StageStatus.FAIL, "returned 3")


async def test_after_runs_for_a_cancelled_stage_and_the_cancellation_goes_on() -> None:
    watch, entered = Watch("w", []), asyncio.Event()

    @stage
    async def wait(inputs: StageInputs[str]):
        entered.set()
        await asyncio.get_running_loop().create_future()

    async with Runner() as runner:
        handle = runner.start(wait.using(watch), "a")
        await entered.wait()
        handle.cancel("enough")
        assert isinstance(await handle, Cancelled)
    assert watch.seen == ["w before a", "w after cancel"]


async def test_an_after_that_raises_for_a_cancelled_stage_is_logged_and_the_cancellation_goes_on(caplog) -> None:
    class Broken(BaseInterceptor):
        async def after(self, context: InterceptorContext, outcome: StageResult, /) -> None:
            raise ValueError("after broke")

    entered = asyncio.Event()

    @stage
    async def wait(inputs: StageInputs[str]):
        entered.set()
        await asyncio.get_running_loop().create_future()

    async with Runner() as runner:
        handle = runner.start(wait.using(Broken()), "a")
        await entered.wait()
        handle.cancel("enough")
        outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.reason == "enough"
    assert "wait" in caplog.text
    assert "after broke" in caplog.text


async def test_a_before_that_denies_fails_the_stage_unrun() -> None:
    watch = Watch("w", [])
    denied, let = [await echo.using(watch).using(Guard()).run(value) for value in ("secret", "open")]
    assert isinstance(denied, Failed)
    assert denied.error == DeniedError("not yours", who="anonymous")
    assert isinstance(let, Completed)
    assert watch.seen == ["w before open", "w after ok"]


async def test_after_does_not_run_for_one_whose_before_did_not_let_the_stage_run() -> None:
    class DenyAndWatch(Watch):
        async def before(self, context: InterceptorContext, /) -> InterceptorResult:
            return InterceptorResult.deny(StageError("denied"))

    inner, outer = DenyAndWatch("inner", []), Watch("outer", [])
    await echo.using(inner).using(outer).run("a")
    assert inner.seen == []
    assert outer.seen == ["outer before a", "outer after fail"]


async def test_a_before_that_raises_is_a_defect_and_the_stage_does_not_run() -> None:
    class Broken(BaseInterceptor):
        async def before(self, context: InterceptorContext, /) -> InterceptorResult:
            raise ValueError("before broke")

    watch = Watch("w", [])
    outcome = await echo.using(watch).using(Broken()).run("a")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, StageExecutionError)
    assert "before broke" in str(outcome.error)
    assert watch.seen == []


@pytest.mark.parametrize("made", [echo, refuse])
async def test_an_after_that_raises_is_a_defect(made) -> None:
    class Broken(BaseInterceptor):
        async def after(self, context: InterceptorContext, outcome: StageResult, /) -> None:
            raise ValueError("after broke")

    outcome = await made.using(Broken()).run("a")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, StageExecutionError)
    assert "after broke" in str(outcome.error)


async def test_on_error_lets_a_failure_stand() -> None:
    decide = Decide(ErrorAction.FAIL)
    outcome = await refuse.using(decide).run("a")
    assert isinstance(outcome, Failed)
    assert outcome.error == StageError("no")
    assert decide.asked == [(1, StageError("no"))]


async def test_on_error_may_fall_back_to_a_skip() -> None:
    outcome = await refuse.using(Decide(ErrorAction.FALLBACK)).run("a")
    assert isinstance(outcome, Skipped)
    assert outcome.reason == "refuse: fell back from StageError: no"


async def test_on_error_may_try_again_and_is_told_which_attempt_it_was(told) -> None:
    decide = Decide(ErrorAction.RETRY, ErrorAction.RETRY, ErrorAction.FAIL)
    outcome = await explode.using(decide).run("a", context=PipelineContext(sink=told))
    assert isinstance(outcome, Failed)
    assert [attempt for attempt, _ in decide.asked] == [1, 2, 3]
    assert {type(error) for _, error in decide.asked} == {StageExecutionError}
    assert outcome.report.stages["explode"].attempts == 3
    assert told.types[2:6] == [
        "stage.explode.started",
        "stage.explode.retrying",
        "stage.explode.retrying",
        "stage.explode.failed",
    ]


async def test_a_retry_that_succeeds_gives_its_value() -> None:
    tries = iter([fail("no"), ok("at last")])

    @stage
    async def flaky(inputs: StageInputs[str]):
        return next(tries)

    outcome = await flaky.using(Decide(ErrorAction.RETRY)).run("a")
    assert isinstance(outcome, Completed)
    assert outcome.value == "at last"


async def test_on_error_that_raises_is_a_defect() -> None:
    outcome = await refuse.using(Decide()).run("a")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, StageExecutionError)


def test_hooks_that_are_not_overridden_cost_nothing() -> None:
    class Idle(BaseInterceptor):
        pass

    async def function(inputs: StageInputs[str]) -> Result:
        return ok(inputs.value)

    assert Idle().wrap(function) is function


async def test_the_default_hooks_let_everything_stand() -> None:
    class Idle(BaseInterceptor):
        pass

    context = InterceptorContext(StageContext(), "a")
    idle = Idle()
    assert await idle.before(context) == InterceptorResult.proceed()
    assert await idle.after(context, StageResult("a", echo.kind, StageStatus.OK)) is None
    assert await idle.on_error(context, StageError("no")) is ErrorAction.FAIL
    assert idle.run_started(PipelineContext()) is None
    assert idle.run_ended(PipelineContext(), ValueError()) is None
    assert not idle.sees_runs


class SeesRuns(BaseInterceptor):
    def __init__(self) -> None:
        self.seen: list[tuple[str, UUID | None, object]] = []

    def run_started(self, context: PipelineContext, /) -> None:
        self.seen.append(("started", context.run_id, None))

    def run_ended(self, context: PipelineContext, outcome: object, /) -> None:
        self.seen.append(("ended", context.run_id, outcome))


async def test_a_runners_interceptor_sees_runs_begin_and_end() -> None:
    watch = SeesRuns()
    assert watch.sees_runs
    async with Runner().using(watch) as runner:
        outcome = await runner.run(echo, "a", context=PipelineContext(UUID(int=1)))
        handle = runner.start(refuse, "a", context=PipelineContext(UUID(int=2)))
        failed = await handle
    assert watch.seen == [
        ("started", UUID(int=1), None),
        ("ended", UUID(int=1), outcome),
        ("started", UUID(int=2), None),
        ("ended", UUID(int=2), failed),
    ]


async def test_a_run_carries_the_ids_that_run_started_gives(told) -> None:
    class Tenants(BaseInterceptor):
        def run_started(self, context: PipelineContext, /) -> CorrelationIds:
            return replace(context.correlation, extra={**context.correlation.extra, "tenant": "acme"})

    class Store:
        async def create_run(self, run_id: UUID, **metadata: object) -> RunRecord:
            self.kept = metadata
            return RunRecord(run_id, "running", metadata, datetime.now(UTC), datetime.now(UTC))

        async def update_status(self, run_id: UUID, status: str, **data: object) -> None: ...

        async def get_run(self, run_id: UUID) -> RunRecord | None: ...

    @stage
    async def emits(inputs: StageInputs[str]):
        inputs.context.emit("own")
        return ok(inputs.context.correlation.extra["tenant"])

    ids, store = CorrelationIds(request_id=UUID(int=2)), Store()
    runner, watch = Runner(sink=told, store=store), SeesRuns()
    async with runner.using(Tenants()).using(watch) as using:
        handle = using.start(emits, "a", context=PipelineContext(UUID(int=1), ids))
        events = handle.events()
        outcome = await handle
        streamed = [event async for event in events]
    assert isinstance(outcome, Completed)
    assert outcome.value == "acme"
    assert outcome.report.correlation == replace(ids, extra={"tenant": "acme"})
    assert store.kept["tenant"] == "acme"
    assert [type for type, data in told.events if data["tenant"] == "acme"] == told.types
    assert [event.type for event in streamed] == told.types
    assert told.types[0] == "pipeline.created"
    assert {data["request_id"] for _, data in told.events} == {str(UUID(int=2))}


async def test_a_run_that_is_cancelled_by_its_caller_ends_with_the_cancellation_for_the_hook() -> None:
    watch, entered = SeesRuns(), asyncio.Event()

    @stage
    async def wait(inputs: StageInputs[str]):
        entered.set()
        await asyncio.get_running_loop().create_future()

    async with Runner().using(watch) as runner:
        task = asyncio.get_running_loop().create_task(runner.run(wait, "a"))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert isinstance(watch.seen[-1][2], asyncio.CancelledError)


def test_the_values_of_hooks_are_frozen_equal_hashable_and_picklable() -> None:
    context = InterceptorContext(StageContext(UUID(int=1), "fetch"), "a")
    denied = InterceptorResult.deny(StageError("no"))
    assert context == InterceptorContext(context.stage, "a")
    assert hash(denied) == hash(InterceptorResult(StageError("no")))
    assert denied != InterceptorResult.proceed()
    assert pickle.loads(pickle.dumps(denied)) == denied
    assert pickle.loads(pickle.dumps(InterceptorResult.proceed())) == InterceptorResult.proceed()
    assert pickle.loads(pickle.dumps(context)).value == "a"
    for value, name in ((context, "value"), (denied, "error")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, None)


def test_the_actions_are_retry_fallback_and_fail() -> None:
    assert [action.value for action in ErrorAction] == ["retry", "fallback", "fail"]


async def test_an_around_interceptor_changes_a_stage_as_a_function_does() -> None:
    @dataclass(frozen=True)
    class Twice(Interceptor):
        def wrap(self, call, /):
            async def run_twice(inputs):
                await call(inputs)
                return await call(inputs)

            return run_twice

    seen: list[str] = []
    assert isinstance(await lift(name="note")(seen.append).using(Twice()).run("a"), Completed)
    assert seen == ["a", "a"]
    with pytest.raises(TypeError, match="abstract"):
        Interceptor()  # type: ignore[abstract]


async def test_a_runners_interceptor_wraps_every_stage_and_its_error_passes_what_absorbs() -> None:
    async with Runner().using(Guard()) as runner:
        outcome = await runner.run(echo.settled(), "secret")
    assert isinstance(outcome, Failed)
    assert outcome.error == DeniedError("not yours", who="anonymous")
