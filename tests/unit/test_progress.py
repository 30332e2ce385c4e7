"""Progress: what a sink shows of runs while they last, by a clock that the test moves."""

from __future__ import annotations

import asyncio
import io

import pytest
from returns.result import Failure, Result, Success

from stageflow import (
    Completed,
    Failed,
    FanOutEventSink,
    RetryInterceptor,
    Runner,
    Skipped,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    lift,
    ok,
    skip,
    stage,
)
from stageflow.testing import RecordingEventSink, check_sink
from stageflow.views.progress import ProgressSink
from stageflow.views.progress.board import Board
from stageflow.views.progress.picture import duration
from tests.conftest import Clock

LATE = 1000.0  # seconds after which a run is shown: longer than any test, so that only `look` draws


class SoldOutError(StageError): ...


class Screen:
    """A sink that draws into a text, and what it has drawn; nothing is drawn but when the test looks."""

    def __init__(self, clock: Clock, *, live: bool = False) -> None:
        self.text = io.StringIO()
        self.clock = clock
        self.sink = ProgressSink(self.text, live=live, delay=LATE, interval=LATE, clock=clock)

    def look(self) -> str:
        """What is drawn after a while."""
        before = len(self.text.getvalue())
        self.clock.advance(LATE + 1)
        self.sink.look()
        return self.text.getvalue()[before:]


@pytest.fixture
def screen(clock: Clock) -> Screen:
    return Screen(clock)


