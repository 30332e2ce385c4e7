"""Trying a stage again: `RetryInterceptor` and its backoff."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import FrozenInstanceError

import pytest

from stageflow import (
    Cancelled,
    Completed,
    Failed,
    PipelineContext,
    RetryInterceptor,
    Runner,
    StageError,
    StageExecutionError,
    StageInputs,
    StageStatus,
    fail,
    ok,
    skip,
    stage,
)
from stageflow.interceptors.retry import is_retryable, next_delay

AGAIN = StageError("busy", retryable=True)


class Sleeper:
    """Notes how long it was asked to sleep, and does not."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def whole() -> float:
    return 1.0


def always(error: StageError) -> bool:
    return True


def flaky(*answers: object):
    """A stage that gives these, or raises them where they are exceptions."""
    left = iter(answers)

    @stage
    async def answer(inputs: StageInputs[str]):
        given = next(left)
        if isinstance(given, Exception):
            raise given
        return given

    return answer


async def test_a_retryable_failure_is_tried_again_until_it_succeeds() -> None:
    sleeper = Sleeper()
    retry = RetryInterceptor(4, backoff=0.1, draw=whole, sleep=sleeper)
    outcome = await flaky(fail(AGAIN), fail(AGAIN), ok("at last")).using(retry).run("a")
    assert isinstance(outcome, Completed)
    assert outcome.value == "at last"
    assert outcome.report.stages["answer"].attempts == 3
    assert sleeper.slept == [0.1, 0.2]


async def test_after_the_last_attempt_the_failure_stands() -> None:
    retry = RetryInterceptor(2, sleep=Sleeper())
    outcome = await flaky(fail(AGAIN), fail(AGAIN), ok("too late")).using(retry).run("a")
    assert isinstance(outcome, Failed)
    assert outcome.error == AGAIN
    assert outcome.report.stages["answer"].attempts == 2


@pytest.mark.parametrize("answer", [fail("no"), ValueError("bad digit"), ok("a"), skip("nothing new")])
async def test_what_is_not_retryable_is_not_tried_again(answer) -> None:
    sleeper = Sleeper()
    outcome = await flaky(answer, ok("again")).using(RetryInterceptor(sleep=sleeper)).run("a")
    assert outcome.report.stages["answer"].attempts == 1
    assert sleeper.slept == []


async def test_a_defect_may_be_tried_again_where_the_predicate_says_so() -> None:
    retry = RetryInterceptor(2, retry_when=lambda error: isinstance(error, StageExecutionError), sleep=Sleeper())
    outcome = await flaky(ValueError("bad digit"), ok("fine")).using(retry).run("a")
    assert isinstance(outcome, Completed)


async def test_the_last_defect_stays_a_defect_with_its_cause() -> None:
    retry = RetryInterceptor(2, retry_when=always, sleep=Sleeper())
    outcome = await flaky(ValueError("one"), ValueError("two")).using(retry).run("a")
    assert isinstance(outcome, Failed)
    assert str(outcome.error.__cause__) == "two"


async def test_each_further_attempt_is_told_once_and_the_stage_started_once(told) -> None:
    retry = RetryInterceptor(3, sleep=Sleeper())
    await flaky(fail(AGAIN), fail(AGAIN), ok("a")).using(retry).run("a", context=PipelineContext(sink=told))
    assert [type for type in told.types if type.startswith("stage.")] == [
        "stage.answer.started",
        "stage.answer.retrying",
        "stage.answer.retrying",
        "stage.answer.completed",
    ]
    assert told.data("stage.answer.completed")["attempt"] == 3


async def test_it_does_not_sleep_past_the_runs_deadline(clock) -> None:
    sleeper = Sleeper()
    retry = RetryInterceptor(5, backoff=10.0, draw=whole, sleep=sleeper)
    context = PipelineContext(deadline=15.0, timer=clock.timer())
    outcome = await flaky(fail(AGAIN), fail(AGAIN), ok("too late")).using(retry).run("a", context=context)
    assert isinstance(outcome, Failed)
    assert outcome.error == AGAIN
    assert sleeper.slept == [10.0]


