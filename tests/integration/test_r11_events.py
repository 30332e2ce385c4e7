"""R11: what a sink hears of a run: in causal order, each event once, with its particulars, and at nobody's expense."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Literal, Never
from uuid import UUID

import pytest
from returns.result import Result

from stageflow import (
    BaseInterceptor,
    Cancelled,
    Completed,
    CorrelationIds,
    ErrorAction,
    EventSink,
    Failed,
    InterceptorContext,
    Pipeline,
    PipelineContext,
    RetryInterceptor,
    Runner,
    Skipped,
    Stage,
    StageError,
    StageEvent,
    StageInputs,
    StageKind,
    StageOutput,
    StageTimeoutError,
    TimeoutInterceptor,
    UnifiedStageSpec,
    cancel,
    event_sink,
    fail,
    lift,
    ok,
    skip,
    stage,
)
from tests.leaping import leaping

AnyStage = Stage[object, object, StageError]
RUN_ID = UUID(int=5)
ENDS = ("completed", "failed", "skipped", "cancelled")


class Recorder:
    """A sink that keeps what it hears, and by which of its methods."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, object]]] = []
        self.awaited: list[str] = []

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.events.append((type, data or {}))

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.awaited.append(type)
        self.events.append((type, data or {}))

    @property
    def types(self) -> list[str]:
        return [type for type, _ in self.events]

    def data(self, type: str) -> Mapping[str, object]:
        (found,) = [data for of, data in self.events if of == type]
        return found


