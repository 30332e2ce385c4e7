"""A worker's thread, here: what it answers, and that it can be interrupted from another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from stageflow import Runner, Stage, StageExecutionError, StageTimeoutError
from stageflow.engines import StageCall, answer, interrupt, worker
from stageflow.engines.answers import Answered, read
from tests.engines.test_sending import Scripted
from tests.engines.worker_stages import (
    CLEANED,
    LEFT,
    add,
    cleans_up_after_computing,
    computes,
    forgotten,
    interrupts_itself,
    leaves_a_task,
    started,
    waits,
)


async def call_of(stage: Stage) -> StageCall:
    """The call that a run makes of a stage."""
    engine = Scripted(losses=1, retryable=False)
    await Runner(engine=engine).run(stage, 1)
    return engine.calls[0]


async def answered(call: StageCall, token: str = "t") -> Answered:
    return read(await asyncio.to_thread(answer, call, token), int)


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    forgotten()
    yield
    forgotten()


async def test_a_plain_function_answers_a_call_in_any_thread() -> None:
    call = await call_of(add)
    for _ in range(3):
        assert (await answered(call)).given().unwrap().data == 2


async def test_a_stage_that_interrupts_itself_is_a_defect_and_no_interrupt_of_the_worker() -> None:
    found = await answered(await call_of(interrupts_itself))
    assert found.escaped == StageExecutionError(
        'Stage "interrupts_itself" raised KeyboardInterrupt', stage="interrupts_itself"
    )


@pytest.mark.parametrize("body", [waits, computes], ids=lambda body: body.name)
async def test_a_body_is_interrupted_from_another_thread(body: Stage) -> None:
    answering = asyncio.create_task(answered(await call_of(body), body.name))
    await asyncio.to_thread(started)
    assert not interrupt("another")
    assert interrupt(body.name)
    found = await answering
    assert isinstance(found.escaped, StageExecutionError)
    assert "CancelledError" in found.escaped.message
    assert (await answered(await call_of(add))).given().unwrap().data == 2, "its thread goes on"


async def test_the_cleanup_of_a_body_that_computed_is_not_interrupted_again() -> None:
    CLEANED.clear()
    answering = asyncio.create_task(answered(await call_of(cleans_up_after_computing), "cleans"))
    await asyncio.to_thread(started)
    for _ in range(3):
        interrupt("cleans")
    await answering
    assert len(CLEANED) == 1


async def test_a_body_that_was_interrupted_before_it_began_does_not_begin() -> None:
    assert not interrupt("early")
    found = await answered(await call_of(waits), "early")
    assert isinstance(found.escaped, StageExecutionError)
    assert "CancelledError" in found.escaped.message


async def test_a_signal_that_interrupts_the_thread_which_is_ending_a_body_does_not_hang() -> None:
    raised: list[bool] = []

    def interrupted_while_it_ends() -> None:
        async def body() -> None:
            worker._RUNNING["ending"] = running = worker._Body()
            try:
                with worker._INTERRUPTING:  # a handler of a signal runs wherever its thread is, here too
                    interrupt("ending")
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                raised.append(True)
            del worker._RUNNING["ending"]
            running.ended()

        asyncio.run(body())

    thread = threading.Thread(target=interrupted_while_it_ends, daemon=True)
    thread.start()
    await asyncio.to_thread(thread.join, 20)
    assert not thread.is_alive()
    assert raised


async def test_a_body_leaves_no_task_behind() -> None:
    assert (await answered(await call_of(leaves_a_task))).given().unwrap().data == 1
    assert LEFT.pop().cancelled()


async def test_a_body_that_outlives_its_run_is_ended_by_the_worker_itself() -> None:
    call = replace(await call_of(waits), timeout=0.05)
    assert (await answered(call)).given().failure() == StageTimeoutError(
        'Stage "waits" outlived its run by more than 0.05 s', seconds=0.05
    )
