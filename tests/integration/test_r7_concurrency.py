"""R7: limits on a runner, on `.each` and on a stage; what takes no place; fair, and never a deadlock."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

import pytest
from returns.result import Result

from stageflow import (
    Cancelled,
    Completed,
    Failed,
    LimitInterceptor,
    Pipeline,
    PipelineResult,
    RetryInterceptor,
    Runner,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    fail,
    identity,
    lift,
    ok,
    route,
    stage,
)

AnyStage = Stage[object, object, StageError]
PATIENCE = 5.0  # seconds after which what should never block is held to be a deadlock


class Gauge:
    """Counts how many are inside, and the most there ever were."""

    def __init__(self, *, steps: int = 3) -> None:
        self.now = 0
        self.most = 0
        self.entered: list[object] = []
        self._steps = steps

    async def visit(self, who: object) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        self.entered.append(who)
        for _ in range(self._steps):
            await asyncio.sleep(0)
        self.now -= 1


def counted(name: str, gauge: Gauge) -> AnyStage:
    @stage(name=name)
    async def counting(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await gauge.visit(name if inputs.value == "x" else inputs.value)
        return ok(inputs.value)

    return counting


def waits(name: str, began: asyncio.Event, free: asyncio.Event) -> AnyStage:
    @stage(name=name)
    async def waiting(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        began.set()
        await free.wait()
        return ok(inputs.value)

    return waiting


def fan(gauge: Gauge, count: int) -> Pipeline[object, object, StageError]:
    branches = counted("stage 0", gauge) & counted("stage 1", gauge)
    for number in range(2, count):
        branches &= counted(f"stage {number}", gauge)
    return branches.together()


async def soon(runner: Runner, pipeline: Stage[object, object, StageError], value: object) -> object:
    outcome: PipelineResult[object, StageError] = await asyncio.wait_for(runner.run(pipeline, value), PATIENCE)
    assert isinstance(outcome, Completed), outcome
    return outcome.value


# The limit of a runner.


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_a_runner_runs_as_many_stages_at_once_as_it_may_and_no_more(limit: int) -> None:
    gauge = Gauge()
    await soon(Runner(max_concurrency=limit), fan(gauge, 9), "x")
    assert gauge.most == limit


async def test_the_limit_of_a_runner_holds_across_all_its_runs() -> None:
    gauge, runner = Gauge(), Runner(max_concurrency=3)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(runner.run(fan(gauge, 4), "x") for _ in range(4)))
    assert gauge.most == 3
    assert len(gauge.entered) == 16


async def test_the_limit_of_a_runner_counts_runs_started_with_handles_too() -> None:
    gauge, runner = Gauge(), Runner(max_concurrency=2)
    handles = [runner.start(counted("only", gauge), number) for number in range(6)]
    async with asyncio.timeout(PATIENCE):
        for handle in handles:
            await handle
    assert gauge.most == 2


async def test_runners_do_not_share_their_limits() -> None:
    gauge = Gauge()
    pipeline = counted("only", gauge)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(Runner(max_concurrency=1).run(pipeline, number) for number in range(3)))
    assert gauge.most == 3


async def test_a_runner_without_a_limit_runs_all_at_once() -> None:
    gauge = Gauge()
    await soon(Runner(), fan(gauge, 50), "x")
    assert gauge.most == 50


async def test_a_runner_made_by_using_keeps_within_the_limit_of_the_first() -> None:
    gauge, runner = Gauge(), Runner(max_concurrency=2)
    more = runner.using(RetryInterceptor())
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(runner.run(fan(gauge, 4), "x"), more.run(fan(gauge, 4), "x"))
    assert gauge.most == 2


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    for make in (
        lambda: Runner(max_concurrency=limit),
        lambda: identity(int).each(limit=limit),
        lambda: LimitInterceptor(limit),
    ):
        with pytest.raises(ValueError, match="at least 1"):
            make()


@pytest.mark.parametrize("ended", ["failed", "raised", "cancelled", "timed out"])
async def test_a_place_is_given_back_however_its_stage_ended(ended: str) -> None:
    began, never = asyncio.Event(), asyncio.Event()

    @stage
    async def ending(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        if ended == "failed":
            return fail("no")
        if ended == "raised":
            raise ValueError("no")
        began.set()
        await never.wait()
        return ok(None)

    runner = Runner(max_concurrency=1, deadline=0.01 if ended == "timed out" else None)
    handle = runner.start(ending, "x")
    if ended == "cancelled":
        await began.wait()
        handle.cancel("enough")
    outcome = await asyncio.wait_for(handle, PATIENCE)
    assert isinstance(outcome, Failed | Cancelled)
    assert await soon(runner, counted("next", Gauge()), 1) == 1


async def test_a_run_cancelled_while_it_waits_for_a_place_takes_none() -> None:
    began, free = asyncio.Event(), asyncio.Event()
    runner = Runner(max_concurrency=1)
    holder = runner.start(waits("holder", began, free), "x")
    await began.wait()
    ran: list[str] = []
    waiter = runner.start(lift(ran.append), "waiter")
    for _ in range(3):
        await asyncio.sleep(0)
    waiter.cancel("enough")
    assert isinstance(await asyncio.wait_for(waiter, PATIENCE), Cancelled)
    free.set()
    assert isinstance(await asyncio.wait_for(holder, PATIENCE), Completed)
    assert await soon(runner, counted("next", Gauge()), 1) == 1
    assert ran == []


async def test_a_place_granted_and_cancelled_in_one_tick_goes_to_the_next() -> None:
    began, free = asyncio.Event(), asyncio.Event()
    runner = Runner(max_concurrency=1)
    holder = runner.start(waits("holder", began, free), "x")
    await began.wait()
    waiter = runner.start(counted("waiter", Gauge()), "x")
    last = runner.start(counted("last", Gauge()), "x")
    for _ in range(3):
        await asyncio.sleep(0)
    free.set()
    await asyncio.sleep(0)  # the holder has ended and its place is the waiter's, which has not woken up yet
    waiter.cancel("enough")
    async with asyncio.timeout(PATIENCE):
        assert isinstance(await holder, Completed)
        assert isinstance(await last, Completed)
        await waiter
    assert await soon(runner, counted("next", Gauge()), 1) == 1


# The limit of an `.each`.


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_each_runs_as_many_items_at_once_as_it_may_and_no_more(limit: int) -> None:
    gauge = Gauge()
    outcome = await asyncio.wait_for(counted("item", gauge).each(limit=limit).run(range(20)), PATIENCE)
    assert isinstance(outcome, Completed)
    assert outcome.value == tuple(range(20))
    assert gauge.most == limit


async def test_each_without_a_limit_runs_every_item_at_once() -> None:
    gauge = Gauge()
    await counted("item", gauge).each().run(range(40))
    assert gauge.most == 40


async def test_the_limit_of_an_each_counts_items_that_are_pipelines() -> None:
    first, second = Gauge(), Gauge()
    pipeline = counted("first", first) | counted("second", second)
    both = Gauge()
    whole = pipeline | counted("third", both)
    await asyncio.wait_for(whole.each(limit=2).run(range(10)), PATIENCE)
    assert first.most <= 2
    assert second.most <= 2
    assert len(both.entered) == 10


async def test_the_limit_of_an_each_lets_no_item_start_before_another_has_ended_as_a_whole() -> None:
    open_items: set[object] = set()
    most = 0

    @lift
    def enter(item: object) -> object:
        nonlocal most
        open_items.add(item)
        most = max(most, len(open_items))
        return item

    @lift
    def leave(item: object) -> object:
        open_items.discard(item)
        return item

    item = enter | counted("between", Gauge()) | leave
    await asyncio.wait_for(item.each(limit=3).run(range(12)), PATIENCE)
    assert most == 3


async def test_the_limit_of_an_each_is_that_of_one_run() -> None:
    gauge = Gauge()
    pipeline = counted("item", gauge).each(limit=2)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(pipeline.run(range(5)) for _ in range(3)))
    assert gauge.most == 6


async def test_the_smaller_of_two_limits_holds() -> None:
    gauge = Gauge()
    await soon(Runner(max_concurrency=2), counted("item", gauge).each(limit=5), range(10))
    assert gauge.most == 2
    gauge = Gauge()
    await soon(Runner(max_concurrency=5), counted("item", gauge).each(limit=2), range(10))
    assert gauge.most == 2


async def test_the_runners_limit_holds_for_the_items_of_several_runs_together() -> None:
    gauge, runner = Gauge(), Runner(max_concurrency=4)
    pipeline = counted("item", gauge).each(limit=3)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(runner.run(pipeline, range(8)) for _ in range(3)))
    assert gauge.most == 4


# The limit of a stage.


@pytest.mark.parametrize("limit", [1, 3])
async def test_a_limit_interceptor_holds_across_concurrent_runs(limit: int) -> None:
    gauge = Gauge()
    pipeline = counted("only", gauge).using(LimitInterceptor(limit))
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(pipeline.run(number) for number in range(9)))
    assert gauge.most == limit
    assert sorted(map(str, gauge.entered)) == [str(number) for number in range(9)]


async def test_a_limit_interceptor_holds_across_runners() -> None:
    gauge = Gauge()
    pipeline = counted("only", gauge).using(LimitInterceptor(2))
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(Runner().run(pipeline, number) for number in range(6)))
    assert gauge.most == 2


async def test_the_limit_belongs_to_the_place_where_it_was_wrapped() -> None:
    gauge, limit = Gauge(), LimitInterceptor(1)
    one, two = counted("one", gauge).using(limit), counted("two", gauge).using(limit)
    await asyncio.wait_for((one & two).run("x"), PATIENCE)
    assert gauge.most == 2


async def test_a_runners_limit_interceptor_is_one_per_stage() -> None:
    gauge = Gauge()
    runner = Runner().using(LimitInterceptor(1))
    pipeline = counted("one", gauge) & counted("two", gauge)
    graph = pipeline.together().build().unwrap()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(runner.run(graph, "x") for _ in range(4)))
    assert gauge.most == 2


async def test_a_limit_interceptor_on_a_pipeline_limits_the_whole_of_it() -> None:
    gauge = Gauge()
    pipeline = (counted("one", gauge) | counted("two", gauge)).using(LimitInterceptor(1))
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(pipeline.run(number) for number in range(5)))
    assert gauge.most == 1
    assert gauge.entered == [number for number in range(5) for _ in range(2)]


@pytest.mark.parametrize("ended", ["failed", "raised", "cancelled"])
async def test_a_limit_interceptors_place_is_given_back_however_the_stage_ended(ended: str) -> None:
    began = asyncio.Event()

    @LimitInterceptor(1)
    @stage
    async def ending(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        if inputs.value == "good":
            return ok("good")
        if ended == "failed":
            return fail("no")
        if ended == "raised":
            raise ValueError("no")
        began.set()
        await asyncio.Event().wait()
        return ok(None)

    handle = Runner().start(ending, "bad")
    if ended == "cancelled":
        await began.wait()
        handle.cancel("enough")
    assert not isinstance(await asyncio.wait_for(handle, PATIENCE), Completed)
    assert await soon(Runner(), ending, "good") == "good"


# What holds no place.


def nested(gauge: Gauge) -> AnyStage:
    return (counted("a", gauge) | (counted("b", gauge) | counted("c", gauge)).named("inner")).named("outer")


def eaches(gauge: Gauge) -> AnyStage:
    return lift(lambda value: [[value, value], [value]], name="split") | counted("item", gauge).each().each()


def routes(gauge: Gauge) -> AnyStage:
    return (
        route(lift(lambda value: value == "x", name="which"))
        .case(True, counted("yes", gauge))
        .otherwise(counted("no", gauge))
    )


def wrapped(gauge: Gauge) -> AnyStage:
    inner = (counted("a", gauge) | counted("b", gauge)).named("inner")
    return inner.optional().using(RetryInterceptor()).settled().when(lambda _: True)


def limited(gauge: Gauge) -> AnyStage:
    one = (counted("a", gauge) | counted("b", gauge)).using(LimitInterceptor(1)).named("one")
    return one.using(LimitInterceptor(1)) | one.named("two")


def wired(gauge: Gauge) -> AnyStage:
    inner = Pipeline.of(object).with_stage(counted("a", gauge)).with_stage(counted("b", gauge))
    return Pipeline.of(object).with_stage(inner.named("inner")).with_stage(counted("c", gauge))


SHAPES = [nested, eaches, routes, wrapped, limited, wired]


@pytest.mark.parametrize("shape", SHAPES)
async def test_what_only_contains_others_holds_no_place_so_that_a_limit_of_one_runs_any_graph(
    shape: Callable[[Gauge], AnyStage],
) -> None:
    gauge, runner = Gauge(), Runner(max_concurrency=1)
    await soon(runner, shape(gauge), "x")
    assert gauge.most == 1
    async with asyncio.timeout(PATIENCE):
        outcomes = await asyncio.gather(*(runner.run(shape(gauge), "x") for _ in range(5)))
    assert gauge.most == 1
    assert all(isinstance(outcome, Completed) for outcome in outcomes)


async def test_containers_leave_every_place_to_the_stages_inside_them() -> None:
    gauge = Gauge()
    pipeline = counted("item", gauge).each().named("inner").named("outer")
    await soon(Runner(max_concurrency=3), pipeline, range(9))
    assert gauge.most == 3


@pytest.mark.parametrize("on_failure", ["cancel", "finish"])
async def test_a_limit_of_one_runs_a_graph_with_failures_too(on_failure: Literal["cancel", "finish"]) -> None:
    gauge = Gauge()
    runner = Runner(max_concurrency=1, on_failure=on_failure)

    @stage
    async def broken(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return fail("no")

    pipeline = nested(gauge) & broken & counted("last", gauge)
    outcome = await asyncio.wait_for(runner.run(pipeline.together(), "x"), PATIENCE)
    assert isinstance(outcome, Failed)
    assert await soon(runner, counted("next", gauge), 1) == 1


# A run started inside a stage.


def starts_another(name: str, inner: AnyStage, runner: Runner) -> AnyStage:
    @stage(name=name)
    async def starting(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        outcome = await runner.run(inner, inputs.value)
        assert isinstance(outcome, Completed), outcome
        return ok(outcome.value)

    return starting


async def test_a_run_started_inside_a_stage_of_the_same_runner_borrows_that_stages_place() -> None:
    gauge, runner = Gauge(), Runner(max_concurrency=1)
    pipeline = starts_another("outer", fan(gauge, 3), runner)
    await soon(runner, pipeline, "x")
    assert gauge.most == 1
    assert len(gauge.entered) == 3


async def test_borrowing_goes_as_deep_as_runs_do() -> None:
    gauge, runner = Gauge(), Runner(max_concurrency=1)
    pipeline = counted("innermost", gauge)
    for depth in range(10):
        pipeline = starts_another(f"depth {depth}", pipeline, runner)
    assert await soon(runner, pipeline, "x") == "x"


async def test_several_runs_started_inside_a_stage_share_the_place_they_borrow() -> None:
    gauge, runner = Gauge(), Runner(max_concurrency=1)

    @stage
    async def starting(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await asyncio.gather(*(runner.run(counted("inner", gauge), number) for number in range(4)))
        return ok(None)

    await soon(runner, starting, "x")
    assert gauge.most == 1
    assert gauge.entered == [0, 1, 2, 3]


async def test_a_run_inside_a_stage_uses_the_runners_other_places_too_but_never_more_than_all() -> None:
    gauge, runner = Gauge(), Runner(max_concurrency=3)
    await soon(runner, starts_another("outer", fan(gauge, 9), runner), "x")
    assert gauge.most == 3


async def test_concurrent_runs_that_each_start_another_do_not_block_one_another() -> None:
    gauge, runner = Gauge(), Runner(max_concurrency=2)
    pipeline = starts_another("outer", fan(gauge, 3), runner)
    async with asyncio.timeout(PATIENCE):
        outcomes = await asyncio.gather(*(runner.run(pipeline, "x") for _ in range(6)))
    assert all(isinstance(outcome, Completed) for outcome in outcomes)
    assert gauge.most <= 2
    assert len(gauge.entered) == 18


async def test_a_run_of_another_runner_inside_a_stage_keeps_within_that_ones_limit() -> None:
    gauge, outer, inner = Gauge(), Runner(max_concurrency=1), Runner(max_concurrency=2)
    await soon(outer, starts_another("outer", fan(gauge, 6), inner), "x")
    assert gauge.most == 2


# The order of the two limits.


async def test_a_stage_that_waits_for_its_limit_interceptor_holds_no_place_of_the_runner() -> None:
    began, free, runner = asyncio.Event(), asyncio.Event(), Runner(max_concurrency=2)
    shared = waits("holder", began, free).using(LimitInterceptor(1))
    holder = runner.start(shared, "x")
    await began.wait()
    waiter = runner.start(shared, "x")
    for _ in range(5):
        await asyncio.sleep(0)
    # Of the two places the holder has one, and the waiter none: so a third run goes on.
    assert await soon(runner, counted("third", Gauge()), 3) == 3
    assert not waiter.done
    free.set()
    async with asyncio.timeout(PATIENCE):
        assert isinstance(await holder, Completed)
        assert isinstance(await waiter, Completed)


async def test_a_limit_held_outside_the_runner_does_not_lock_the_runner() -> None:
    began, free = asyncio.Event(), asyncio.Event()
    shared = waits("holder", began, free).using(LimitInterceptor(1))
    holder = Runner().start(shared, "x")
    await began.wait()
    runner = Runner(max_concurrency=1)
    waiter = runner.start(shared, "x")
    for _ in range(5):
        await asyncio.sleep(0)
    assert await soon(runner, counted("other", Gauge()), 1) == 1
    free.set()
    async with asyncio.timeout(PATIENCE):
        assert isinstance(await holder, Completed)
        assert isinstance(await waiter, Completed)


async def test_limits_that_cross_never_deadlock() -> None:
    # Were the runner's place taken first, one run could hold it and wait for the limit, another the reverse.
    gauge, runner = Gauge(), Runner(max_concurrency=1)
    one = counted("one", gauge).using(LimitInterceptor(1))
    two = counted("two", gauge).using(LimitInterceptor(1))
    pipelines: Sequence[AnyStage] = [one | two, two | one, (one & two).together()]
    async with asyncio.timeout(PATIENCE):
        outcomes = await asyncio.gather(*(runner.run(pipelines[number % 3], "x") for number in range(12)))
    assert all(isinstance(outcome, Completed) for outcome in outcomes)
    assert gauge.most == 1


async def test_a_run_inside_a_stage_that_waits_for_a_limit_does_not_deadlock_with_who_holds_it() -> None:
    began, free, runner = asyncio.Event(), asyncio.Event(), Runner(max_concurrency=1)

    @stage
    async def wait_if_told(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        if inputs.value == "hold":
            began.set()
            await free.wait()
        return ok(inputs.value)

    shared = wait_if_told.using(LimitInterceptor(1))
    holder = Runner().start(shared, "hold")
    await began.wait()
    first = runner.start(shared, "first in line for the limit")
    for _ in range(5):
        await asyncio.sleep(0)
    outer = runner.start(starts_another("outer", shared, runner), "second in line, inside a stage with a place")
    for _ in range(5):
        await asyncio.sleep(0)
    free.set()
    async with asyncio.timeout(PATIENCE):
        assert isinstance(await holder, Completed)
        assert isinstance(await first, Completed)
        assert isinstance(await outer, Completed)


async def test_a_stage_that_waits_to_be_tried_again_holds_no_place() -> None:
    sleeping, wake, runner = asyncio.Event(), asyncio.Event(), Runner(max_concurrency=1)
    tried: list[int] = []

    async def sleep(_: float) -> None:
        sleeping.set()
        await wake.wait()

    @stage
    async def flaky(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        tried.append(inputs.context.attempt)
        return ok("at last") if len(tried) > 1 else fail(StageError("not yet", retryable=True))

    handle = runner.start(flaky.using(RetryInterceptor(sleep=sleep)), "x")
    await sleeping.wait()
    assert await soon(runner, counted("other", Gauge()), 1) == 1
    wake.set()
    outcome = await asyncio.wait_for(handle, PATIENCE)
    assert isinstance(outcome, Completed)
    assert outcome.value == "at last"
    assert tried == [1, 2]


# Fair.


async def test_places_of_a_runner_go_first_come_first_served() -> None:
    began, free, runner, gauge = asyncio.Event(), asyncio.Event(), Runner(max_concurrency=1), Gauge()
    holder = runner.start(waits("holder", began, free), "x")
    await began.wait()
    handles = [runner.start(counted("waiter", gauge), number) for number in range(8)]
    for _ in range(5):
        await asyncio.sleep(0)
    free.set()
    async with asyncio.timeout(PATIENCE):
        await holder
        for handle in handles:
            await handle
    assert gauge.entered == list(range(8))


async def test_places_of_a_limit_interceptor_go_first_come_first_served() -> None:
    gauge = Gauge()
    pipeline = counted("only", gauge).using(LimitInterceptor(2))
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(pipeline.run(number) for number in range(10)))
    assert gauge.entered == list(range(10))


async def test_a_long_run_does_not_keep_others_from_their_turn() -> None:
    gauge, runner = Gauge(steps=1), Runner(max_concurrency=1)
    long = runner.start(counted("item", gauge).each(), [f"long {number}" for number in range(200)])
    for _ in range(30):
        await asyncio.sleep(0)
    before = len(gauge.entered)
    short = runner.start(counted("short", gauge), "short")
    async with asyncio.timeout(PATIENCE):
        await short
        assert not long.done
        await long
    assert 0 < before < 100
    assert gauge.entered.index("short") <= before + 3  # its turn came within a few, not after all two hundred


async def test_items_of_an_each_start_in_their_order() -> None:
    gauge = Gauge()
    await counted("item", gauge).each(limit=3).run(range(10))
    assert gauge.entered == list(range(10))
