"""R10: monotonic durations, deadlines and timeouts to within a tick, and a driver that lets the loop be heard."""

import asyncio
import itertools
import math
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Never, TypeVar

import pytest
from returns.result import Result

from stageflow import (
    BaseInterceptor,
    Cancelled,
    Completed,
    ErrorAction,
    Failed,
    InterceptorContext,
    Pipeline,
    PipelineContext,
    PipelineTimer,
    RetryInterceptor,
    Runner,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    StageStatus,
    StageTimeoutError,
    TimeoutInterceptor,
    UnifiedStageSpec,
    fail,
    identity,
    lift,
    ok,
    route,
    stage,
)
from tests.leaping import LeapingLoop, leaping

AnyStage = Stage[object, object, StageError]
_T = TypeVar("_T")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STAGES_PER_BREATH = 64  # as the design has it, not as the library does


class Clock:
    """A monotonic clock in seconds, which goes on when the test says so."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds

    def timer(self, wall: Callable[[], datetime] = lambda: NOON) -> PipelineTimer:
        return PipelineTimer(clock=self, wall=wall)


def now() -> float:
    return asyncio.get_running_loop().time()


@stage
async def forever(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
    await asyncio.Event().wait()
    return ok(None)


def takes(seconds: float, name: str = "takes") -> AnyStage:
    @stage(name=name)
    async def taking(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await asyncio.sleep(seconds)
        return ok(name)

    return taking


# Durations


async def test_durations_come_from_the_runs_monotonic_clock() -> None:
    clock = Clock()

    @lift
    def work(seconds: float) -> float:
        clock.seconds += seconds
        return seconds

    outcome = await work.run(2.5, context=PipelineContext(timer=clock.timer()))
    assert outcome.report.stages["work"].duration_ms == pytest.approx(2500)
    assert outcome.report.duration_ms == pytest.approx(2500)


async def test_a_step_of_the_wall_clock_changes_no_duration_and_no_order_of_moments() -> None:
    clock = Clock()
    readings = iter([NOON, NOON - timedelta(days=1), NOON + timedelta(days=1)])

    @lift(name="first")
    def first(value: str) -> str:
        clock.seconds += 1
        return value

    second = first.named("second")
    outcome = await (first | second).run("x", context=PipelineContext(timer=clock.timer(lambda: next(readings))))
    stages = outcome.report.stages
    assert [result.duration_ms for result in stages.values()] == pytest.approx([1000, 1000])
    assert stages["first"].started_at == NOON
    assert stages["second"].started_at == NOON + timedelta(seconds=1)
    assert outcome.report.started_at == NOON


async def test_the_duration_of_a_retried_stage_is_that_of_all_its_attempts_and_waits() -> None:
    clock = Clock()

    async def sleep(seconds: float) -> None:
        clock.seconds += 10

    @RetryInterceptor(attempts=3, sleep=sleep)
    @stage
    async def flaky(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        clock.seconds += 1
        return ok(None) if inputs.context.attempt == 3 else fail(StageError("not yet", retryable=True))

    outcome = await flaky.run("x", context=PipelineContext(timer=clock.timer()))
    assert isinstance(outcome, Completed)
    assert outcome.report.stages["flaky"].duration_ms == pytest.approx(23_000)


async def test_a_cancelled_stage_has_the_duration_that_it_ran() -> None:
    clock, began = Clock(), asyncio.Event()

    @stage
    async def cancelled(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        began.set()
        await asyncio.Event().wait()
        return ok(None)

    handle = Runner().start(cancelled, "x", context=PipelineContext(timer=clock.timer()))
    await began.wait()
    clock.seconds += 4
    handle.cancel()
    outcome = await handle
    assert outcome.report.stages["cancelled"].duration_ms == pytest.approx(4000)


# Deadlines


def test_a_deadline_ends_the_run_as_cancelled_at_its_very_moment() -> None:
    async def main() -> None:
        outcome = await Runner(deadline=5.0).run(takes(1.0) | forever, "x")
        assert isinstance(outcome, Cancelled)
        assert "deadline of 5 s" in outcome.reason
        assert now() == pytest.approx(5.0)
        statuses = {name: result.status for name, result in outcome.report.stages.items()}
        assert statuses == {"takes": StageStatus.OK, "forever": StageStatus.CANCEL}

    leaping(main)


def test_a_deadline_cancels_and_awaits_every_stage() -> None:
    async def main() -> None:
        cleaned_up: list[object] = []

        @stage
        async def lingering(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(2)
                cleaned_up.append(inputs.value)
            return ok(None)

        outcome = await Runner(deadline=3.0).run(lingering.each(), [1, 2])
        assert isinstance(outcome, Cancelled)
        assert sorted(map(str, cleaned_up)) == ["1", "2"]
        assert now() == pytest.approx(5.0)

    leaping(main)


def test_a_run_that_ends_in_time_is_left_alone_and_its_deadline_is_forgotten() -> None:
    async def main() -> None:
        outcome = await Runner(deadline=5.0).run(takes(4.999), "x")
        assert isinstance(outcome, Completed)
        assert now() == pytest.approx(4.999)

    leaping(main)


@pytest.mark.parametrize(("runners", "contexts", "holds"), [(9.0, 2.0, 2.0), (2.0, 9.0, 9.0), (None, 3.0, 3.0)])
def test_the_deadline_of_a_context_overrides_the_runners(runners: float | None, contexts: float, holds: float) -> None:
    async def main() -> None:
        outcome = await Runner(deadline=runners).run(forever, "x", context=PipelineContext(deadline=contexts))
        assert isinstance(outcome, Cancelled)
        assert now() == pytest.approx(holds)

    leaping(main)


def test_a_deadline_ends_a_run_that_waits_for_a_place() -> None:
    async def main() -> None:
        runner = Runner(max_concurrency=1)
        holder = runner.start(takes(10.0), "x")
        await asyncio.sleep(0)
        outcome = await runner.run(forever, "x", context=PipelineContext(deadline=2.0))
        assert isinstance(outcome, Cancelled)
        assert now() == pytest.approx(2.0)
        assert outcome.report.stages["forever"].attempts == 0
        assert isinstance(await holder, Completed)

    leaping(main)


def test_a_deadline_and_a_timeout_of_one_moment_end_the_run_as_cancelled() -> None:
    async def main() -> None:
        outcome = await Runner(deadline=5.0).run(forever.using(TimeoutInterceptor(5.0)), "x")
        assert isinstance(outcome, Cancelled)
        assert now() == pytest.approx(5.0)

    leaping(main)


async def test_a_stage_knows_how_long_it_has() -> None:
    clock = Clock()

    @stage
    async def asking(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        clock.seconds += 2
        return ok(inputs.context.remaining)

    outcome = await asking.run("x", context=PipelineContext(deadline=30.0, timer=clock.timer()))
    assert isinstance(outcome, Completed)
    assert outcome.value == pytest.approx(28.0)


def test_a_retry_does_not_sleep_past_the_deadline() -> None:
    async def main() -> None:
        @RetryInterceptor(attempts=10, backoff=4.0, draw=lambda: 1.0)
        @stage
        async def flaky(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
            return fail(StageError("not yet", retryable=True))

        timer = PipelineTimer(clock=now)
        outcome = await Runner(deadline=10.0).run(flaky, "x", context=PipelineContext(timer=timer))
        assert isinstance(outcome, Failed)  # the second wait, of 8 s, would have ended at 12
        assert now() == pytest.approx(4.0)
        assert outcome.report.stages["flaky"].attempts == 2

    leaping(main)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan])
def test_a_time_that_is_not_more_than_zero_is_refused(seconds: float) -> None:
    makes: Sequence[Callable[[], object]] = (
        lambda: Runner(deadline=seconds),
        lambda: PipelineContext(deadline=seconds),
        lambda: TimeoutInterceptor(seconds),
    )
    for make in makes:
        with pytest.raises(ValueError, match="more than 0"):
            make()


# Timeouts


def test_a_stage_timeout_ends_the_stage_at_its_very_moment() -> None:
    async def main() -> None:
        outcome = await forever.using(TimeoutInterceptor(3.0)).run("x")
        assert isinstance(outcome, Failed)
        assert outcome.error == StageTimeoutError('Stage "forever" took longer than 3 s', seconds=3.0)
        assert now() == pytest.approx(3.0)

    leaping(main)


def test_a_timed_out_stage_is_cancelled_and_awaited() -> None:
    async def main() -> None:
        cleaned_up: list[float] = []

        @TimeoutInterceptor(3.0)
        @stage
        async def lingering(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(2)
                cleaned_up.append(now())
            return ok(None)

        outcome = await lingering.run("x")
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, StageTimeoutError)
        assert cleaned_up == [pytest.approx(5.0)]

    leaping(main)


@pytest.mark.parametrize("then", ["succeeds", "fails", "raises"])
def test_a_stage_that_swallows_its_timeout_has_timed_out_all_the_same(then: str) -> None:
    async def main() -> None:
        @TimeoutInterceptor(3.0)
        @stage
        async def swallowing(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if then == "raises":
                    raise ValueError("while cleaning up") from None
            return ok("late") if then == "succeeds" else fail("late")

        outcome = await (swallowing | lift(str)).run("x")
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, StageTimeoutError)
        assert outcome.report.stages["str"].attempts == 0

    leaping(main)


def test_a_timeout_leaves_the_task_fit_to_go_on() -> None:
    async def main() -> None:
        timed = forever.using(TimeoutInterceptor(1.0)).settled()
        outcome = await (timed | takes(5.0) | timed.named("again") | takes(1.0, "last")).run("x")
        assert isinstance(outcome, Completed)
        assert outcome.value == "last"
        assert now() == pytest.approx(8.0)

    leaping(main)


def test_of_two_timeouts_the_sooner_is_heard_first() -> None:
    async def main(inner: float, outer: float) -> None:
        began = now()
        outcome = await forever.using(TimeoutInterceptor(inner)).using(TimeoutInterceptor(outer)).run("x")
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, StageTimeoutError)
        assert outcome.error.seconds == min(inner, outer)
        assert now() - began == pytest.approx(min(inner, outer))

    leaping(lambda: main(1.0, 2.0))
    leaping(lambda: main(2.0, 1.0))


def test_a_timeout_on_a_pipeline_limits_the_whole_of_it_and_awaits_every_stage_inside() -> None:
    async def main() -> None:
        slow = (takes(2.0, "one") | takes(2.0, "two") | takes(2.0, "three")).using(TimeoutInterceptor(5.0))
        outcome = await slow.run("x")
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, StageTimeoutError)
        assert now() == pytest.approx(5.0)
        statuses = [result.status for result in outcome.report.stages.values()]
        assert statuses == [StageStatus.OK, StageStatus.OK, StageStatus.CANCEL]

    leaping(main)


def test_a_timeout_of_one_item_leaves_the_others_alone() -> None:
    async def main() -> None:
        @TimeoutInterceptor(2.0)
        @stage
        async def item(inputs: StageInputs[float]) -> Result[StageOutput[float], StageError]:
            await asyncio.sleep(inputs.value)
            return ok(inputs.value)

        outcome = await item.settled().each().run([1.0, 9.0, 1.5])
        assert isinstance(outcome, Completed)
        assert [type(one).__name__ for one in outcome.value] == ["Success", "Failure", "Success"]
        assert now() == pytest.approx(2.0)

    leaping(main)


def test_a_thread_that_times_out_is_awaited_and_has_timed_out() -> None:
    async def main() -> None:
        release, ended = threading.Event(), threading.Event()

        @lift(thread=True)
        def blocking(value: object) -> str:
            release.wait(10)
            ended.set()
            return "late"

        asyncio.get_running_loop().call_later(6.0, release.set)
        outcome = await blocking.using(TimeoutInterceptor(3.0)).run("x")
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, StageTimeoutError)
        assert ended.is_set()

    leaping(main)


def test_cancelling_a_run_from_outside_is_no_timeout() -> None:
    async def main() -> None:
        handle = Runner().start(forever.using(TimeoutInterceptor(5.0)), "x")
        asyncio.get_running_loop().call_later(1.0, handle.cancel, "enough")
        outcome = await handle
        assert isinstance(outcome, Cancelled)
        assert outcome.reason == "enough"
        assert now() == pytest.approx(1.0)

    leaping(main)


# Letting the loop be heard: no stage here ever suspends


class Breaths:
    """Counts the stages between any two turns of the loop, by a task that runs at every turn."""

    def __init__(self) -> None:
        self.stages = 0
        self.since = 0
        self.most = 0
        self.turns = 0

    def count(self) -> None:
        self.stages += 1
        self.since += 1
        self.most = max(self.most, self.since)

    async def tick(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.turns += 1
            self.since = 0

    def stage(self, name: str) -> AnyStage:
        @stage(name=name)
        async def counting(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
            self.count()
            return ok(inputs.value)

        return counting

    async def during(self, running: Awaitable[_T]) -> _T:
        ticker = asyncio.create_task(self.tick())
        await asyncio.sleep(0)
        try:
            return await running
        finally:
            ticker.cancel()


def chain(breaths: Breaths) -> AnyStage:
    names = [f"stage {number}" for number in range(1000)]
    before = ["", *names]
    return Pipeline.from_specs(
        UnifiedStageSpec(name, breaths.stage(name), dependencies=(after,) if after else ())
        for name, after in zip(names, before, strict=False)
    )


def fan(breaths: Breaths) -> AnyStage:
    names = [f"stage {number}" for number in range(1000)]
    return Pipeline.from_specs(UnifiedStageSpec(name, breaths.stage(name)) for name in names)


def items(breaths: Breaths) -> AnyStage:
    return lift(lambda _: range(1000), name="split") | breaths.stage("item").each()


def items_one_by_one(breaths: Breaths) -> AnyStage:
    return lift(lambda _: range(1000), name="split") | breaths.stage("item").each(limit=1)


def items_of_items(breaths: Breaths) -> AnyStage:
    inner = lift(lambda _: range(10), name="inner split") | breaths.stage("item").each()
    return lift(lambda _: range(100), name="outer split") | inner.each()


def pipelines_per_item(breaths: Breaths) -> AnyStage:
    inner = breaths.stage("a") | breaths.stage("b").optional() | (breaths.stage("c") | breaths.stage("d")).named("n")
    return lift(lambda _: range(250), name="split") | inner.each()


def routes_per_item(breaths: Breaths) -> AnyStage:
    chosen = route(lift(lambda _: True, name="which")).case(True, breaths.stage("yes")).otherwise(breaths.stage("no"))
    return lift(lambda _: range(1000), name="split") | chosen.each()


def nested(breaths: Breaths) -> AnyStage:
    made: AnyStage = identity(object)
    for number in range(200):
        inner = breaths.stage(f"a{number}") | breaths.stage(f"b{number}") | breaths.stage(f"c{number}")
        made |= inner.named(f"inner {number}").optional()
    return made


SHAPES = [chain, fan, items, items_one_by_one, items_of_items, pipelines_per_item, routes_per_item, nested]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("limit", [None, 1])
async def test_the_driver_yields_to_the_loop_at_least_every_64_stages(
    shape: Callable[[Breaths], AnyStage], limit: int | None
) -> None:
    breaths, clock = Breaths(), Clock()  # a clock that stands still: what is counted is stages alone
    runner = Runner(max_concurrency=limit)
    running = runner.run(shape(breaths), "x", context=PipelineContext(timer=clock.timer()))
    outcome = await breaths.during(running)
    assert isinstance(outcome, Completed), outcome
    assert breaths.stages >= 600
    assert breaths.most <= STAGES_PER_BREATH


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_driver_yields_to_the_loop_at_least_every_five_milliseconds(
    shape: Callable[[Breaths], AnyStage],
) -> None:
    class Slow(Breaths):
        def count(self) -> None:
            super().count()
            clock.seconds += 0.002

    clock = Clock()
    breaths = Slow()
    outcome = await breaths.during(shape(breaths).run("x", context=PipelineContext(timer=clock.timer())))
    assert isinstance(outcome, Completed)
    assert breaths.most <= 3  # 6 ms: the first stage that ends later than 5 ms is the last before the loop's turn


@pytest.mark.parametrize("by", ["a deadline", "a handle", "the awaiting task"])
async def test_no_stage_starts_after_the_end_that_fell_into_a_long_one(by: str) -> None:
    ran: list[str] = []

    def long(name: str) -> AnyStage:
        @stage(name=name)
        async def working(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
            ran.append(name)
            time.sleep(0.03)  # noqa: ASYNC251  (it is to hold the loop up)
            return ok(None)

        return working

    pipeline, loop = long("first") | long("second"), asyncio.get_running_loop()
    if by == "the awaiting task":
        task = asyncio.ensure_future(pipeline.run("x"))
        loop.call_later(0.01, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        handle = Runner(deadline=0.01 if by == "a deadline" else None).start(pipeline, "x")
        if by == "a handle":
            loop.call_later(0.01, handle.cancel, "enough")
        assert isinstance(await handle, Cancelled)
    assert ran == ["first"]


async def test_neighbours_are_heard_while_no_stage_suspends() -> None:
    breaths, heard = Breaths(), []

    async def neighbour() -> None:
        for _ in range(5):
            await asyncio.sleep(0)
            heard.append(breaths.stages)

    other = asyncio.create_task(neighbour())
    await asyncio.sleep(0)  # it stands by
    await chain(breaths).run("x")
    await other
    assert heard == sorted(heard)
    assert heard[-1] <= 5 * STAGES_PER_BREATH


async def test_two_runs_in_which_no_stage_suspends_go_on_side_by_side() -> None:
    order: list[str] = []

    def marks(mark: str) -> AnyStage:
        return lift(lambda _: range(1000), name="split") | lift(lambda _: order.append(mark), name="item").each()

    await asyncio.gather(marks("a").run("x"), marks("b").run("x"))
    changes = sum(one != other for one, other in itertools.pairwise(order))
    assert changes >= 10


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_cancel_is_heard_while_no_stage_suspends(shape: Callable[[Breaths], AnyStage]) -> None:
    breaths = Breaths()
    handle = Runner().start(shape(breaths), "x")

    async def cancel_soon() -> None:
        while not breaths.stages:  # noqa: ASYNC110  (what is counted are the loop's turns)
            await asyncio.sleep(0)
        handle.cancel("enough")

    other = asyncio.create_task(cancel_soon())
    outcome = await handle
    await other
    assert isinstance(outcome, Cancelled)
    assert breaths.stages <= 2 * STAGES_PER_BREATH


@pytest.mark.parametrize("shape", SHAPES)
def test_a_deadline_is_heard_while_no_stage_suspends(shape: Callable[[Breaths], AnyStage]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, LeapingLoop)

        class Slow(Breaths):
            def count(self) -> None:
                super().count()
                loop.now += 0.001

        breaths = Slow()
        timer = PipelineTimer(clock=loop.time)
        outcome = await shape(breaths).run("x", context=PipelineContext(deadline=0.1, timer=timer))
        assert isinstance(outcome, Cancelled)
        assert 100 <= breaths.stages <= 100 + 24  # a few breaths of 5 ms each

    leaping(main)


async def test_attempts_that_never_suspend_let_the_loop_be_heard_too() -> None:
    breaths = Breaths()

    class Again(BaseInterceptor[Never]):
        async def on_error(self, context: InterceptorContext, error: StageError, /) -> ErrorAction:
            return ErrorAction.RETRY if context.stage.attempt < 1000 else ErrorAction.FAIL

    @Again()
    @stage
    async def failing(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        breaths.count()
        return fail("no")

    outcome = await breaths.during(failing.run("x"))
    assert isinstance(outcome, Failed)
    assert breaths.stages == 1000
    assert breaths.most <= STAGES_PER_BREATH
