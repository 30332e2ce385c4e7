"""The clocks that tests control: one moved by hand, and a loop in which waiting takes no time."""

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from returns.result import Result

from stageflow import (
    Cancelled,
    CircuitBreakerInterceptor,
    CircuitOpenError,
    Completed,
    Failed,
    PipelineContext,
    PipelineTimer,
    RetryInterceptor,
    Runner,
    StageError,
    StageInputs,
    StageOutput,
    StageTimeoutError,
    TimeoutInterceptor,
    fail,
    lift,
    ok,
    stage,
)
from stageflow.testing import DeadlockError, ManualClock, VirtualEventLoop, loop_time, run_virtually

HOUR = 3600.0


@stage
async def takes_an_hour(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
    await asyncio.sleep(HOUR)
    return ok(inputs.value)


@stage
async def always_fails(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
    return fail(StageError("no", retryable=True))


# --- the clock moved by hand


def test_a_manual_clock_moves_when_told_and_not_before() -> None:
    clock = ManualClock(5.0)
    assert (clock(), clock()) == (5.0, 5.0)
    clock.advance(2.5)
    assert clock() == 7.5
    assert repr(clock) == "<ManualClock at 7.5 s>"


def test_a_manual_clock_does_not_go_back() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(float("nan"))
    assert clock() == 0


def test_a_manual_clock_drives_a_timer_and_its_time_of_day() -> None:
    start = datetime(2026, 5, 1, tzinfo=UTC)
    clock = ManualClock(start=start)
    timer = PipelineTimer(clock=clock, wall=clock.wall)
    clock.advance(1.25)
    assert timer.elapsed_ms() == 1250
    assert timer.started_at == start
    assert clock.wall() == start + timedelta(seconds=1.25)


async def test_a_manual_clock_drives_a_breaker() -> None:
    clock = ManualClock()
    guarded = always_fails.using(CircuitBreakerInterceptor(failures=1, reset_after=30.0, clock=clock))
    assert not isinstance((await guarded.run(1)).error, CircuitOpenError)
    clock.advance(29.9)
    assert isinstance((await guarded.run(1)).error, CircuitOpenError)
    clock.advance(0.2)
    assert not isinstance((await guarded.run(1)).error, CircuitOpenError)


# --- the loop without waiting


def test_sleeping_for_a_year_takes_no_time() -> None:
    began = time.perf_counter()

    async def sleep() -> float:
        await asyncio.sleep(365 * 24 * HOUR)
        return loop_time()

    assert run_virtually(sleep()) == 365 * 24 * HOUR
    assert time.perf_counter() - began < 5


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def order() -> list[tuple[str, float]]:
        fired: list[tuple[str, float]] = []
        loop = asyncio.get_running_loop()
        for name, seconds in (("late", 3.0), ("early", 1.0), ("middle", 2.0)):
            loop.call_later(seconds, lambda name=name: fired.append((name, loop.time())))
        await asyncio.sleep(10)
        return fired

    assert run_virtually(order()) == [("early", 1.0), ("middle", 2.0), ("late", 3.0)]


def test_a_wait_too_short_for_a_float_ends_too_after_years() -> None:
    async def far_out() -> float:
        await asyncio.sleep(1e9)
        before = loop_time()
        for seconds in (1e-9, 1e-7, 2e-7, 1e-6):
            await asyncio.sleep(seconds)
        return loop_time() - before

    assert run_virtually(far_out()) == pytest.approx(1.3e-6, abs=1e-6)


def test_a_timeout_and_a_deadline_come_when_they_should() -> None:
    async def both() -> tuple[object, float, object, float]:
        timed = await takes_an_hour.using(TimeoutInterceptor(60.0)).run(1)
        after_timeout = loop_time()
        ended = await Runner(deadline=10.0).run(takes_an_hour, 1)
        return timed, after_timeout, ended, loop_time()

    timed, after_timeout, ended, after_deadline = run_virtually(both())
    assert isinstance(timed, Failed)
    assert isinstance(timed.error, StageTimeoutError)
    assert after_timeout == pytest.approx(60)
    assert isinstance(ended, Cancelled)
    assert after_deadline == pytest.approx(70)


def test_a_run_inside_takes_its_durations_from_the_loop() -> None:
    outcome = run_virtually(takes_an_hour.run(1))
    assert isinstance(outcome, Completed)
    assert outcome.report.duration_ms == pytest.approx(HOUR * 1000)
    assert outcome.report.stages["takes_an_hour"].duration_ms == pytest.approx(HOUR * 1000)


def test_a_timer_of_the_run_s_own_is_left_as_it_is() -> None:
    clock = ManualClock()
    outcome = run_virtually(takes_an_hour.run(1, context=PipelineContext(timer=PipelineTimer(clock=clock))))
    assert isinstance(outcome, Completed)
    assert outcome.report.duration_ms == 0


def test_a_timer_that_is_made_by_hand_goes_by_the_usual_clock_in_a_virtual_loop_too() -> None:
    async def made() -> PipelineTimer:
        return PipelineTimer()

    assert run_virtually(made()).clock is time.perf_counter


def test_a_retry_does_not_sleep_past_the_deadline_in_virtual_time() -> None:
    async def retried() -> tuple[object, float]:
        patient = always_fails.using(RetryInterceptor(attempts=100, backoff=8.0, cap=8.0, draw=lambda: 1.0))
        return await Runner(deadline=20.0).run(patient, 1), loop_time()

    outcome, seconds = run_virtually(retried())
    assert isinstance(outcome, Failed)
    assert seconds == pytest.approx(16)


def test_time_stands_still_while_a_thread_works() -> None:
    release = threading.Event()

    def blocks(value: int) -> int:
        assert release.wait(10)
        return value

    async def beside_a_thread() -> tuple[object, float]:
        asyncio.get_running_loop().call_soon(release.set)
        outcome = await lift(thread=True)(blocks).using(TimeoutInterceptor(0.001)).run(1)
        return outcome, loop_time()

    outcome, seconds = run_virtually(beside_a_thread())
    assert isinstance(outcome, Completed)
    assert seconds == 0


def test_waiting_for_what_never_happens_is_an_error_that_says_who_waits_where() -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.create_task(stuck(), name="the stuck one")

    with pytest.raises(DeadlockError, match=r"the stuck one in .*stuck .*test_testing_clock"):
        run_virtually(main())


def test_another_thread_may_wake_a_loop_that_has_nothing_to_do() -> None:
    async def woken() -> str:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(future.set_result, "woken"))
        loop.call_soon(thread.start)
        try:
            return await future
        finally:
            thread.join()

    assert run_virtually(woken()) == "woken"


def test_what_the_coroutine_raises_comes_out() -> None:
    async def raises() -> None:
        await asyncio.sleep(1)
        raise LookupError("it")

    with pytest.raises(LookupError, match="it"):
        run_virtually(raises())


async def test_a_virtual_run_inside_a_running_loop_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="plain `def` test"):
        run_virtually(takes_an_hour.run(1))


def test_two_virtual_runs_both_start_at_zero() -> None:
    async def start() -> float:
        before = loop_time()
        await asyncio.sleep(1)
        return before

    assert [run_virtually(start()) for _ in range(2)] == [0.0, 0.0]


def test_the_loop_may_be_given_to_other_runners() -> None:
    async def sleep() -> float:
        await asyncio.sleep(HOUR)
        return loop_time()

    with asyncio.Runner(loop_factory=VirtualEventLoop) as runner:
        assert runner.run(sleep()) == HOUR
