"""The application's one configured object: `Runner`, the `RunHandle` of a run it started, and its store and sink."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import pytest

from stageflow import (
    Cancelled,
    Completed,
    CorrelationIds,
    Failed,
    MissingPortError,
    NoOpEventSink,
    Pipeline,
    PipelineContext,
    PipelineValidationError,
    PortKey,
    RunHandle,
    Runner,
    RunRecord,
    RunStoreError,
    Skipped,
    StageEvent,
    StageInputs,
    StagePorts,
    StageTimeoutError,
    TimeoutInterceptor,
    cancel,
    event_sink,
    fail,
    lift,
    ok,
    skip,
    stage,
)

RUN = UUID(int=1)
GREETING: PortKey[str] = PortKey("greeting")
NAME: PortKey[str] = PortKey("name")


class Store:
    """A store that keeps what it is asked to keep, in order; it breaks where it is told to."""

    def __init__(self, *, breaks_at: str = "") -> None:
        self.calls: list[tuple[str, UUID, dict[str, object]]] = []
        self.breaks_at = breaks_at
        self.closed = False

    async def create_run(self, run_id: UUID, **metadata: object) -> RunRecord:
        self._keep("create", run_id, metadata)
        return RunRecord(run_id, "running", metadata, datetime.now(UTC), datetime.now(UTC))

    async def update_status(self, run_id: UUID, status: str, **data: object) -> None:
        self._keep(status, run_id, data)

    async def get_run(self, run_id: UUID) -> RunRecord | None:
        return None

    async def aclose(self) -> None:
        self.closed = True

    def _keep(self, what: str, run_id: UUID, data: dict[str, object]) -> None:
        if (self.breaks_at == "end" and what != "create") or self.breaks_at == what:
            raise ConnectionError("the store is gone")
        self.calls.append((what, run_id, data))


class Settings:
    def __init__(self, **values: object) -> None:
        self._values = values

    def get(self, key: str, default: object = None) -> object:
        return self._values.get(key, default)


@lift
def length(text: str) -> int:
    return len(text)


@stage
async def refuse(inputs: StageInputs[str]):
    return fail("no")


@stage
async def nothing(inputs: StageInputs[str]):
    return skip("nothing new")


@stage
async def stop(inputs: StageInputs[str]):
    return cancel("enough")


@stage
async def explode(inputs: StageInputs[str]):
    raise ValueError("bad digit")


@stage(requires=(GREETING,))
async def greet(inputs: StageInputs[str]):
    return ok(f"{inputs.ports[GREETING]} {inputs.value}")


class Gate:
    """A stage that says that it was entered, and waits to be cancelled or opened."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.stage = stage(name="gate")(self._wait)

    async def _wait(self, inputs: StageInputs[str]):
        self.entered.set()
        await self.open.wait()
        return ok(inputs.value)


async def test_a_runner_runs_stages_pipelines_and_graphs() -> None:
    async with Runner() as runner:
        outcomes = [await runner.run(one, "abc") for one in (length, length | lift(str), (length | lift(str)).graph())]
    assert [outcome.value for outcome in outcomes] == [3, "3", "3"]


@pytest.mark.parametrize("given", [3, "length", None])
async def test_a_runner_runs_nothing_else(given) -> None:
    async with Runner() as runner:
        with pytest.raises(TypeError, match="runs a stage, a pipeline or a built graph"):
            await runner.run(given, "abc")
        with pytest.raises(TypeError, match="runs a stage, a pipeline or a built graph"):
            runner.start(given, "abc")


async def test_a_pipeline_that_does_not_build_raises_from_run_and_from_start() -> None:
    broken = Pipeline.of(str).with_stage("a", length, dependencies=("b",))
    async with Runner() as runner:
        with pytest.raises(PipelineValidationError):
            await runner.run(broken, "abc")
        with pytest.raises(PipelineValidationError):
            runner.start(broken, "abc")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_concurrency": 0}, "must be at least 1"),
        ({"max_concurrency": -1}, "must be at least 1"),
        ({"deadline": 0}, "must be more than 0 seconds"),
        ({"deadline": float("nan")}, "must be more than 0 seconds"),
        ({"on_failure": "ignore"}, r'must be "cancel" or "finish"'),
    ],
)
def test_a_runner_is_configured_with_what_can_be(given, said) -> None:
    with pytest.raises(ValueError, match=said):
        Runner(**given)


