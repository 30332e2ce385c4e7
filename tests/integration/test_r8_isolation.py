"""R8: context variables reach no other stage and not the caller; runs share a breaker's and a limiter's state alone."""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Never

import pytest
from returns.result import Result

from stageflow import (
    BaseInterceptor,
    CircuitBreakerInterceptor,
    CircuitOpenError,
    Completed,
    Failed,
    LimitInterceptor,
    Pipeline,
    PipelineContext,
    RetryInterceptor,
    Runner,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    TimeoutInterceptor,
    cancel,
    fail,
    lift,
    ok,
    route,
    skip,
    stage,
)

AnyStage = Stage[object, object, StageError]
VAR: ContextVar[str] = ContextVar("isolated", default="untouched")


def sets(name: str, *, steps: int = 0) -> AnyStage:
    """A stage that sets the variable to its own name, and gives what it had found and what it has at the end."""

    @stage(name=name)
    async def setting(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        found = VAR.get()
        VAR.set(name)
        for _ in range(steps):
            await asyncio.sleep(0)
        return ok((found, VAR.get()))

    return setting


async def value_of(pipeline: Stage[object, object, StageError], value: object = "x") -> object:
    outcome = await pipeline.run(value)
    assert isinstance(outcome, Completed), outcome
    return outcome.value


@pytest.mark.parametrize("steps", [0, 1, 3])
async def test_what_a_stage_sets_does_not_reach_the_stages_that_follow_it(steps: int) -> None:
    assert await value_of(sets("first", steps=steps) | sets("second", steps=steps)) == ("untouched", "second")
    assert VAR.get() == "untouched"


@pytest.mark.parametrize("steps", [0, 1, 3])
async def test_what_a_stage_sets_does_not_reach_its_siblings_and_stays_its_own_while_it_suspends(steps: int) -> None:
    pipeline = (sets("one", steps=steps) & sets("two", steps=steps) & sets("three", steps=1)).together()
    assert await value_of(pipeline) == tuple(("untouched", name) for name in ("one", "two", "three"))
    assert VAR.get() == "untouched"


class Looking:
    """A sink that notes the variable's value at every event."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.seen.append((type, VAR.get()))

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.try_emit(type=type, data=data)


@pytest.mark.parametrize("ends", ["ok", "skip", "cancel", "fail", "raise", "cancelled"])
@pytest.mark.parametrize("steps", [0, 1, 3])
async def test_what_a_stage_sets_does_not_reach_sinks(ends: str, steps: int) -> None:
    entered = asyncio.Event()

    @stage
    async def ending(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        VAR.set("ending")
        for _ in range(steps):
            await asyncio.sleep(0)
        match ends:
            case "skip":
                return skip("nothing to do")
            case "cancel":
                return cancel("enough")
            case "fail":
                return fail("broken")
            case "raise":
                raise ValueError("broken")
            case "cancelled":
                entered.set()
                await asyncio.Event().wait()
        return ok(None)

    sink = Looking()
    beside = (sets("one", steps=steps) & sets("two", steps=1)).together()
    handle = Runner(sink=sink).start(beside | ending | sets("after", steps=steps), "x")
    if ends == "cancelled":
        await entered.wait()
        handle.cancel("enough")
    await handle
    types = {type for type, _ in sink.seen}
    assert {"stage.one.completed", "stage.two.completed", "stage.ending.started"} <= types
    assert len([type for type in types if type.startswith("stage.ending.")]) == 2
    assert {seen for _, seen in sink.seen} == {"untouched"}


async def test_a_stage_that_failed_leaves_nothing_behind_either() -> None:
    @stage
    async def breaking(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        VAR.set("broken")
        raise ValueError("no")

    await breaking.run("x")
    assert VAR.get() == "untouched"
    assert await value_of(breaking.settled() | sets("next")) == ("untouched", "next")


CONTAINERS: list[tuple[str, Callable[[AnyStage], AnyStage]]] = [
    ("each", lambda inner: lift(lambda value: [value, value], name="split") | inner.each()),
    ("each over a pipeline", lambda inner: lift(lambda value: [value], name="split") | (inner | sets("in")).each()),
    ("named", lambda inner: (inner | sets("last inside")).named("inner")),
    ("optional", lambda inner: inner.optional()),
    ("settled", lambda inner: inner.settled()),
    ("when", lambda inner: inner.when(lambda _: True)),
    ("route", lambda inner: route(lift(lambda _: True, name="which")).case(True, inner).otherwise(sets("otherwise"))),
    ("interceptors", lambda inner: inner.using(TimeoutInterceptor(60.0)).using(RetryInterceptor())),
]


@pytest.mark.parametrize("contained", [made for _, made in CONTAINERS], ids=[name for name, _ in CONTAINERS])
@pytest.mark.parametrize("steps", [0, 2])
async def test_what_a_stage_sets_does_not_leave_what_contains_it(
    contained: Callable[[AnyStage], AnyStage], steps: int
) -> None:
    inner = sets("inside", steps=steps)
    assert await value_of(contained(inner) | sets("after", steps=steps)) == ("untouched", "after")
    assert VAR.get() == "untouched"


async def test_items_of_an_each_are_isolated_from_one_another() -> None:
    outcome = await sets("item", steps=1).each().run(range(5))
    assert isinstance(outcome, Completed)
    assert outcome.value == (("untouched", "item"),) * 5


async def test_a_stage_sees_what_the_caller_set() -> None:
    token = VAR.set("by the caller")
    try:
        assert await value_of(sets("first") | sets("second")) == ("by the caller", "second")
        assert VAR.get() == "by the caller"
    finally:
        VAR.reset(token)


async def test_two_concurrent_runs_see_each_their_own_callers_context() -> None:
    graph = (sets("first", steps=2) | sets("second", steps=2)).build().unwrap()

    async def call(mark: str) -> object:
        VAR.set(mark)
        outcome = await graph.run("x")
        assert isinstance(outcome, Completed)
        return outcome.value, VAR.get()

    given = await asyncio.gather(*(asyncio.create_task(call(mark)) for mark in ("one", "two", "three")))
    assert given == [((mark, "second"), mark) for mark in ("one", "two", "three")]


async def test_what_a_stage_sets_does_not_reach_a_thread_or_the_stage_after_one() -> None:
    @lift(thread=True)
    def in_thread(value: object) -> str:
        found = VAR.get()
        VAR.set("thread")
        return found

    assert await value_of(sets("first") | in_thread) == "untouched"
    assert await value_of(in_thread | sets("after")) == ("untouched", "after")


async def test_a_predicate_and_a_handler_leave_nothing_behind() -> None:
    def predicate(_: object) -> bool:
        VAR.set("predicate")
        return True

    async def handler(_: StageError) -> Result[StageOutput[object], Never]:
        VAR.set("handler")
        return ok("handled")

    @stage
    async def failing(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return fail("no")

    pipeline = failing.recover(handler).when(predicate)
    assert await value_of(pipeline | sets("after")) == ("untouched", "after")
    assert VAR.get() == "untouched"


# Two runs of one graph share nothing


async def test_concurrent_runs_of_one_graph_keep_their_outputs_apart() -> None:
    @stage
    async def tag(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        for _ in range(inputs.value % 4):
            await asyncio.sleep(0)
        return ok(inputs.value * 10)

    @stage
    async def check(inputs: StageInputs[int]) -> Result[StageOutput[tuple[int, int]], StageError]:
        for _ in range(3 - inputs.value % 3):
            await asyncio.sleep(0)
        return ok((inputs.value, inputs[tag]))

    graph = (tag | check).build().unwrap()
    outcomes = await asyncio.gather(*(graph.run(number) for number in range(50)))
    for number, outcome in enumerate(outcomes):
        assert isinstance(outcome, Completed)
        assert outcome.value == (number * 10, number * 10)
        assert outcome.report.outputs[tag] == number * 10


async def test_a_failed_run_leaves_a_concurrent_run_of_the_same_graph_alone() -> None:
    both = asyncio.Barrier(2)

    @stage
    async def maybe(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        await both.wait()
        if inputs.value == "bad":
            return fail("no")
        await asyncio.sleep(0)
        return ok(inputs.value)

    graph = (maybe | lift(str.upper)).build().unwrap()
    good, bad = await asyncio.gather(graph.run("good"), graph.run("bad"))
    assert isinstance(good, Completed)
    assert good.value == "GOOD"
    assert isinstance(bad, Failed)


async def test_runs_of_one_graph_have_ids_and_reports_of_their_own() -> None:
    graph = (sets("first") | sets("second")).build().unwrap()
    one, two = await asyncio.gather(graph.run("x"), graph.run("x"))
    assert one.report.run_id != two.report.run_id
    assert one.report.stages is not two.report.stages


async def test_attempts_are_counted_for_each_run_of_its_own() -> None:
    failures: dict[object, int] = {}

    @RetryInterceptor(attempts=5, backoff=0.0)
    @stage
    async def flaky(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        failures[inputs.value] = failures.get(inputs.value, 0) + 1
        if failures[inputs.value] <= inputs.value:
            return fail(StageError("not yet", retryable=True))
        return ok(inputs.context.attempt)

    graph = (lift(int) | flaky).build().unwrap()
    outcomes = await asyncio.gather(*(graph.run(number) for number in range(4)))
    assert [outcome.value for outcome in outcomes if isinstance(outcome, Completed)] == [1, 2, 3, 4]


# What is meant to be shared


class Down:
    """A stage that fails until it is told not to, and counts its calls."""

    def __init__(self, name: str = "down") -> None:
        self.calls = 0
        self.up = False
        self.stage = stage(name=name)(self._run)

    async def _run(self, inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        self.calls += 1
        return ok("up") if self.up else fail("down")


async def errors_of(runner: Runner, pipeline: AnyStage, times: int) -> list[type[StageError]]:
    found: list[type[StageError]] = []
    for _ in range(times):
        outcome = await runner.run(pipeline, "x")
        assert isinstance(outcome, Failed)
        found.append(type(outcome.error))
    return found


async def test_runs_share_the_state_of_a_breaker_that_wraps_the_stage() -> None:
    down = Down()
    guarded = down.stage.using(CircuitBreakerInterceptor(failures=2))
    assert await errors_of(Runner(), guarded, 4) == [StageError, StageError, CircuitOpenError, CircuitOpenError]
    assert await errors_of(Runner(), guarded, 1) == [CircuitOpenError]  # another runner, the same place
    assert down.calls == 2


async def test_every_graph_that_has_the_wrapped_stage_shares_its_breaker() -> None:
    down = Down()
    guarded = down.stage.using(CircuitBreakerInterceptor(failures=1))
    assert await errors_of(Runner(), guarded | sets("one"), 1) == [StageError]
    assert await errors_of(Runner(), sets("two") | guarded, 1) == [CircuitOpenError]
    assert await errors_of(Runner(), guarded.named("renamed"), 1) == [CircuitOpenError]


async def test_one_breaker_value_wrapped_in_two_places_has_two_states() -> None:
    breaker, one, two = CircuitBreakerInterceptor(failures=1), Down("one"), Down("two")
    first, second = one.stage.using(breaker), two.stage.using(breaker)
    assert await errors_of(Runner(), first, 2) == [StageError, CircuitOpenError]
    assert await errors_of(Runner(), second, 2) == [StageError, CircuitOpenError]
    again = one.stage.using(breaker)
    assert await errors_of(Runner(), again, 1) == [StageError]


async def test_a_runners_breaker_is_one_per_stage() -> None:
    runner = Runner(on_failure="finish").using(CircuitBreakerInterceptor(failures=1))
    one, two = Down("one"), Down("two")
    graph = (one.stage & two.stage).together().build().unwrap()
    first = await runner.run(graph, "x")
    assert isinstance(first, Failed)
    assert [type(error) for error in first.errors] == [StageError, StageError]
    two.up = one.up = True
    second = await runner.run(graph, "x")
    assert isinstance(second, Failed)
    assert [type(error) for error in second.errors] == [CircuitOpenError, CircuitOpenError]


async def test_a_runners_breaker_is_shared_by_the_runs_of_one_graph_and_by_no_other_graph() -> None:
    runner = Runner().using(CircuitBreakerInterceptor(failures=1))
    down = Down()
    one: Pipeline[object, object, StageError] = down.stage | sets("one")
    two: Pipeline[object, object, StageError] = down.stage | sets("two")
    assert await errors_of(runner, one, 2) == [StageError, CircuitOpenError]
    assert await errors_of(runner, two, 2) == [StageError, CircuitOpenError]


async def test_two_runners_do_not_share_the_breakers_they_bring() -> None:
    down, breaker = Down(), CircuitBreakerInterceptor(failures=1)
    assert await errors_of(Runner().using(breaker), down.stage, 2) == [StageError, CircuitOpenError]
    assert await errors_of(Runner().using(breaker), down.stage, 2) == [StageError, CircuitOpenError]


async def test_the_items_of_an_each_share_the_breaker_of_their_body() -> None:
    down = Down()
    guarded = down.stage.using(CircuitBreakerInterceptor(failures=2)).settled().each(limit=1)
    outcome = await guarded.run(range(5))
    assert isinstance(outcome, Completed)
    kinds = [type(item.failure()) for item in outcome.value]
    assert kinds == [StageError, StageError, CircuitOpenError, CircuitOpenError, CircuitOpenError]


async def test_runs_share_the_places_of_a_limiter_that_wraps_the_stage() -> None:
    inside = most = 0

    @LimitInterceptor(1)
    @stage
    async def alone(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1
        return ok(None)

    await asyncio.gather(*((alone | sets(f"after {number}")).run("x") for number in range(5)))
    assert most == 1


class Marking(BaseInterceptor[Never]):
    def run_started(self, context: PipelineContext, /) -> None:
        VAR.set("by the hook")


async def test_what_run_started_sets_is_for_the_stages_and_not_for_the_caller() -> None:
    runner = Runner().using(Marking())
    outcomes = [await runner.run(sets("only"), "x"), await runner.start(sets("only"), "x")]
    for outcome in outcomes:
        assert isinstance(outcome, Completed)
        assert outcome.value == ("by the hook", "only")
    assert VAR.get() == "untouched"
