"""A log line for each stage, and the interceptors to start from."""

from __future__ import annotations

import asyncio
import logging
import pickle
from dataclasses import FrozenInstanceError
from uuid import UUID

import pytest

from stageflow import (
    BaseInterceptor,
    CircuitBreakerInterceptor,
    Completed,
    LoggingInterceptor,
    PipelineContext,
    PipelineTimer,
    RetryInterceptor,
    Runner,
    StageError,
    StageInputs,
    TimeoutInterceptor,
    fail,
    get_default_interceptors,
    lift,
    ok,
    skip,
    stage,
)

MODULE = "stageflow.interceptors.logging"
RUN = PipelineContext(UUID(int=1))


@stage
async def refuse(inputs: StageInputs[str]):
    return fail("no")


@stage
async def nothing(inputs: StageInputs[str]):
    return skip("nothing new")


async def test_a_stage_has_a_line_when_it_starts_and_one_when_it_ends(caplog) -> None:
    caplog.set_level(logging.DEBUG, MODULE)
    await lift(len).using(LoggingInterceptor()).run("abc", context=RUN)
    start, end = caplog.records
    assert (start.levelname, start.getMessage()) == ("DEBUG", "stage len started")
    assert end.levelname == "INFO"
    assert end.getMessage().startswith("stage len ok in ")
    assert (end.stage, end.run_id, end.attempt, end.status) == ("len", str(UUID(int=1)), 1, "ok")
    assert end.duration_ms >= 0
    assert (start.stage, start.run_id, start.attempt) == ("len", str(UUID(int=1)), 1)


async def test_a_line_says_how_long_the_stage_took_on_the_clock_of_the_run(caplog) -> None:
    caplog.set_level(logging.INFO, MODULE)
    seconds = [10.0]

    def slow(value: str) -> str:
        seconds[0] += 0.25
        return value

    timer = PipelineTimer(clock=lambda: seconds[0])
    await lift(slow).using(LoggingInterceptor()).run("a", context=PipelineContext(timer=timer))
    (end,) = caplog.records
    assert (end.duration_ms, end.getMessage()) == (250.0, "stage slow ok in 250.000 ms")


async def test_a_failure_is_a_warning_with_its_error_and_a_skip_has_its_reason(caplog) -> None:
    caplog.set_level(logging.INFO, MODULE)
    await refuse.using(LoggingInterceptor()).run("a")
    await nothing.using(LoggingInterceptor()).run("a")
    failed, skipped = caplog.records
    assert failed.levelname == "WARNING"
    assert failed.getMessage().endswith("ms: no")
    assert skipped.levelname == "INFO"
    assert skipped.getMessage().endswith("ms: nothing new")


async def test_what_escapes_a_stage_is_named_with_its_type_and_a_cancellation_is_no_failure(caplog) -> None:
    @stage
    async def hangs(inputs: StageInputs[str]):
        await asyncio.Event().wait()

    caplog.set_level(logging.INFO, MODULE)
    await lift(int).using(LoggingInterceptor()).run("a")
    handle = Runner().using(LoggingInterceptor()).start(hangs, "a")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    handle.cancel("enough")
    await handle
    raised, cancelled = caplog.records
    assert (raised.levelname, raised.status) == ("WARNING", "fail")
    assert raised.getMessage().endswith("ms: ValueError: invalid literal for int() with base 10: 'a'")
    assert (cancelled.levelname, cancelled.status) == ("INFO", "cancel")


async def test_the_level_is_that_of_the_end_and_failures_are_no_lower(caplog) -> None:
    logger = logging.getLogger("tests.logging")
    caplog.set_level(logging.DEBUG, "tests.logging")
    await lift(len).using(LoggingInterceptor(logging.DEBUG, logger)).run("a")
    await refuse.using(LoggingInterceptor(logging.ERROR, logger)).run("a")
    assert [record.levelname for record in caplog.records] == ["DEBUG", "DEBUG", "DEBUG", "ERROR"]


async def test_a_stage_that_was_tried_again_has_one_line_at_its_end_that_says_how_often(caplog) -> None:
    left = [fail(StageError("busy", retryable=True)), ok("a")]

    @stage
    async def flaky(inputs: StageInputs[str]):
        return left.pop(0)

    caplog.set_level(logging.INFO, MODULE)
    await flaky.using(RetryInterceptor(2, backoff=0.0)).using(LoggingInterceptor()).run("a", context=RUN)
    (line,) = caplog.records
    assert line.getMessage().endswith("ms after 2 attempts")
    assert (line.stage, line.run_id, line.attempt, line.status) == ("flaky", str(UUID(int=1)), 2, "ok")


async def test_below_the_loggers_level_there_is_no_line(caplog) -> None:
    caplog.set_level(logging.ERROR, MODULE)
    await refuse.using(LoggingInterceptor()).run("a")
    assert caplog.records == []


def test_it_is_a_value() -> None:
    made = LoggingInterceptor(logging.DEBUG, logging.getLogger("tests.logging"))
    assert made == LoggingInterceptor(logging.DEBUG, logging.getLogger("tests.logging"))
    assert made != LoggingInterceptor()
    assert hash(LoggingInterceptor()) == hash(LoggingInterceptor())
    assert pickle.loads(pickle.dumps(made)) == made
    with pytest.raises(FrozenInstanceError):
        made.level = 3  # type: ignore[misc]


def test_the_defaults_come_outermost_first() -> None:
    kinds = (LoggingInterceptor, RetryInterceptor, CircuitBreakerInterceptor, TimeoutInterceptor)
    defaults = get_default_interceptors()
    assert tuple(type(one) for one in defaults) == kinds
    assert all(isinstance(one, BaseInterceptor) for one in defaults)
    assert defaults == get_default_interceptors()


async def test_the_defaults_apply_to_nothing_unless_they_are_asked_for(caplog) -> None:
    caplog.set_level(logging.DEBUG, MODULE)
    await lift(len).run("abc")
    assert caplog.records == []
    runner = Runner()
    for interceptor in reversed(get_default_interceptors()):
        runner = runner.using(interceptor)
    async with runner:
        assert isinstance(await runner.run(lift(len), "abc"), Completed)
    assert [record.levelname for record in caplog.records] == ["DEBUG", "INFO"]


@pytest.mark.parametrize("made", get_default_interceptors(), ids=lambda made: type(made).__name__)
def test_every_default_crosses_a_pickle(made) -> None:
    other = pickle.loads(pickle.dumps(made))
    assert type(other) is type(made)
