"""Event sinks: what they keep, in which order, what they drop, and that no run is the worse for them."""

import asyncio
import json
import logging
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from returns.result import Result

from stageflow import (
    Completed,
    EventSink,
    Failed,
    LoggingEventSink,
    NoOpEventSink,
    Runner,
    StageError,
    StageEvent,
    StageInputs,
    StageOutput,
    fail,
    lift,
    ok,
    stage,
)
from stageflow.graph.execution.telling import LAST_EVENT_SECONDS
from stageflow.sinks.fan_out import FanOutEventSink
from stageflow.sinks.json_lines import JsonLinesEventSink
from stageflow.sinks.queue import Overflow, QueueEventSink
from stageflow.sinks.recording import RecordingEventSink
from stageflow.testing import SinkBrokenError, check_sink, loop_time, run_virtually

BURST = 100_000


class Raising:
    """Raises on every event."""

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        raise OSError("no route")

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        raise OSError("no route")


class Slow:
    """Has an event only after its `emit` has suspended, as a network sink; its `try_emit` has it at once."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.got: list[str] = []
        self.reports: list[Mapping[str, object]] = []
        self.closed = 0

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        await asyncio.sleep(self.seconds)
        self.try_emit(type=type, data=data)

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        if type == "events.dropped":
            self.reports.append(data or {})
        self.got.append(type)

    async def aclose(self) -> None:
        self.closed += 1


class Stuck(Slow):
    """Never ends its `emit`, until it is cancelled."""

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        await asyncio.Event().wait()


def told(sink: QueueEventSink) -> int:
    return sink.delivered + sink.failed + sink.dropped + sink.pending


def numbers(types: list[str]) -> list[int]:
    return [int(type) for type in types if type != "events.dropped"]


async def run_of(sink: EventSink, *, stages: int = 3, failing: bool = False) -> list[object]:
    """The outcomes of some concurrent runs that tell the sink."""

    @stage
    async def last(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        return fail("as it should") if failing else ok(inputs.value)

    async def step(value: int) -> int:
        await asyncio.sleep(0)
        return value + 1

    pipeline = lift(step)
    for number in range(stages - 1):
        pipeline = pipeline | lift(name=f"step{number}")(step)
    runner = Runner(sink=sink)
    return list(await asyncio.gather(*(runner.run(pipeline | last, 0) for _ in range(5))))


# --- recording


def test_a_recorder_keeps_events_in_order_and_gives_a_tuple_that_stays_as_it_is() -> None:
    sink = RecordingEventSink()
    sink.try_emit(type="a", data={"n": 1})
    before = sink.events
    sink.try_emit(type="b", data=None)
    assert [(event.type, dict(event.data)) for event in sink.events] == [("a", {"n": 1}), ("b", {})]
    assert len(before) == 1
    assert all(isinstance(event, StageEvent) for event in before)
    sink.clear()
    assert sink.events == ()


def test_a_recorder_keeps_what_it_was_told_and_not_what_became_of_it() -> None:
    sink, data = RecordingEventSink(), {"n": 1}
    sink.try_emit(type="a", data=data)
    data["n"] = 2
    assert sink.events[0].data["n"] == 1


async def test_a_recorder_has_the_whole_run_when_the_run_returns() -> None:
    sink = RecordingEventSink()
    await Runner(sink=sink).run(lift(name="one")(lambda value: value), 1)
    assert sink.types == (
        "pipeline.created",
        "pipeline.started",
        "stage.one.started",
        "stage.one.completed",
        "pipeline.completed",
    )


# --- fan-out


async def test_a_sink_that_raises_keeps_no_other_from_its_events_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, last = RecordingEventSink(), RecordingEventSink()
    sink = FanOutEventSink(first, Raising(), last)
    sink.try_emit(type="a", data=None)
    await sink.emit(type="b", data=None)
    assert first.types == last.types == ("a", "b")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert all("Raising" in line and "did not take" in line for line in lines)
    assert all(record.exc_info and isinstance(record.exc_info[1], OSError) for record in caplog.records)


def test_a_sink_that_waits_keeps_no_other_from_the_last_event() -> None:
    async def last_event() -> tuple[str, ...]:
        quick = RecordingEventSink()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await FanOutEventSink(Stuck(), quick).emit(type="pipeline.completed", data=None)
        return quick.types

    assert run_virtually(last_event()) == ("pipeline.completed",)


async def test_a_sink_that_is_cancelled_by_itself_keeps_no_other_from_its_events(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Cancelled(Slow):
        async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
            raise asyncio.CancelledError

    other = RecordingEventSink()
    await FanOutEventSink(Cancelled(), other).emit(type="a", data=None)
    assert other.types == ("a",)
    assert "did not take a" in caplog.text


async def test_closing_a_fan_out_closes_every_sink_and_raises_what_some_raised() -> None:
    class Unclosable(Slow):
        async def aclose(self) -> None:
            raise OSError("still open")

    closed = Slow()
    with pytest.raises(ExceptionGroup) as raised:
        await FanOutEventSink(Unclosable(), NoOpEventSink(), closed).aclose()
    assert closed.closed == 1
    assert isinstance(raised.value.exceptions[0], OSError)


@pytest.mark.parametrize("failing", [False, True])
async def test_a_raising_sink_changes_no_outcome(failing: bool, caplog: pytest.LogCaptureFixture) -> None:
    expected = Failed if failing else Completed
    for sink in (
        Raising(),
        FanOutEventSink(Raising(), RecordingEventSink()),
        QueueEventSink(Raising(), overflow="block", capacity=2),
    ):
        assert [type(outcome) for outcome in await run_of(sink, failing=failing)] == [expected] * 5
        if isinstance(sink, QueueEventSink):
            await sink.aclose()
            assert sink.failed == told(sink)
            assert sink.dropped == 0
    assert "did not take" in caplog.text


# --- queue


@pytest.mark.parametrize("overflow", ["block", "drop"])
async def test_a_burst_of_100_000_at_once_adds_up_in_order(overflow: Overflow) -> None:
    slow = Slow()
    sink = QueueEventSink(slow, capacity=1000, overflow=overflow)
    for number in range(BURST):
        sink.try_emit(type=str(number), data=None)
        assert sink.pending <= 1000
    assert told(sink) == BURST
    await sink.aclose()
    got = numbers(slow.got)
    assert got == list(range(BURST if overflow == "block" else 1000))
    assert (sink.delivered, sink.dropped, sink.failed, sink.pending) == (len(got), BURST - len(got), 0, 0)
    assert sum(int(str(report["dropped"])) for report in slow.reports) == sink.dropped


@pytest.mark.parametrize("overflow", ["block", "drop"])
async def test_a_burst_of_100_000_while_the_other_sink_is_busy_adds_up_in_order(overflow: Overflow) -> None:
    slow = Slow()
    sink = QueueEventSink(slow, capacity=100, overflow=overflow)
    for number in range(BURST):
        sink.try_emit(type=str(number), data=None)
        if number % 50 == 0:
            await asyncio.sleep(0)
    await sink.aclose()
    got = numbers(slow.got)
    assert got == sorted(set(got))
    assert told(sink) == BURST
    assert sink.delivered == len(got)
    assert 0 < sink.dropped < BURST
    assert sum(int(str(report["dropped"])) for report in slow.reports) == sink.dropped
    assert slow.reports[-1]["dropped_total"] == sink.dropped


async def test_a_burst_of_100_000_awaited_events_is_lossless_where_the_policy_is_to_block() -> None:
    slow = Slow()
    sink = QueueEventSink(slow, capacity=100, overflow="block", patience=60.0)
    for number in range(BURST):
        await sink.emit(type=str(number), data=None)
    await sink.aclose()
    assert numbers(slow.got) == list(range(BURST))
    assert (sink.delivered, sink.dropped) == (BURST, 0)


async def test_events_told_both_ways_by_several_at_once_keep_the_order_in_which_they_were_told() -> None:
    slow = Slow()
    sink = QueueEventSink(slow, capacity=3, overflow="block", patience=60.0)
    order: list[str] = []

    async def tell(who: int) -> None:
        for number in range(50):
            type = str(who * 1000 + number)
            order.append(type)
            await sink.emit(type=type, data=None)

    await asyncio.gather(*(tell(who) for who in range(10)))
    await sink.aclose()
    assert slow.got == order
    assert sink.dropped == 0


async def test_a_run_of_many_stages_loses_nothing_before_a_sink_that_does_not_suspend() -> None:
    recorder = RecordingEventSink()
    sink = QueueEventSink(recorder, capacity=10, overflow="block")
    await run_of(sink, stages=200)
    await sink.aclose()
    direct = RecordingEventSink()
    await run_of(direct, stages=200)
    assert sink.dropped == 0
    assert sorted(recorder.types) == sorted(direct.types)


@pytest.mark.parametrize(("overflow", "waited"), [("block", 2.0), ("drop", 0.0)])
def test_a_run_waits_for_a_stuck_sink_exactly_as_long_as_the_policy_says(overflow: Overflow, waited: float) -> None:
    async def run_on_stuck() -> tuple[float, list[object], QueueEventSink, Stuck]:
        stuck = Stuck()
        sink = QueueEventSink(stuck, capacity=1, overflow=overflow, patience=2.0, close_within=1.0)
        outcomes = await run_of(sink)
        seconds = loop_time()
        await sink.aclose()
        return seconds, outcomes, sink, stuck

    seconds, outcomes, sink, stuck = run_virtually(run_on_stuck())
    assert seconds == pytest.approx(waited)
    assert all(isinstance(outcome, Completed) for outcome in outcomes)
    assert sink.delivered == len(stuck.got)
    assert told(sink) == 5 * (2 + 2 * 4 + 1)


class Unwilling(Slow):
    """Raises on every event, when it has suspended."""

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        await asyncio.sleep(self.seconds)
        raise OSError("no route")

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        raise OSError("no route")


@pytest.mark.parametrize("make", [Slow, Unwilling])
@pytest.mark.parametrize("overflow", ["block", "drop"])
def test_a_run_of_100_000_events_waits_no_longer_than_the_policy_says_and_they_add_up(
    overflow: Overflow, make: type[Slow], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    each = lift(name="twice")(lambda number: number * 2).each()
    items = list(range(BURST // 2))

    async def run_before_a_slow_sink() -> tuple[object, float, QueueEventSink, Slow]:
        slow = make(1.0)
        sink = QueueEventSink(slow, capacity=100, overflow=overflow, patience=2.5, close_within=1e6)
        outcome = await Runner(sink=sink).run(each, items)
        seconds = loop_time()
        await sink.aclose()
        return outcome, seconds, sink, slow

    outcome, seconds, sink, slow = run_virtually(run_before_a_slow_sink())
    assert isinstance(outcome, Completed)
    assert outcome.value == tuple(number * 2 for number in items)
    assert seconds <= (2.5 if overflow == "block" else 0.0)
    assert told(sink) == BURST + 3
    assert sink.pending == 0
    assert (sink.delivered, sink.failed).count(0) == 1
    assert sink.dropped > BURST // 2
    if make is Slow:
        passed_on = [type for type in slow.got if type != "events.dropped"]
        assert len(passed_on) == sink.delivered
        assert passed_on[:2] == ["pipeline.created", "pipeline.started"]
        assert "pipeline.completed" not in passed_on[:-1]
        assert sum(int(str(report["dropped"])) for report in slow.reports) == sink.dropped


def test_no_patience_makes_a_run_wait_longer_than_it_waits_for_any_sink() -> None:
    async def run_on_stuck() -> tuple[float, QueueEventSink]:
        sink = QueueEventSink(Stuck(), capacity=1, overflow="block", patience=1e6, close_within=0.0)
        await run_of(sink)
        seconds = loop_time()
        await sink.aclose()
        return seconds, sink

    seconds, sink = run_virtually(run_on_stuck())
    assert seconds == pytest.approx(LAST_EVENT_SECONDS)
    assert told(sink) == 5 * (2 + 2 * 4 + 1)


def test_closing_gives_a_stuck_sink_up_after_a_while_and_counts_what_is_left(caplog: pytest.LogCaptureFixture) -> None:
    async def close_stuck() -> tuple[float, QueueEventSink, Stuck]:
        stuck = Stuck()
        sink = QueueEventSink(stuck, capacity=5, overflow="drop", close_within=3.0)
        for number in range(7):
            sink.try_emit(type=str(number), data=None)
            await asyncio.sleep(0)
        await sink.aclose()
        return loop_time(), sink, stuck

    seconds, sink, stuck = run_virtually(close_stuck())
    assert seconds == pytest.approx(3.0)
    assert (sink.delivered, sink.failed, sink.dropped, sink.pending) == (0, 1, 6, 0)
    assert stuck.closed == 1
    assert "took too long: 5 events are dropped" in caplog.text


async def test_a_gap_is_reported_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    slow = Slow()
    sink = QueueEventSink(slow, capacity=2, overflow="drop")
    for number in range(5):
        sink.try_emit(type=str(number), data=None)
    for _ in range(10):
        await asyncio.sleep(0)
    sink.try_emit(type="5", data=None)
    await sink.aclose()
    assert slow.got == ["0", "1", "events.dropped", "5"]
    assert slow.reports == [{"dropped": 3, "dropped_total": 3, "capacity": 2}]
    assert "is full: the newest events are dropped, 2 first" in caplog.text
    assert "dropped 3 events, 3 in all" in caplog.text


async def test_closing_flushes_and_closes_the_other_sink_once() -> None:
    slow = Slow()
    sink = QueueEventSink(slow, overflow="block")
    sink.try_emit(type="0", data=None)
    await sink.aclose()
    await sink.aclose()
    assert slow.got == ["0"]
    assert slow.closed == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_comes_when_the_queue_is_closed_is_counted_as_dropped(caplog: pytest.LogCaptureFixture) -> None:
    slow = Slow()
    sink = QueueEventSink(slow, overflow="block")
    await sink.aclose()
    sink.try_emit(type="late", data=None)
    await sink.emit(type="later", data=None)
    assert (sink.dropped, told(sink), slow.got) == (2, 2, [])
    assert "is closed" in caplog.text


async def test_leaving_a_runner_flushes_its_queue() -> None:
    slow = Slow()
    async with Runner(sink=QueueEventSink(slow, overflow="block")) as runner:
        await runner.run(lift(name="one")(lambda value: value), 1)
    assert slow.got[-1] == "pipeline.completed"
    assert len(slow.got) == 5
    assert slow.closed == 1


async def test_an_emit_that_is_cancelled_while_it_waits_for_room_is_counted() -> None:
    stuck = Stuck()
    sink = QueueEventSink(stuck, capacity=1, overflow="block", patience=60.0, close_within=0.0)
    sink.try_emit(type="0", data=None)
    await asyncio.sleep(0)
    sink.try_emit(type="1", data=None)
    waiting = asyncio.ensure_future(sink.emit(type="2", data=None))
    await asyncio.sleep(0)
    assert sink.pending == 3
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert (sink.pending, sink.dropped) == (2, 1)
    await sink.aclose()
    assert told(sink) == 3


async def test_what_the_other_sink_raises_on_is_counted_logged_and_keeps_none_of_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Sometimes(Slow):
        async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
            if type == "1":
                raise asyncio.CancelledError
            await super().emit(type=type, data=data)

        def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
            if type == "0":
                raise OSError("no route")
            super().try_emit(type=type, data=data)

    other = Sometimes()
    sink = QueueEventSink(other, capacity=3, overflow="block")
    for number in range(4):  # the last makes room by handing on the first
        sink.try_emit(type=str(number), data=None)
    assert sink.failed == 1
    await sink.aclose()
    assert other.got == ["2", "3"]
    assert (sink.delivered, sink.failed, sink.dropped) == (2, 2, 0)
    assert "did not take 0" in caplog.text
    assert "did not take 1" in caplog.text
    assert repr(sink).endswith("0 pending, 2 delivered, 2 failed, 0 dropped>")


def test_waiting_emits_are_counted_where_closing_gives_up() -> None:
    async def close_while_one_waits() -> tuple[int, int, bool]:
        sink = QueueEventSink(Stuck(), capacity=1, overflow="block", patience=60.0, close_within=1.0)
        for type in ("0", "1"):
            sink.try_emit(type=type, data=None)
            await asyncio.sleep(0)
        waiting = asyncio.ensure_future(sink.emit(type="2", data=None))
        await asyncio.sleep(0)
        await sink.aclose()
        await asyncio.sleep(0)
        return told(sink), sink.dropped, waiting.done()

    assert run_virtually(close_while_one_waits()) == (3, 2, True)


def test_events_told_outside_a_loop_are_passed_on_when_one_runs() -> None:
    slow = Slow()
    sink = QueueEventSink(slow, overflow="block")
    sink.try_emit(type="0", data=None)
    assert sink.pending == 1
    asyncio.run(sink.aclose())
    assert slow.got == ["0"]


def test_a_queue_goes_on_in_another_loop_after_the_first_has_ended() -> None:
    slow = Slow()
    sink = QueueEventSink(slow, overflow="block")

    async def tell(*types: str) -> None:
        for type in types:
            await sink.emit(type=type, data=None)

    asyncio.run(tell("0", "1"))
    asyncio.run(tell("2"))
    asyncio.run(sink.aclose())
    assert told(sink) == 3
    assert "2" in slow.got


async def test_a_worker_does_not_carry_the_context_of_the_run_that_started_it() -> None:
    from contextvars import ContextVar

    variable: ContextVar[str] = ContextVar("variable", default="of nobody")
    seen: list[str] = []

    class Looking(Slow):
        async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
            seen.append(variable.get())

    variable.set("of the run")
    sink = QueueEventSink(Looking(), overflow="block")
    sink.try_emit(type="0", data=None)
    await sink.aclose()
    assert seen == ["of nobody"]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: QueueEventSink(NoOpEventSink(), overflow="drop", capacity=0), "capacity=0"),
        (lambda: QueueEventSink(NoOpEventSink(), overflow="newest"), "'newest'"),
        (lambda: QueueEventSink(NoOpEventSink(), overflow="drop", patience=-1), "patience=-1"),
        (lambda: QueueEventSink(NoOpEventSink(), overflow="drop", close_within=math.nan), "close_within=nan"),
    ],
)
def test_a_queue_refuses_what_makes_no_sense(make: Callable[[], object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


# --- JSON lines


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line, parse_constant=pytest.fail) for line in path.read_text("ascii").splitlines()]


async def test_each_event_is_one_json_object_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    sink = JsonLinesEventSink(path, now=lambda: moment)
    sink.try_emit(type="a", data={"text": "two\nlines", "n": 1})
    await sink.emit(type="b", data=None)
    stamp = "2026-01-01T00:00:00+00:00"
    assert lines(path) == [
        {"type": "a", "timestamp": stamp, "data": {"text": "two\nlines", "n": 1}},
        {"type": "b", "timestamp": stamp, "data": {}},
    ]
    await sink.aclose()


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


CYCLE: list[object] = []
CYCLE.extend([CYCLE, CYCLE, 1])
DEEP: object = 1
for _ in range(5000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({1, 2}, "{1, 2}"),
        (b"\xff", "b'\\xff'"),
        (ValueError("x"), "ValueError('x')"),
        (math.nan, "nan"),
        ([1.5, -math.inf], [1.5, "-inf"]),
        ({1: "a", ("b", 2): {"c": math.nan}}, {"1": "a", "('b', 2)": {"c": "nan"}}),
        (10**5000, hex(10**5000)),
        ("\ud800", "\ud800"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("/a/b"), "/a/b"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00+00:00"),
        (Unprintable(), "<Unprintable whose repr raised RuntimeError>"),
        (StageError("it failed"), "StageError(message='it failed', retryable=False)"),
        ({True: 1, "x": (1, None, False)}, {"True": 1, "x": [1, None, False]}),
        (CYCLE, [repr(CYCLE), repr(CYCLE), 1]),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_no_event_is_lost_for_what_it_carries(tmp_path: Path, value: object, written: object) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonLinesEventSink(path)
    sink.try_emit(type="odd", data={"value": value, "beside": (1, math.nan)})
    assert [line["data"] for line in lines(path)] in (
        [{"value": written, "beside": [1, "nan"]}],
        [{"value": json.loads(json.dumps(written)), "beside": [1, "nan"]}],
    )
    await sink.aclose()


async def test_a_value_nested_too_deep_for_json_is_still_a_line(tmp_path: Path) -> None:
    sink = JsonLinesEventSink(tmp_path / "events.jsonl")
    sink.try_emit(type="deep", data={"value": DEEP, "beside": 1})
    (line,) = lines(tmp_path / "events.jsonl")
    assert line["data"]["beside"] == 1
    await sink.aclose()


async def test_a_line_is_in_the_file_before_it_is_closed_and_a_second_sink_appends(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    first, second = JsonLinesEventSink(path), JsonLinesEventSink(str(path))
    for number in range(10):
        (first, second)[number % 2].try_emit(type=str(number), data=None)
    assert [line["type"] for line in lines(path)] == [str(number) for number in range(10)]
    await first.aclose()
    await second.aclose()


async def test_a_closed_file_says_so(tmp_path: Path) -> None:
    sink = JsonLinesEventSink(tmp_path / "events.jsonl")
    await sink.aclose()
    await sink.aclose()
    with pytest.raises(ValueError, match=r"The event late came after the events file .* was closed"):
        sink.try_emit(type="late", data=None)


def test_a_missing_folder_and_a_folder_in_the_place_of_the_file_are_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*missing\. Make it first"):
        JsonLinesEventSink(tmp_path / "missing" / "events.jsonl")
    with pytest.raises(IsADirectoryError, match="Events cannot go to"):
        JsonLinesEventSink(tmp_path)


# --- conformance


def of_lines(path: Path) -> Callable[[object], list[str]]:
    def types(_: object) -> list[str]:
        found = [str(line["type"]) for line in lines(path)]
        path.write_text("")
        return found

    return types


async def test_every_sink_of_the_library_is_what_the_executor_counts_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    await check_sink(NoOpEventSink)
    await check_sink(LoggingEventSink)
    await check_sink(RecordingEventSink, read=lambda sink: sink.types)
    path = tmp_path / "events.jsonl"

    def fresh() -> JsonLinesEventSink:
        path.unlink(missing_ok=True)
        return JsonLinesEventSink(path)

    await check_sink(fresh, read=of_lines(path))
    recorders: list[RecordingEventSink] = []

    def recorder() -> RecordingEventSink:
        recorders.append(RecordingEventSink())
        return recorders[-1]

    await check_sink(lambda: FanOutEventSink(recorder(), NoOpEventSink()), read=lambda _: recorders[-1].types)
    await check_sink(lambda: QueueEventSink(recorder(), overflow="block"), read=lambda _: recorders[-1].types)
    await check_sink(lambda: QueueEventSink(recorder(), overflow="drop"), read=lambda _: recorders[-1].types)


class Mutating(Slow):
    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        if isinstance(data, dict) and type == "data.left":
            data["more"] = 1


class Asynchronous(Slow):
    async def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        return None


class Picky(Slow):
    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        json.dumps(data)


class Reversing(Slow):
    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.got.insert(0, type)


class Leaking(Slow):
    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.task = asyncio.ensure_future(asyncio.sleep(3600))


class Fatal(Slow):
    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        if type.startswith("pipeline."):
            raise asyncio.CancelledError


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize(
    ("make", "text"),
    [
        (Mutating, "changes the data"),
        (Asynchronous, "from try_emit"),
        (Picky, "takes data with the keys"),
        (Reversing, "was told"),
        (Leaking, "leaves tasks behind"),
    ],
)
async def test_the_conformance_kit_refuses_a_sink_that_is_not_what_the_executor_counts_on(
    make: Callable[[], Slow], text: str
) -> None:
    with pytest.raises(SinkBrokenError, match=text):
        await check_sink(make, read=lambda sink: sink.got)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
        await asyncio.wait([task])


async def test_a_sink_whose_emit_is_cancelled_by_itself_changes_no_outcome() -> None:
    assert [type(outcome) for outcome in await run_of(Fatal())] == [Completed] * 5
