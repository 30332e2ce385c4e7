"""A time limit on a stage: `TimeoutInterceptor`."""

from __future__ import annotations

import asyncio
import math
import pickle
from dataclasses import FrozenInstanceError

import pytest

from stageflow import (
    Completed,
    Failed,
    StageExecutionError,
    StageInputs,
    StageTimeoutError,
    TimeoutInterceptor,
    fail,
    ok,
    stage,
)

SOON = TimeoutInterceptor(0.001)


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


@stage
async def wait(inputs: StageInputs[str]):
    await for_ever()


@stage
async def echo(inputs: StageInputs[str]):
    return ok(inputs.value)


async def test_a_stage_that_takes_longer_fails_with_the_limit_in_its_error() -> None:
    outcome = await wait.using(SOON).run("a")
    assert isinstance(outcome, Failed)
    assert outcome.error == StageTimeoutError('Stage "wait" took longer than 0.001 s', seconds=0.001)
    assert outcome.error.__cause__ is None


async def test_a_stage_in_time_gives_its_output() -> None:
    outcome = await echo.using(TimeoutInterceptor(60)).run("a")
    assert isinstance(outcome, Completed)
    assert outcome.value == "a"


async def test_a_timed_out_stage_is_cancelled_and_awaited() -> None:
    steps: list[str] = []

    @stage
    async def clean(inputs: StageInputs[str]):
        try:
            await for_ever()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    assert isinstance(await clean.using(SOON).run("a"), Failed)
    assert steps == ["cleaned up"]


async def test_a_stage_that_swallows_its_cancellation_and_succeeds_has_timed_out_all_the_same() -> None:
    @stage
    async def stubborn(inputs: StageInputs[str]):
        try:
            await for_ever()
        except asyncio.CancelledError:
            return ok("done anyway")

    outcome = await stubborn.using(SOON).run("a")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, StageTimeoutError)


async def test_what_a_timed_out_stage_raises_while_it_cleans_up_is_the_cause() -> None:
    @stage
    async def messy(inputs: StageInputs[str]):
        try:
            await for_ever()
        finally:
            raise ValueError("cleanup broke")

    outcome = await messy.using(SOON).run("a")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, StageTimeoutError)
    assert isinstance(outcome.error.__cause__, ValueError)


async def test_a_timeout_error_of_the_stages_own_is_a_defect_and_no_timeout() -> None:
    @stage
    async def own(inputs: StageInputs[str]):
        raise TimeoutError("of the database")

    outcome = await own.using(TimeoutInterceptor(60)).run("a")
    assert isinstance(outcome, Failed)
    assert type(outcome.error) is StageExecutionError
    assert "of the database" in str(outcome.error)


async def test_a_failure_in_time_stays_what_it_is() -> None:
    @stage
    async def refuse(inputs: StageInputs[str]):
        return fail("no")

    outcome = await refuse.using(TimeoutInterceptor(60)).run("a")
    assert isinstance(outcome, Failed)
    assert outcome.error.message == "no"


def test_an_infinite_limit_is_the_identity() -> None:
    async def function(inputs: StageInputs[str]):
        return ok(inputs.value)

    assert TimeoutInterceptor(math.inf).wrap(function) is function


@pytest.mark.parametrize("seconds", [0, -1.0, math.nan])
def test_a_limit_is_more_than_nothing(seconds) -> None:
    with pytest.raises(ValueError, match=r"needs more than 0 seconds; math\.inf is no limit"):
        TimeoutInterceptor(seconds)


def test_it_is_a_value() -> None:
    assert TimeoutInterceptor(5.0) == TimeoutInterceptor(5.0)
    assert TimeoutInterceptor(5.0) != SOON
    assert hash(TimeoutInterceptor(5.0)) == hash(TimeoutInterceptor(5.0))
    assert pickle.loads(pickle.dumps(SOON)) == SOON
    with pytest.raises(FrozenInstanceError):
        SOON.seconds = 1.0  # type: ignore[misc]