def gives(name: str, steps: int = 0) -> AnyStage:
    @stage(name=name)
    async def giving(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        for _ in range(steps):
            await asyncio.sleep(0)
        return ok(name)

    return giving


def returns(name: str, result: Result[StageOutput[object], StageError]) -> AnyStage:
    @stage(name=name)
    async def returning(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return result

    return returning


def flaky(failures: int) -> AnyStage:
    calls = 0

    @stage(name="flaky")
    async def failing_first(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        nonlocal calls
        calls += 1
        return ok("at last") if calls > failures else fail(StageError("not yet", retryable=True))

    return failing_first


def wired(*stages: tuple[AnyStage, str]) -> Pipeline[object, object, StageError]:
    return Pipeline.from_specs(
        UnifiedStageSpec(made.name, made, dependencies=tuple(after.split())) for made, after in stages
    )


async def heard(pipeline: AnyStage, runner: Runner | None = None, value: object = "x") -> Recorder:
    recorder = Recorder()
    await (runner or Runner()).run(pipeline, value, context=PipelineContext(sink=recorder))
    return recorder


# Of a run


async def test_a_run_that_completes_is_created_started_and_completed() -> None:
    recorder = await heard(gives("only"))
    assert recorder.types == [
        "pipeline.created",
        "pipeline.started",
        "stage.only.started",
        "stage.only.completed",
        "pipeline.completed",
    ]
    assert recorder.data("pipeline.completed")["status"] == "ok"


async def test_a_run_that_fails_says_with_what() -> None:
    recorder = await heard(returns("only", fail("no such page")))
    assert recorder.types[-2:] == ["stage.only.failed", "pipeline.failed"]
    for type in recorder.types[-2:]:
        assert recorder.data(type)["error"] == "no such page"
        assert recorder.data(type)["error_type"] == "StageError"


async def test_a_run_that_is_cancelled_says_why() -> None:
    recorder = await heard(returns("only", cancel("enough")))
    assert recorder.types[-2:] == ["stage.only.cancelled", "pipeline.cancelled"]
    assert recorder.data("stage.only.cancelled")["reason"] == "enough"
    assert recorder.data("pipeline.cancelled")["reason"] == "only: enough"


async def test_a_run_whose_output_was_skipped_is_completed_with_status_skip() -> None:
    recorder = await heard(returns("only", skip("nothing new")))
    assert recorder.types[-2:] == ["stage.only.skipped", "pipeline.completed"]
    assert recorder.data("pipeline.completed")["status"] == "skip"
    assert recorder.data("pipeline.completed")["reason"] == "only: nothing new"


async def test_a_run_cancelled_before_its_first_stage_started_has_its_three_events() -> None:
    recorder = Recorder()
    handle = Runner(sink=recorder).start(gives("only"), "x")
    handle.cancel("changed my mind")
    assert isinstance(await handle, Cancelled)
    assert recorder.types == ["pipeline.created", "pipeline.started", "pipeline.cancelled"]


async def test_a_run_whose_awaiting_task_is_cancelled_says_so_last() -> None:
    recorder, began = Recorder(), asyncio.Event()

    @stage
    async def forever(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        began.set()
        await asyncio.Event().wait()
        return ok(None)

    task = asyncio.create_task(Runner(sink=recorder).run(forever, "x"))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert recorder.types[-2:] == ["stage.forever.cancelled", "pipeline.cancelled"]
    assert recorder.awaited == ["pipeline.cancelled"]


# Of a stage


async def test_every_event_carries_the_run_and_every_stage_event_its_kind_attempt_and_duration() -> None:
    recorder = Recorder()
    correlation = CorrelationIds(request_id=UUID(int=9), trace_id="f" * 32, extra={"tenant": "acme"})
    context = PipelineContext(run_id=RUN_ID, correlation=correlation, sink=recorder)

    @stage(name="work", kind=StageKind.WORK)
    async def work(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return ok(None)

    @stage(name="guard", kind=StageKind.GUARD)
    async def guard(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return skip("closed")

    @stage(name="agent", kind=StageKind.AGENT)
    async def agent(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return fail("lost")

    pipeline = (work & guard & agent & gives("plain")).together()
    await Runner(on_failure="finish").run(pipeline, "x", context=context)
    for _, data in recorder.events:
        assert data["run_id"] == str(RUN_ID)
        assert data["request_id"] == str(UUID(int=9))
        assert data["trace_id"] == "f" * 32
        assert data["tenant"] == "acme"
    kinds = {"work": "work", "guard": "guard", "agent": "agent", "plain": "transform"}
    stage_events = [(type, data) for type, data in recorder.events if type.startswith("stage.")]
    assert len(stage_events) == 8
    for type, data in stage_events:
        name, word = type.split(".")[1:]
        assert data["stage"] == name
        assert data["kind"] == kinds[name]
        assert data["attempt"] == 1
        if word != "started":
            assert isinstance(data["duration_ms"], float)
            assert data["duration_ms"] >= 0
    assert isinstance(recorder.data("pipeline.failed")["duration_ms"], float)


async def test_a_stage_that_never_started_for_a_failure_has_no_event() -> None:
    recorder = await heard(returns("broken", fail("no")) | gives("after"))
    assert not [type for type in recorder.types if "after" in type]


async def test_a_stage_skipped_for_another_has_one_event_with_attempt_zero_and_the_origin() -> None:
    recorder = await heard(returns("first", skip("nothing")) | gives("second") | gives("third"))
    assert recorder.types[2:] == [
        "stage.first.started",
        "stage.first.skipped",
        "stage.second.skipped",
        "stage.third.skipped",
        "pipeline.completed",
    ]
    for name in ("second", "third"):
        data = recorder.data(f"stage.{name}.skipped")
        assert data["attempt"] == 0
        assert data["reason"] == "first: nothing"


async def test_a_stage_whose_condition_was_false_is_started_and_skipped() -> None:
    recorder = await heard(gives("only").when(lambda _: False))
    assert recorder.types[2:-1] == ["stage.only.started", "stage.only.skipped"]


async def test_a_stage_cancelled_on_its_way_is_started_and_cancelled() -> None:
    began = asyncio.Event()

    @stage
    async def forever(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        began.set()
        await asyncio.Event().wait()
        return ok(None)

    @stage
    async def broken(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await began.wait()
        return fail("no")

    recorder = await heard((forever & broken).together())
    assert recorder.types[-3:] == ["stage.broken.failed", "stage.forever.cancelled", "pipeline.failed"]
    assert recorder.data("stage.forever.cancelled")["reason"] == "broken: no"


async def test_a_stage_that_raised_or_timed_out_has_failed() -> None:
    @stage
    async def raising(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        raise ValueError("boom")

    recorder = await heard(raising)
    assert recorder.data("stage.raising.failed")["error_type"] == "StageExecutionError"

    async def main() -> None:
        @TimeoutInterceptor(1.0)
        @stage
        async def forever(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
            await asyncio.Event().wait()
            return ok(None)

        timed = await heard(forever)
        assert timed.data("stage.forever.failed")["error_type"] == StageTimeoutError.__name__

    await asyncio.to_thread(leaping, main)


async def test_stages_inside_others_go_by_their_full_names_and_what_contains_them_has_no_events() -> None:
    inner = (gives("one") | gives("two")).named("inner")
    recorder = await heard(lift(lambda _: [1, 2], name="split") | (inner | gives("last")).each(limit=1))
    started = [type.removeprefix("stage.").removesuffix(".started") for type in recorder.types if "started" in type]
    items = [name for i in (0, 1) for name in (f"inner[{i}].one", f"inner[{i}].two", f"last[{i}]")]
    assert started == ["pipeline", "split", *items]


# Attempts


@pytest.mark.parametrize("failures", [0, 1, 3])
async def test_a_retried_stage_is_started_once_and_has_a_retrying_per_further_attempt(failures: int) -> None:
    retried = flaky(failures).using(RetryInterceptor(attempts=4, backoff=0.0))
    recorder = await heard(retried)
    assert recorder.types[2:-1] == [
        "stage.flaky.started",
        *["stage.flaky.retrying"] * failures,
        "stage.flaky.completed",
    ]
    attempts = [data["attempt"] for type, data in recorder.events if type == "stage.flaky.retrying"]
    assert attempts == list(range(2, failures + 2))
    assert recorder.data("stage.flaky.started")["attempt"] == 1
    assert recorder.data("stage.flaky.completed")["attempt"] == failures + 1


async def test_attempts_by_a_hook_are_told_as_those_of_a_retry() -> None:
    class Again(BaseInterceptor[Never]):
        async def on_error(self, context: InterceptorContext, error: StageError, /) -> ErrorAction:
            return ErrorAction.RETRY

    recorder = await heard(flaky(2).using(Again()))
    words = [type.rpartition(".")[2] for type in recorder.types[2:-1]]
    assert words == ["started", "retrying", "retrying", "completed"]


async def test_a_stage_that_fails_after_all_attempts_fails_once() -> None:
    recorder = await heard(flaky(9).using(RetryInterceptor(attempts=3, backoff=0.0)))
    words = [type.rpartition(".")[2] for type in recorder.types[2:-1]]
    assert words == ["started", "retrying", "retrying", "failed"]
    assert recorder.data("stage.flaky.failed")["attempt"] == 3


async def test_the_stages_inside_a_retried_pipeline_are_started_once_and_retrying_after_it() -> None:
    retried = (gives("before") | flaky(1)).using(RetryInterceptor(attempts=2, backoff=0.0))
    recorder = await heard(retried)
    started = Counter(type for type in recorder.types if type.endswith(".started"))
    assert started["stage.before.started"] == 1
    assert started["stage.flaky.started"] == 1
    assert recorder.types.count("stage.before.retrying") == 1
    assert recorder.types.count("stage.flaky.retrying") == 1


# In causal order, each exactly once


@pytest.mark.parametrize("on_failure", ["cancel", "finish"])
async def test_events_come_in_causal_order_and_each_exactly_once(on_failure: Literal["cancel", "finish"]) -> None:
    after = {"a": "", "b": "a", "c": "a", "d": "b c", "e": "", "f": "e", "g": "d f", "h": "", "i": "h", "j": "i g"}
    bad = {"f": fail("f broke"), "h": skip("nothing")}
    stages = [(returns(n, bad[n]) if n in bad else gives(n, steps=ord(n) % 4), names) for n, names in after.items()]
    recorder = await heard(wired(*stages), Runner(on_failure=on_failure))
    assert set(Counter(recorder.types).values()) == {1}
    assert recorder.types[:2] == ["pipeline.created", "pipeline.started"]
    assert recorder.types[-1] == "pipeline.failed"
    at = {type: number for number, type in enumerate(recorder.types)}
    for name, names in after.items():
        ends = [at[f"stage.{name}.{word}"] for word in ENDS if f"stage.{name}.{word}" in at]
        began = at.get(f"stage.{name}.started")
        assert len(ends) <= 1
        if began is not None:
            assert ends
            assert began < ends[0]
            for parent in names.split():
                assert at[f"stage.{parent}.completed"] < began
    assert "stage.j.started" not in at


async def test_a_stages_own_events_come_between_its_start_and_its_end() -> None:
    @stage(name="talking")
    async def talking(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        inputs.context.emit("page.fetched", {"url": "https://a"})
        return ok(None, events=[StageEvent("page.kept", {"size": 3})])

    recorder = Recorder()
    await talking.run("x", context=PipelineContext(run_id=RUN_ID, sink=recorder))
    assert recorder.types[2:-1] == ["stage.talking.started", "page.fetched", "page.kept", "stage.talking.completed"]
    for type, key, value in (("page.fetched", "url", "https://a"), ("page.kept", "size", 3)):
        assert recorder.data(type)[key] == value
        assert recorder.data(type)["stage"] == "talking"
        assert recorder.data(type)["run_id"] == str(RUN_ID)


async def test_concurrent_runs_tell_each_of_their_own_stages() -> None:
    recorder = Recorder()
    graph = (gives("one", steps=2) | gives("two", steps=1)).build().unwrap()
    await asyncio.gather(*(Runner(sink=recorder).run(graph, "x") for _ in range(5)))
    by_run: dict[object, list[str]] = {}
    for type, data in recorder.events:
        by_run.setdefault(data["run_id"], []).append(type)
    assert len(by_run) == 5
    assert set(map(tuple, by_run.values())) == {
        (
            "pipeline.created",
            "pipeline.started",
            "stage.one.started",
            "stage.one.completed",
            "stage.two.started",
            "stage.two.completed",
            "pipeline.completed",
        )
    }


# How a sink is called, and which


@pytest.mark.parametrize(
    "pipeline",
    [gives("fine"), returns("broken", fail("no")), returns("none", skip("no")), returns("enough", cancel("no"))],
    ids=lambda made: made.name,
)
async def test_emit_is_awaited_for_a_runs_last_event_alone(pipeline: AnyStage) -> None:
    recorder = await heard(gives("first") | pipeline)
    assert recorder.awaited == recorder.types[-1:]


async def test_the_sink_has_taken_the_last_event_before_the_run_returns() -> None:
    taken: list[str] = []

    class Slow(Recorder):
        async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
            for _ in range(10):
                await asyncio.sleep(0)
            taken.append(type)

    await Runner(sink=Slow()).run(gives("only"), "x")
    assert taken == ["pipeline.completed"]


async def test_a_runners_sink_goes_before_the_ambient_one_and_a_contexts_before_both() -> None:
    ambient, runners, contexts = Recorder(), Recorder(), Recorder()
    with event_sink(ambient):
        await gives("only").run("x")
        assert len(ambient.events) == 5
        await Runner(sink=runners).run(gives("only"), "x")
        assert (len(ambient.events), len(runners.events)) == (5, 5)
        await Runner(sink=runners).run(gives("only"), "x", context=PipelineContext(sink=contexts))
    assert [len(recorder.events) for recorder in (ambient, runners, contexts)] == [5, 5, 5]


async def test_a_handle_hears_the_same_events_as_the_sink() -> None:
    recorder = Recorder()
    handle = Runner(sink=recorder).start(gives("one", steps=2) | gives("two"), "x")
    stream = [event async for event in handle.events()]
    await handle
    assert [event.type for event in stream] == recorder.types
    assert [event.data for event in stream] == [data for _, data in recorder.events]


# A sink never changes an outcome


class Raising(Recorder):
    def __init__(self, at: str, error: type[BaseException]) -> None:
        super().__init__()
        self._at = at
        self._error = error

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        super().try_emit(type=type, data=data)
        if self._at in ("everything", type):
            raise self._error("the sink is broken")

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        await super().emit(type=type, data=data)
        if self._at in ("everything", type):
            raise self._error("the sink is broken")


POINTS = [
    "everything",
    "pipeline.created",
    "pipeline.started",
    "stage.first.started",
    "stage.first.completed",
    "own",
    "stage.last.skipped",
    "stage.last.failed",
    "stage.last.cancelled",
    "pipeline.completed",
    "pipeline.failed",
    "pipeline.cancelled",
]


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
@pytest.mark.parametrize("at", POINTS)
async def test_a_sink_that_raises_changes_no_outcome(at: str, error: type[BaseException]) -> None:
    @stage(name="first")
    async def first(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        inputs.context.emit("own")
        return ok("first")

    lasts: list[tuple[Result[StageOutput[object], StageError], type]] = [
        (ok("last"), Completed),
        (skip("nothing"), Skipped),
        (fail("no"), Failed),
        (cancel("enough"), Cancelled),
    ]
    for last, expected in lasts:
        pipeline = first | returns("last", last)
        quiet, loud = Recorder(), Raising(at, error)
        wanted = await Runner(sink=quiet).run(pipeline, "x")
        outcome = await Runner(sink=loud).run(pipeline, "x")
        assert type(outcome) is expected
        assert [result.status for result in outcome.report.stages.values()] == [
            result.status for result in wanted.report.stages.values()
        ]
        assert loud.types == quiet.types


def test_a_sink_that_blocks_for_ever_delays_a_run_but_changes_no_outcome() -> None:
    class Blocking(Recorder):
        async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
            await asyncio.Event().wait()

    async def main() -> None:
        outcome = await Runner(sink=Blocking()).run(gives("only"), "x")
        assert isinstance(outcome, Completed)
        assert outcome.value == "only"
        assert 0 < asyncio.get_running_loop().time() <= 60

    leaping(main)


def test_a_sink_that_blocks_does_not_keep_a_deadline_from_having_been_met() -> None:
    class Slow(Recorder):
        async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
            await asyncio.sleep(5)

    async def main() -> None:
        outcome = await Runner(sink=Slow(), deadline=2.0).run(gives("only"), "x")
        assert isinstance(outcome, Completed)
        assert asyncio.get_running_loop().time() == pytest.approx(5.0)

    leaping(main)


async def test_a_sink_that_answers_nothing_sensible_changes_no_outcome() -> None:
    class Odd:
        def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
            if data is not None:
                data.clear()  # type: ignore[attr-defined]  # a sink that tampers with what it is given

        async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
            self.try_emit(type=type, data=data)

    sink: EventSink = Odd()
    handle = Runner(sink=sink).start(gives("one") | gives("two"), "x")
    events = [event.type async for event in handle.events()]
    outcome = await handle
    assert isinstance(outcome, Completed)
    assert events == (await heard(gives("one") | gives("two"))).types


async def test_a_stages_own_event_has_the_run_id_that_every_other_has() -> None:
    @stage
    async def telling(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        inputs.context.emit("progress")
        return ok(None)

    recorder = Recorder()
    context = PipelineContext(RUN_ID, correlation=CorrelationIds(run_id=UUID(int=6)))
    await Runner(sink=recorder).run(telling, "x", context=context)
    assert {data["run_id"] for _, data in recorder.events} == {str(RUN_ID)}