async def test_two_retries_multiply_and_the_attempts_are_counted_as_one_row() -> None:
    inner, outer = RetryInterceptor(2, sleep=Sleeper()), RetryInterceptor(2, sleep=Sleeper())
    outcome = await flaky(*[fail(AGAIN)] * 4, ok("never")).using(inner).using(outer).run("a")
    assert isinstance(outcome, Failed)
    assert outcome.report.stages["answer"].attempts == 4


async def test_a_cancellation_while_it_waits_is_not_tried_again() -> None:
    waiting = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waiting.set()
        await asyncio.get_running_loop().create_future()

    async with Runner() as runner:
        handle = runner.start(flaky(fail(AGAIN), ok("never")).using(RetryInterceptor(sleep=sleep)), "a")
        await waiting.wait()
        handle.cancel("enough")
        outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.report.stages["answer"].status is StageStatus.CANCEL


def test_one_attempt_is_the_identity() -> None:
    async def function(inputs: StageInputs[str]):
        return ok(inputs.value)

    assert RetryInterceptor(1).wrap(function) is function


async def test_called_directly_it_tries_again_with_inputs_that_know_their_attempt() -> None:
    seen: list[int] = []

    @stage
    async def count(inputs: StageInputs[str]):
        seen.append(inputs.attempt)
        return fail(AGAIN)

    assert await count.using(RetryInterceptor(3, sleep=Sleeper()))(StageInputs("a")) == fail(AGAIN)
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("attempts", [0, -1])
def test_attempts_are_at_least_one(attempts) -> None:
    with pytest.raises(ValueError, match="needs at least 1 attempt"):
        RetryInterceptor(attempts)


@pytest.mark.parametrize("times", [{"backoff": -0.1}, {"cap": -1.0}, {"backoff": float("nan")}, {"cap": float("nan")}])
def test_times_are_not_negative(times) -> None:
    with pytest.raises(ValueError, match="needs no negative seconds"):
        RetryInterceptor(**times)


def test_the_delay_doubles_is_drawn_and_has_a_cap() -> None:
    assert [next_delay(attempt, backoff=1.0, cap=5.0, draw=1.0) for attempt in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 5.0]
    assert next_delay(3, backoff=1.0, cap=5.0, draw=0.5) == 2.0
    assert next_delay(3, backoff=1.0, cap=5.0, draw=0.0) == 0.0


def test_the_delay_of_a_very_late_attempt_is_the_cap_and_no_overflow() -> None:
    assert next_delay(1_000_000, backoff=1.0, cap=5.0, draw=1.0) == 5.0


def test_what_is_retryable_says_so_of_itself() -> None:
    assert is_retryable(AGAIN)
    assert not is_retryable(StageError("no"))


def test_it_is_a_value() -> None:
    retry = RetryInterceptor(3, 0.5, retry_when=always, draw=whole)
    assert retry == RetryInterceptor(3, 0.5, retry_when=always, draw=whole)
    assert retry != RetryInterceptor()
    assert hash(RetryInterceptor()) == hash(RetryInterceptor())
    assert pickle.loads(pickle.dumps(retry)) == retry
    with pytest.raises(FrozenInstanceError):
        retry.attempts = 4  # type: ignore[misc]


def test_with_its_defaults_it_comes_back_equal_from_a_pickle() -> None:
    assert pickle.loads(pickle.dumps(RetryInterceptor())) == RetryInterceptor()