@pytest.mark.parametrize("name", ["max_concurrency", "store", "more"])
def test_a_runner_takes_no_attribute(name) -> None:
    with pytest.raises(AttributeError):
        setattr(Runner(), name, 1)


async def test_using_gives_another_runner_and_changes_none() -> None:
    gate, runner = Gate(), Runner()
    timed = runner.using(TimeoutInterceptor(0.001))
    async with timed:
        outcome = await timed.run(gate.stage, "a")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, StageTimeoutError)
    gate.open.set()
    assert isinstance(await runner.run(gate.stage, "a"), Completed)


async def test_a_runners_interceptor_is_compiled_once_per_graph() -> None:
    wrapped: list[object] = []

    class Counting(TimeoutInterceptor):  # type: ignore[misc]
        def wrap(self, call, /):
            wrapped.append(call)
            return call

    graph = (length | lift(str)).graph()
    async with Runner().using(Counting(1.0)) as runner:
        for _ in range(3):
            await runner.run(graph, "abc")
    assert len(wrapped) == 2


async def test_the_runs_ports_and_config_override_the_runners_key_by_key() -> None:
    @stage
    async def read(inputs: StageInputs[str]):
        config = inputs.context.config
        ports = (inputs.ports[GREETING], inputs.ports[NAME])
        return ok((*ports, config.get("limit"), config.get("size"), config.get("none", "default")))

    ports = StagePorts().provide(GREETING, "low").provide(NAME, "low")
    own = PipelineContext(ports=StagePorts().provide(GREETING, "high"), config=Settings(limit=1))
    async with Runner(ports=ports, config=Settings(limit=2, size=3)) as runner:
        outcome = await runner.run(read, "a", context=own)
    assert isinstance(outcome, Completed)
    assert outcome.value == ("high", "low", 1, 3, "default")


@pytest.mark.parametrize("where", ["runner", "context", "neither"])
async def test_config_comes_from_the_runner_or_the_context_or_is_none(where) -> None:
    settings = Settings(limit=1)
    seen: list[object] = []

    @stage
    async def read(inputs: StageInputs[str]):
        seen.append(inputs.context.config)
        return ok(None)

    async with Runner(config=settings if where == "runner" else None) as runner:
        await runner.run(read, "a", context=PipelineContext(config=settings if where == "context" else None))
    assert seen == [None if where == "neither" else settings]


async def test_missing_ports_are_all_named_before_anything_starts(told) -> None:
    other = stage(name="other", requires=(NAME,))(refuse_call)
    both = Pipeline.of(str).with_stage(length).with_stage(greet).with_stage(other)
    async with Runner(sink=told) as runner:
        with pytest.raises(MissingPortError) as raised:
            await runner.run(both, "abc")
        with pytest.raises(MissingPortError):
            runner.start(both, "abc")
        fine = await runner.run(greet, "you", context=PipelineContext(ports=StagePorts().provide(GREETING, "hello")))
    assert '"greet" requires the port "greeting"' in str(raised.value)
    assert '"other" requires the port "name"' in str(raised.value)
    assert fine.value == "hello you"


async def refuse_call(inputs: StageInputs[str]):
    raise AssertionError(inputs)


async def test_a_handle_is_awaited_for_the_outcome_as_often_as_one_likes() -> None:
    async with Runner() as runner:
        handle = runner.start(length, "abc", context=PipelineContext(RUN))
        assert isinstance(handle, RunHandle)
        assert (handle.run_id, handle.done, repr(handle)) == (RUN, False, f"<RunHandle {RUN} running>")
        outcome = await handle
        assert await handle is outcome
    assert outcome.value == 3
    assert (handle.done, repr(handle)) == (True, f"<RunHandle {RUN} done>")


