"""A circuit breaker: its two pure functions, and what they do around a stage."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import FrozenInstanceError

import pytest

from stageflow import (
    Cancelled,
    CircuitBreakerInterceptor,
    CircuitOpenError,
    Completed,
    Failed,
    Runner,
    Skipped,
    StageError,
    StageExecutionError,
    StageInputs,
    fail,
    lift,
    ok,
    skip,
    stage,
)
from stageflow.interceptors.circuit_breaker import Closed, HalfOpen, Open, Verdict, admit, counts_always, settle


class Answers:
    """A stage that gives what it is told to, and counts its calls."""

    def __init__(self, *answers: object) -> None:
        self.left = list(answers)
        self.calls = 0

    async def __call__(self, inputs: StageInputs[str]):
        self.calls += 1
        given = self.left.pop(0) if self.left else ok(inputs.value)
        if isinstance(given, Exception):
            raise given
        return given


def breaker(clock, **more) -> CircuitBreakerInterceptor:
    return CircuitBreakerInterceptor(**{"failures": 2, "reset_after": 30.0, "clock": clock, **more})


def settled(state, ticket, verdict, now=10.0):
    return settle(state, ticket, verdict, now=now, failures=2, reset_after=30.0)


def test_closed_lets_every_call_through() -> None:
    assert admit(Closed(3, 1), 0.0) == (Closed(3, 1), 3)


def test_closed_counts_failures_in_a_row_and_opens_at_the_limit() -> None:
    once = settled(Closed(), 0, Verdict.FAILED)
    assert once == Closed(0, 1)
    assert settled(once, 0, Verdict.FAILED) == Open(1, 40.0)


def test_a_success_sets_the_count_to_nothing() -> None:
    assert settled(Closed(0, 1), 0, Verdict.SUCCEEDED) == Closed(0, 0)


def test_a_cancelled_call_says_nothing() -> None:
    assert settled(Closed(0, 1), 0, Verdict.CANCELLED) == Closed(0, 1)


def test_open_refuses_until_its_time_and_then_lets_one_probe_through() -> None:
    assert admit(Open(1, 40.0), 39.9) == (Open(1, 40.0), None)
    assert admit(Open(1, 40.0), 40.0) == (HalfOpen(2), 2)
    assert admit(HalfOpen(2), 50.0) == (HalfOpen(2), None)


@pytest.mark.parametrize(
    ("verdict", "after"),
    [(Verdict.SUCCEEDED, Closed(3)), (Verdict.FAILED, Open(3, 40.0)), (Verdict.CANCELLED, Open(3, 10.0))],
)
def test_the_probe_decides(verdict, after) -> None:
    assert settled(HalfOpen(2), 2, verdict) == after


@pytest.mark.parametrize("state", [Closed(2), Open(2, 40.0), HalfOpen(2)])
@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_result_of_an_older_generation_is_ignored(state, verdict) -> None:
    assert settled(state, 1, verdict) == state


def test_nothing_ends_under_an_open_state_of_its_own_generation() -> None:
    assert settled(Open(2, 40.0), 2, Verdict.SUCCEEDED) == Open(2, 40.0)


@pytest.mark.parametrize("state", [Closed(1, 2), Open(1, 2.0), HalfOpen(1)])
def test_the_states_are_values(state) -> None:
    assert pickle.loads(pickle.dumps(state)) == state
    assert hash(state) == hash(pickle.loads(pickle.dumps(state)))
    with pytest.raises(FrozenInstanceError):
        state.generation = 5


async def test_after_so_many_failures_the_stage_is_not_called_until_the_time_has_come(clock) -> None:
    answers = Answers(fail("a"), ValueError("b"))
    guarded = stage(name="fetch")(answers).using(breaker(clock))
    for _ in range(2):
        assert isinstance(await guarded.run("x"), Failed)
    refused = await guarded.run("x")
    assert isinstance(refused, Failed)
    assert isinstance(refused.error, CircuitOpenError)
    assert refused.error.retry_after == 30.0
    assert '"fetch" is not called until 30 s from now' in str(refused.error)
    assert answers.calls == 2
    clock.advance(30.0)
    assert isinstance(await guarded.run("x"), Completed)
    assert isinstance(await guarded.run("x"), Completed)
    assert answers.calls == 4


async def test_a_probe_that_fails_opens_it_again(clock) -> None:
    guarded = stage(name="fetch")(Answers(*[fail("a")] * 3)).using(breaker(clock))
    for _ in range(2):
        await guarded.run("x")
    clock.advance(30.0)
    probe, refused = await guarded.run("x"), await guarded.run("x")
    assert probe.error == StageError("a")
    assert isinstance(refused.error, CircuitOpenError)


async def test_while_the_probe_is_under_way_others_are_refused(clock) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    @stage
    async def fetch(inputs: StageInputs[str]):
        if inputs.value == "fail":
            return fail("a")
        entered.set()
        await leave.wait()
        return ok("a")

    guarded = fetch.using(breaker(clock, failures=1))
    await guarded.run("fail")
    clock.advance(30.0)
    async with Runner() as runner:
        probe = runner.start(guarded, "probe")
        await entered.wait()
        refused = await runner.run(guarded, "other")
        leave.set()
        assert isinstance(await probe, Completed)
    assert isinstance(refused, Failed)
    assert "while its probe is under way" in str(refused.error)
    assert refused.error.retry_after == 0.0


async def test_a_cancelled_probe_leaves_the_next_call_to_be_the_probe(clock) -> None:
    entered = asyncio.Event()

    @stage
    async def fetch(inputs: StageInputs[str]):
        if inputs.value == "fail":
            return fail("a")
        if inputs.value == "wait":
            entered.set()
            await asyncio.get_running_loop().create_future()
        return ok("a")

    guarded = fetch.using(breaker(clock, failures=1))
    await guarded.run("fail")
    clock.advance(30.0)
    async with Runner() as runner:
        probe = runner.start(guarded, "wait")
        await entered.wait()
        probe.cancel("enough")
        assert isinstance(await probe, Cancelled)
    assert isinstance(await guarded.run("fine"), Completed)


async def test_a_probe_that_is_given_up_in_any_way_leaves_the_next_call_to_be_the_probe(clock) -> None:
    def unsure(error: StageError) -> bool:
        if str(error) == "odd":
            raise KeyError("no such error")
        return True

    fetch = Answers(fail("a"), fail("odd"), ok("a"))
    call = breaker(clock, failures=1, counts=unsure).wrap(fetch)
    assert await call(StageInputs("opens it")) == fail("a")
    clock.advance(30.0)
    with pytest.raises(KeyError):
        await call(StageInputs("a probe that cannot be judged"))
    clock.advance(30.0)

    async def waits(inputs: StageInputs[str]):
        if inputs.value == "waits":
            await asyncio.get_running_loop().create_future()
        return fail("a") if inputs.value == "opens it" else ok("a")

    assert await call(StageInputs("another probe")) == ok("a")
    other = breaker(clock, failures=1).wrap(waits)
    await other(StageInputs("opens it"))
    clock.advance(30.0)
    abandoned = other(StageInputs("waits"))
    abandoned.send(None)
    abandoned.close()
    assert await other(StageInputs("fine")) == ok("a")


async def test_an_on_change_that_raises_is_logged_and_changes_neither_result_nor_cancellation(clock, caplog) -> None:
    def raises(stage: str, before: object, after: object) -> None:
        raise ValueError("no dashboard")

    entered = asyncio.Event()

    @stage
    async def fetch(inputs: StageInputs[str]):
        if inputs.value == "wait":
            entered.set()
            await asyncio.get_running_loop().create_future()
        return fail("down") if inputs.value == "fail" else ok("a")

    guarded = fetch.using(breaker(clock, failures=1, on_change=raises))
    failed = await guarded.run("fail")
    assert isinstance(failed, Failed)
    assert str(failed.error) == "down"
    clock.advance(30.0)
    waiting = asyncio.create_task(guarded(StageInputs("wait")))
    await entered.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert isinstance(await guarded.run("fine"), Completed)
    assert caplog.text.count("on_change of the breaker of stage") == 5  # open, half-open, open, half-open, closed


async def test_only_what_counts_is_counted(clock) -> None:
    def defects_alone(error: StageError) -> bool:
        return isinstance(error, StageExecutionError)

    answers = Answers(*[fail("a")] * 5)
    guarded = stage(name="fetch")(answers).using(breaker(clock, counts=defects_alone))
    for _ in range(5):
        await guarded.run("x")
    assert answers.calls == 5
    assert counts_always(StageError("a"))


async def test_a_skip_is_a_success(clock) -> None:
    guarded = stage(name="fetch")(Answers(fail("a"), skip("nothing"), fail("a"))).using(breaker(clock))
    outcomes = [type(await guarded.run("x")) for _ in range(4)]
    assert outcomes == [Failed, Skipped, Failed, Completed]


async def test_the_state_belongs_to_the_place_where_it_was_wrapped(clock) -> None:
    once = breaker(clock, failures=1)
    refuse = stage(name="refuse")(Answers(fail("a")))
    one, other = refuse.using(once), lift(len).using(once)
    await one.run("x")
    assert isinstance(await one.run("x"), Failed)
    assert isinstance(await other.run("x"), Completed)


async def test_a_runners_breaker_has_a_state_per_stage(clock) -> None:
    refuse = stage(name="refuse")(Answers(fail("a")))
    async with Runner().using(breaker(clock, failures=1)) as runner:
        await runner.run(refuse, "x")
        refused = await runner.run(refuse, "x")
        assert isinstance(await runner.run(lift(len), "x"), Completed)
    assert isinstance(refused.error, CircuitOpenError)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"failures": 0}, "at least 1 failure"),
        ({"failures": -1}, "at least 1 failure"),
        ({"reset_after": -1.0}, "no negative seconds"),
        ({"reset_after": float("nan")}, "no negative seconds"),
    ],
)
def test_it_needs_a_failure_and_no_negative_time(given, said) -> None:
    with pytest.raises(ValueError, match=said):
        CircuitBreakerInterceptor(**given)


def test_it_is_a_value() -> None:
    made = CircuitBreakerInterceptor(failures=3)
    assert made == CircuitBreakerInterceptor(failures=3)
    assert made != CircuitBreakerInterceptor()
    assert hash(made) == hash(CircuitBreakerInterceptor(failures=3))
    assert pickle.loads(pickle.dumps(made)) == made
    with pytest.raises(FrozenInstanceError):
        made.failures = 4  # type: ignore[misc]