def looking(screen: Screen, seen: list[str]) -> Stage[int, int, StageError]:
    """A stage that looks at the screen while it runs."""

    @stage
    async def look(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        seen.append(screen.look())
        return ok(inputs.value)

    return look


async def test_stages_are_counted_by_how_they_are(screen: Screen) -> None:
    seen: list[str] = []

    @stage
    async def nothing(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        return skip("nothing to do")

    async with Runner(sink=screen.sink) as runner:
        outcome = await runner.run(lift(abs).named("before") | looking(screen, seen) | nothing, 3)
    assert isinstance(outcome, Skipped)
    assert "1 running, 1 ok" in seen[0]
    assert "skipped 16:41: 2 ok, 1 skipped" in screen.text.getvalue()


async def test_an_each_has_its_items_and_what_is_left_of_it(screen: Screen) -> None:
    seen: list[str] = []
    gate = asyncio.Event()

    @lift
    async def item(number: int) -> int:
        if number == 3:
            seen.append(screen.look())
            gate.set()
        elif number > 3:
            await gate.wait()
        return number

    async with Runner(sink=screen.sink) as runner:
        await runner.run(item.each(limit=1), list(range(10)))
    assert "item 3/10" in seen[0]
    assert "left" in seen[0]
    assert "item 10/10" in screen.text.getvalue()


async def test_items_that_were_stopped_are_not_done(screen: Screen) -> None:
    seen: list[str] = []

    @stage
    async def item(inputs: StageInputs[int]) -> Result[StageOutput[int], SoldOutError]:
        if inputs.value == 3:
            seen.append(screen.look())
            return Failure(SoldOutError("no more"))
        return ok(inputs.value)

    async with Runner(sink=screen.sink) as runner:
        assert isinstance(await runner.run(item.each(limit=1), list(range(10))), Failed)
    assert "item 3/10" in seen[0]
    assert "item 4/10" in screen.text.getvalue()


async def test_the_items_of_nested_eaches_are_added_up(screen: Screen) -> None:
    seen: list[str] = []

    @lift
    async def item(number: int) -> int:
        if number == 5:
            seen.append(screen.look())
        return number

    async with Runner(sink=screen.sink) as runner:
        await runner.run(item.each(limit=1).each(limit=1), [[1, 2, 3], [4, 5, 6]])
    assert "item 1/2" in seen[0]
    assert "item[] 4/6" in seen[0]


async def test_errors_are_shown_as_they_come(screen: Screen) -> None:
    seen: list[str] = []

    @lift
    def item(number: int) -> Result[int, SoldOutError]:
        if number == 2:
            seen.append(screen.look())
        return Failure(SoldOutError("there is\nnone")) if number == 1 else Success(number)

    async with Runner(sink=screen.sink, on_failure="finish") as runner:
        await runner.run(item.each(limit=1), [1, 2, 3])
    assert "failed: item[0]: SoldOutError: there is\\nnone\n" in seen[0]
    assert screen.text.getvalue().count("SoldOutError") == 1


async def test_only_so_many_errors_of_a_run_are_shown(screen: Screen) -> None:
    @lift
    def item(number: int) -> Result[int, SoldOutError]:
        if number == 99:
            screen.look()
        return Failure(SoldOutError("none"))

    async with Runner(sink=screen.sink, on_failure="finish") as runner:
        await runner.run(item.each(limit=1), list(range(100)))
    assert screen.text.getvalue().count("SoldOutError") == 20
    assert screen.text.getvalue().count("more errors") == 1


async def test_attempts_are_counted(clock: Clock) -> None:
    screen, tries, seen = Screen(clock, live=True), [1, 2], list[str]()

    @lift
    def flaky(number: int) -> Result[int, SoldOutError]:
        if tries.pop() > 1:
            return Failure(SoldOutError("once more", retryable=True))
        seen.append(screen.look())
        return Success(number)

    async with Runner(sink=screen.sink) as runner:
        outcome = await runner.run(flaky.using(RetryInterceptor(attempts=3, backoff=0)), 1)
    assert isinstance(outcome, Completed)
    assert "attempt 2" in seen[0]
    assert "1 retries" in seen[0]


async def test_a_live_view_draws_a_bar_and_gives_the_cursor_back(clock: Clock) -> None:
    screen, seen = Screen(clock, live=True), list[str]()
    async with Runner(sink=screen.sink) as runner:
        await runner.run(looking(screen, seen).each(limit=1), [1, 2])
        text = screen.text.getvalue()
        assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "already when the run has ended"
    assert "━" in seen[1]
    assert "1/2" in seen[1]
    assert "look[1]" in seen[1]


async def test_a_run_that_is_over_soon_is_not_shown(screen: Screen) -> None:
    async with Runner(sink=screen.sink) as runner:
        await runner.run(lift(abs), 1)
    assert screen.text.getvalue() == ""


async def test_runs_at_once_are_each_shown_and_the_screen_is_left_with_the_last(screen: Screen) -> None:
    seen: list[str] = []
    gate = asyncio.Event()

    @lift
    async def waiting(number: int) -> int:
        await gate.wait()
        return number

    async with Runner(sink=screen.sink) as runner:
        runs = [asyncio.create_task(runner.run(waiting.named(f"run{at}"), at)) for at in range(12)]
        await asyncio.sleep(0)  # they have begun
        await runner.run(looking(screen, seen), 1)
        gate.set()
        await asyncio.gather(*runs)
    assert "run0" in seen[0]
    assert "and 5 runs more" in seen[0]
    assert "completed" in screen.text.getvalue()


async def test_a_run_that_goes_on_is_shown_too(screen: Screen) -> None:
    about = {"run_id": "1", "pipeline": "orders"}
    screen.sink.try_emit(type="pipeline.resumed", data=about)
    assert "orders running" in screen.look()
    await screen.sink.emit(type="pipeline.completed", data={**about, "status": "ok"})
    await screen.sink.aclose()
    assert "orders completed" in screen.text.getvalue()


async def test_a_failed_run_says_so(screen: Screen) -> None:
    @lift
    def broken(number: int) -> Result[int, SoldOutError]:
        screen.look()
        return Failure(SoldOutError("none"))

    async with Runner(sink=screen.sink) as runner:
        assert isinstance(await runner.run(broken, 1), Failed)
    assert "broken failed" in screen.text.getvalue()


async def test_a_name_that_would_act_on_the_terminal_is_only_shown(clock: Clock) -> None:
    screen, seen = Screen(clock, live=True), list[str]()
    async with Runner(sink=screen.sink) as runner:
        await runner.run(looking(screen, seen).named("\x1b[2J[red]x"), 1)
    assert "\x1b[2J" not in seen[0]
    assert "\\x1b[2J[red]x" in seen[0]


async def test_it_hears_of_items_through_a_fan_out_too(screen: Screen) -> None:
    seen: list[str] = []
    async with Runner(sink=FanOutEventSink(RecordingEventSink(), screen.sink)) as runner:
        await runner.run(looking(screen, seen).each(limit=1), [1, 2])
    assert "1/2" in seen[1]


async def test_a_stages_own_events_are_not_counted(screen: Screen) -> None:
    seen: list[str] = []

    @stage
    async def loud(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        inputs.context.emit("stage.loud.noted", {"what": "a step"})
        inputs.context.emit("cache.hit", {"key": "completed"})
        inputs.context.emit("of.none", None)
        return ok(inputs.value)

    async with Runner(sink=screen.sink) as runner:
        await runner.run(loud | looking(screen, seen), 1)
    assert "1 running, 1 ok" in seen[0]


async def test_the_thread_of_the_display_draws_without_being_asked(clock: Clock) -> None:
    drawn = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Text(io.StringIO):
        def flush(self) -> None:
            loop.call_soon_threadsafe(drawn.set)

    @lift
    async def waiting(number: int) -> int:
        await drawn.wait()
        return number

    text = Text()
    async with Runner(sink=ProgressSink(text, delay=0.0, interval=0.01)) as runner:
        assert isinstance(await runner.run(waiting, 1), Completed)
    assert "1 running" in text.getvalue()


async def test_it_is_a_sink_as_the_library_expects_one() -> None:
    await check_sink(lambda: ProgressSink(io.StringIO()))


@pytest.mark.parametrize(("seconds", "shown"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1:01"), (3600, "1:00:00")])
def test_durations_are_shown_as_people_read_them(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_items_that_are_done_are_not_asked_for_again() -> None:
    board, asked = Board("p", 0.0), list[int]()

    def done() -> int:
        asked.append(1)
        return 3

    board.expect("item", 3, done, 0.0)
    assert board.items["item"].count() == (3, 3)
    assert board.items["item"].count() == (3, 3)
    assert len(asked) == 1