async def test_a_stage_that_waits_for_the_end_of_its_own_run_is_told_instead_of_waiting_for_ever() -> None:
    handles: list[RunHandle[object]] = []

    @lift
    async def waits(value: int) -> int:
        await handles[0]
        return value

    @lift
    async def waits_for_another(value: int) -> int:
        handle = Runner().start(length, "abc")
        outcome = await handle
        assert isinstance(outcome, Completed)
        return value + outcome.value

    handles.append(Runner().start(waits, 1))
    outcome = await asyncio.wait_for(handles[0], 5)
    assert isinstance(outcome, Failed)
    assert "waits for the end of the run" in str(outcome.error)
    assert (await Runner().start(waits_for_another, 1)).value == 4


@pytest.mark.parametrize("reason", ["enough", ""])
async def test_a_handle_cancels_its_run(reason) -> None:
    gate = Gate()
    async with Runner() as runner:
        handle = runner.start(gate.stage, "a")
        await gate.entered.wait()
        handle.cancel(reason)
        handle.cancel("again")
        outcome = await handle
        handle.cancel("too late")
    assert isinstance(outcome, Cancelled)
    assert outcome.reason == (reason or "cancelled from outside")


async def test_a_handle_cancels_its_run_before_the_first_stage_has_started() -> None:
    async with Runner() as runner:
        handle = runner.start(length, "abc")
        handle.cancel("at once")
        outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.report.stages["length"].attempts == 0


async def test_a_handles_events_come_in_order_to_the_last() -> None:
    async with Runner() as runner:
        handle = runner.start(length, "abc", context=PipelineContext(RUN))
        events = [event async for event in handle.events()]
        await handle
    assert [event.type for event in events] == [
        "pipeline.created",
        "pipeline.started",
        "stage.length.started",
        "stage.length.completed",
        "pipeline.completed",
    ]
    assert all(isinstance(event, StageEvent) for event in events)
    assert {event.data["run_id"] for event in events} == {str(RUN)}


async def test_a_stream_that_has_ended_stays_ended() -> None:
    async with Runner() as runner:
        handle = runner.start(length, "abc")
        stream = handle.events()
        async for _ in stream:
            pass
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        await handle


async def test_two_streams_and_the_runners_sink_all_hear_the_events(told) -> None:
    async with Runner(sink=told) as runner:
        handle = runner.start(length, "abc")
        first, second = handle.events(), handle.events()
        seen = [[event.type async for event in stream] for stream in (first, second)]
        await handle
    assert seen[0] == seen[1] == told.types


async def test_events_asked_for_too_late_come_from_then_on_where_somebody_listens(told) -> None:
    gate = Gate()
    async with Runner(sink=told) as runner:
        handle = runner.start(gate.stage, "a")
        await gate.entered.wait()
        stream = handle.events()
        gate.open.set()
        late = [event.type async for event in stream]
        await handle
        with pytest.raises(RuntimeError, match=r"right after runner\.start"):
            handle.events()
    assert late == ["stage.gate.completed", "pipeline.completed"]


async def test_events_asked_for_too_late_are_refused_where_nobody_listens() -> None:
    gate = Gate()
    async with Runner() as runner:
        handle = runner.start(gate.stage, "a")
        await gate.entered.wait()
        with pytest.raises(RuntimeError, match=r"right after runner\.start"):
            handle.events()
        gate.open.set()
        await handle


@pytest.mark.parametrize(
    ("made", "status", "more"),
    [
        (length, "completed", {}),
        (refuse, "failed", {"error": "no", "error_type": "StageError"}),
        (nothing, "skipped", {"reason": "nothing: nothing new"}),
        (stop, "cancelled", {"reason": "stop: enough"}),
    ],
)
async def test_a_store_keeps_each_run_and_how_it_ended(made, status, more) -> None:
    store = Store()
    context = PipelineContext(RUN, CorrelationIds(trace_id="ab" * 16))
    async with Runner(store=store) as runner:
        await runner.run(made, "abc", context=context)
    assert store.calls == [
        ("create", RUN, {"pipeline": made.name, "trace_id": "ab" * 16}),
        (status, RUN, more),
    ]