async def test_the_report_has_a_record_of_every_attempt_that_was_tried_again(clock) -> None:
    errors = [StageError(f"busy {number}", retryable=True) for number in (1, 2)]
    left = [*map(fail, errors), ok("a")]

    @stage
    async def takes_a_second(inputs: StageInputs[str]):
        clock.advance(1.0)
        return left.pop(0)

    async def sleep(seconds: float) -> None:
        clock.advance(10.0)

    retry = RetryInterceptor(3, sleep=sleep)
    outcome = await takes_a_second.using(retry).run("a", context=PipelineContext(timer=clock.timer()))
    record = outcome.report.stages["takes_a_second"]
    assert (record.status, record.attempts, record.duration_ms) == (StageStatus.OK, 3, 23_000.0)
    assert [(one.name, one.status, one.attempts, one.error) for one in record.tries] == [
        ("takes_a_second", StageStatus.RETRY, 1, errors[0]),
        ("takes_a_second", StageStatus.RETRY, 2, errors[1]),
    ]
    assert [one.duration_ms for one in record.tries] == [1000.0, 1000.0]  # without the waits between them
    assert [one.started_at.second for one in record.tries] == [0, 11]
    assert pickle.loads(pickle.dumps(record)) == record


async def test_the_record_of_a_defect_that_is_tried_again_has_its_cause() -> None:
    retry = RetryInterceptor(2, retry_when=always, sleep=Sleeper())
    outcome = await flaky(ValueError("bad digit"), ok("fine")).using(retry).run("a")
    (one,) = outcome.report.stages["answer"].tries
    assert isinstance(one.error, StageExecutionError)
    assert isinstance(one.error.__cause__, ValueError)


async def test_there_is_no_record_of_a_try_where_nothing_was_tried_again() -> None:
    outcome = await flaky(ok("a")).using(RetryInterceptor(5)).run("a")
    assert outcome.report.stages["answer"].tries == ()


async def test_two_retries_around_one_another_have_their_tries_in_one_row() -> None:
    retry = RetryInterceptor(2, sleep=Sleeper())
    outcome = await flaky(*[fail(AGAIN)] * 4).using(retry).using(retry).run("a")
    record = outcome.report.stages["answer"]
    assert (record.status, record.attempts) == (StageStatus.FAIL, 4)
    assert [one.attempts for one in record.tries] == [1, 2, 3]


async def test_what_stands_inside_of_a_pipeline_that_is_tried_again_is_tried_again_too(told) -> None:
    @stage
    async def first(inputs: StageInputs[str]):
        return ok(inputs.value)

    inner = (first.named("inmost") | flaky(fail(AGAIN), fail(AGAIN), ok("a"))).named("inner").optional()
    pipeline = (first | inner).named("outer").using(RetryInterceptor(3, sleep=Sleeper()))
    outcome = await pipeline.run("a", context=PipelineContext(sink=told))
    assert isinstance(outcome, Completed)
    records = outcome.report.stages
    assert {name: record.attempts for name, record in records.items()} == {
        "outer.first": 3,
        "outer.inner.inmost": 3,
        "outer.inner.answer": 3,
    }
    assert all([one.attempts for one in record.tries] == [1, 2] for record in records.values())
    assert [one.error for one in records["outer.inner.answer"].tries] == [AGAIN, AGAIN]
    assert [one.error for one in records["outer.inner.inmost"].tries] == [None, None]
    for name in records:
        assert told.types.count(f"stage.{name}.started") == 1
        assert told.types.count(f"stage.{name}.retrying") == 2


async def test_a_stage_that_the_last_attempt_did_not_come_to_keeps_its_tries() -> None:
    @stage
    async def second(inputs: StageInputs[str]):
        return fail(AGAIN)

    pipeline = (flaky(ok("a"), fail("for good")) | second).named("both").using(RetryInterceptor(2, sleep=Sleeper()))
    outcome = await pipeline.run("a")
    record = outcome.report.stages["both.second"]
    assert (record.status, record.attempts, record.started_at) == (StageStatus.CANCEL, 1, None)
    assert [one.error for one in record.tries] == [AGAIN]