async def test_a_run_whose_ids_have_its_id_is_kept_under_it() -> None:
    store = Store()
    async with Runner(store=store) as runner:
        await runner.run(length, "abc", context=PipelineContext(correlation=CorrelationIds(run_id=RUN)))
    assert [run_id for _, run_id, _ in store.calls] == [RUN, RUN]


@pytest.mark.parametrize("name", ["run_id", "pipeline", "self", "status", "type"])
async def test_ids_of_the_applications_own_may_have_any_name(name, told) -> None:
    store = Store()
    context = PipelineContext(RUN, CorrelationIds(extra={name: "own"}))
    async with Runner(store=store, sink=told) as runner:
        assert isinstance(await runner.run(length, "abc", context=context), Completed)
    assert [run_id for _, run_id, _ in store.calls] == [RUN, RUN]
    assert store.calls[0][2]["pipeline"] == "length"
    assert told.data("pipeline.completed")["run_id"] == str(RUN)


async def test_a_run_that_its_caller_cancels_is_kept_as_cancelled_and_told(told) -> None:
    store, gate = Store(), Gate()
    async with Runner(store=store, sink=told) as runner:
        task = asyncio.ensure_future(runner.run(gate.stage, "a"))
        await gate.entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [what for what, _, _ in store.calls] == ["create", "cancelled"]
    assert told.types[-1] == "pipeline.cancelled"


@pytest.mark.parametrize("breaks_at", ["create", "end"])
async def test_a_lost_store_raises_after_every_stage_has_ended(breaks_at, told) -> None:
    async with Runner(store=Store(breaks_at=breaks_at), sink=told) as runner:
        with pytest.raises(RunStoreError, match=r"lost run .*ConnectionError: the store is gone") as raised:
            await runner.run(length, "abc", context=PipelineContext(RUN))
    assert isinstance(raised.value.__cause__, ConnectionError)
    assert ("stage.length.completed" in told.types) is (breaks_at == "end")


async def test_leaving_cancels_and_awaits_the_runs_then_closes_store_and_sink() -> None:
    class ClosingSink:
        closed = False

        async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
            assert not self.closed

        def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
            assert not self.closed

        async def aclose(self) -> None:
            self.closed = True

    store, sink, gate = Store(), ClosingSink(), Gate()
    async with Runner(store=store, sink=sink) as runner:
        handle = runner.start(gate.stage, "a")
        await gate.entered.wait()
    assert handle.done
    outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.reason == "the runner was closed"
    assert store.closed
    assert sink.closed
    assert [what for what, _, _ in store.calls] == ["create", "cancelled"]


async def test_a_store_that_does_not_close_keeps_the_sink_and_the_engine_from_nothing() -> None:
    closed: list[str] = []

    class Closing(Store):
        async def aclose(self) -> None:
            closed.append("store")
            raise ConnectionError("it is gone already")

    class Sink(NoOpEventSink):
        async def aclose(self) -> None:
            closed.append("sink")

    with pytest.raises(ConnectionError, match="gone already"):
        async with Runner(store=Closing(), sink=Sink()):
            pass
    assert closed == ["store", "sink"]


async def test_leaving_awaits_a_run_that_another_task_awaits_too() -> None:
    gate, runner = Gate(), Runner()
    async with runner:
        task = asyncio.ensure_future(runner.run(gate.stage, "a"))
        await gate.entered.wait()
    assert isinstance(await task, Cancelled)


async def test_leaving_goes_on_to_the_end_where_it_is_cancelled_itself() -> None:
    gate, leaving, cleaned = Gate(), asyncio.Event(), asyncio.Event()
    store = Store()

    @stage
    async def slow_to_leave(inputs: StageInputs[str]):
        gate.entered.set()
        try:
            await gate.open.wait()
        finally:
            leaving.set()
            await cleaned.wait()

    async def use() -> None:
        async with Runner(store=store) as runner:
            runner.start(slow_to_leave, "a")
            await gate.entered.wait()

    task = asyncio.ensure_future(use())
    await leaving.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    cleaned.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.closed


async def test_a_closed_runner_runs_nothing_more() -> None:
    async with Runner() as runner:
        pass
    with pytest.raises(RuntimeError, match="was closed"):
        await runner.run(length, "abc")
    with pytest.raises(RuntimeError, match="was closed"):
        runner.start(length, "abc")


async def test_on_failure_finish_runs_what_does_not_depend_on_the_failure() -> None:
    both = Pipeline.of(str).with_stage(refuse).with_stage(length.named("after"), after=refuse).with_stage(length)
    async with Runner(on_failure="finish") as runner:
        outcome = await runner.run(both, "abc")
    assert isinstance(outcome, Failed)
    assert outcome.report.outputs[length] == 3
    assert outcome.report.stages["after"].status == "cancel"


async def test_max_concurrency_holds_across_the_runs_of_a_runner() -> None:
    inside: list[int] = []
    most: list[int] = []

    @stage
    async def work(inputs: StageInputs[str]):
        inside.append(1)
        most.append(len(inside))
        await asyncio.sleep(0)
        inside.pop()
        return ok(None)

    async with Runner(max_concurrency=2) as runner:
        handles = [runner.start(work.each(), ["a"] * 5) for _ in range(3)]
        assert all([isinstance(await handle, Completed) for handle in handles])
    assert max(most) == 2


async def test_a_deadline_ends_a_run_as_cancelled_and_the_runs_own_comes_first() -> None:
    gate = Gate()
    async with Runner(deadline=0.001) as runner:
        outcome = await runner.run(gate.stage, "a")
    assert isinstance(outcome, Cancelled)
    assert "deadline of 0.001 s" in outcome.reason
    async with Runner(deadline=1000) as runner:
        outcome = await runner.run(gate.stage, "a", context=PipelineContext(deadline=0.001))
    assert isinstance(outcome, Cancelled)


async def test_a_sink_of_the_context_comes_before_the_runners_and_that_before_the_ambient_one(told) -> None:
    others = [type(told)() for _ in range(2)]
    with event_sink(others[1]):
        async with Runner(sink=others[0]) as runner:
            await runner.run(length, "abc", context=PipelineContext(sink=told))
            assert (len(told.events), len(others[0].events), len(others[1].events)) == (5, 0, 0)
            await runner.run(length, "abc")
            assert (len(told.events), len(others[0].events), len(others[1].events)) == (5, 5, 0)
        await length.run("abc")
    assert (len(told.events), len(others[0].events), len(others[1].events)) == (5, 5, 5)


async def test_a_sink_that_raises_changes_no_outcome(caplog) -> None:
    class Broken:
        async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
            raise ConnectionError("the sink is gone")

        def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
            raise ConnectionError("the sink is gone")

    async with Runner(sink=Broken()) as runner:
        outcome = await runner.run(length, "abc")
    assert isinstance(outcome, Completed)
    assert "the run goes on" in caplog.text
    assert "the run's outcome stands" in caplog.text


async def test_a_skipped_run_tells_that_it_completed_with_status_skip(told) -> None:
    outcome = await nothing.run("abc", context=PipelineContext(sink=told))
    assert isinstance(outcome, Skipped)
    assert told.types[-1] == "pipeline.completed"
    assert told.events[-1][1]["status"] == "skip"


async def test_a_defect_is_told_with_its_error(told) -> None:
    await explode.run("abc", context=PipelineContext(sink=told))
    assert told.data("stage.explode.failed")["error_type"] == "StageExecutionError"
    assert "bad digit" in str(told.data("pipeline.failed")["error"])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks that begin at once are new in CPython 3.12")
def test_on_a_loop_whose_tasks_begin_at_once_all_is_as_on_any_other() -> None:
    @stage
    async def waits(inputs: StageInputs[int]):
        await together.wait()
        return ok(inputs.value)

    together = asyncio.Barrier(3)  # passes once all three of them run

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        handle = Runner().start(lift(range, name="split") | waits.each(), 3)
        types = [event.type async for event in handle.events()]
        assert types[0] == "pipeline.created"
        assert types[-1] == "pipeline.completed"
        outcome = await handle
        assert isinstance(outcome, Completed)
        assert outcome.value == (0, 1, 2)

    asyncio.run(main())
