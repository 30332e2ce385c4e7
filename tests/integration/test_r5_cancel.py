"""R5: a stage, the outside, a deadline and the awaiting task can end a run; no task outlives its run."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import pytest
from returns.result import Result

from stageflow import (
    Cancelled,
    Completed,
    Failed,
    NoOpEventSink,
    Pipeline,
    PipelineContext,
    RunHandle,
    Runner,
    RunRecord,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    StageStatus,
    cancel,
    fail,
    lift,
    ok,
    stage,
)
from tests.leaping import leaping

AnyStage = Stage[object, object, StageError]
PATIENCE = 10.0


class RecordingSink:
    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, object]]] = []

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.events.append((type, data or {}))

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.try_emit(type=type, data=data)

    def types(self) -> list[str]:
        return [type for type, _ in self.events]


class RecordingStore:
    def __init__(self) -> None:
        self.statuses: list[str] = []

    async def create_run(self, run_id: UUID, **metadata: object) -> RunRecord:
        self.statuses.append("running")
        now = datetime.now(UTC)
        return RunRecord(run_id, "running", metadata, now, now)

    async def update_status(self, run_id: UUID, status: str, **data: object) -> None:
        await asyncio.sleep(0)
        self.statuses.append(status)

    async def get_run(self, run_id: UUID) -> RunRecord | None:
        return None


class Lingering:
    """A stage that never ends by itself, and takes a few steps to clean up."""

    def __init__(self, name: str) -> None:
        self.began = asyncio.Event()
        self.cleaned_up = False
        self.stage = stage(name=name)(self._run)

    async def _run(self, inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            self.cleaned_up = True
        return ok(None)


def gives(name: str, ran: list[str] | None = None) -> AnyStage:
    @stage(name=name)
    async def giving(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        if ran is not None:
            ran.append(name)
        return ok(inputs.value)

    return giving


def cancels(name: str = "enough", after: asyncio.Event | None = None) -> AnyStage:
    @stage(name=name)
    async def cancelling(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        if after is not None:
            await after.wait()
        return cancel("we have enough")

    return cancelling


def others() -> set[asyncio.Task[object]]:
    current = asyncio.current_task()
    return {task for task in asyncio.all_tasks() if task is not current}


async def test_a_stage_that_cancels_ends_the_run_as_cancelled() -> None:
    outcome = await (gives("first") | cancels() | gives("last")).run("x")
    assert isinstance(outcome, Cancelled)
    assert "we have enough" in outcome.reason
    assert "enough" in outcome.reason
    assert outcome.report.stages["enough"].status is StageStatus.CANCEL
    assert outcome.report.stages["enough"].reason == "we have enough"
    assert outcome.report.stages["enough"].attempts == 1


async def test_a_stage_that_cancels_cancels_and_awaits_its_siblings() -> None:
    sibling = Lingering("sibling")
    outcome = await (sibling.stage & cancels(after=sibling.began)).run("x")
    assert isinstance(outcome, Cancelled)
    assert sibling.cleaned_up
    assert outcome.report.stages["sibling"].status is StageStatus.CANCEL
    assert not others()


async def test_after_a_stage_cancelled_the_rest_never_starts() -> None:
    ran: list[str] = []
    sink = RecordingSink()
    outcome = await (gives("first", ran) | cancels() | gives("last", ran)).run("x", context=PipelineContext(sink=sink))
    last = outcome.report.stages["last"]
    assert ran == ["first"]
    assert (last.status, last.attempts, last.started_at) == (StageStatus.CANCEL, 0, None)
    assert "we have enough" in last.reason
    assert "stage.last.started" not in sink.types()


async def test_what_finished_before_a_cancel_is_in_the_report() -> None:
    outcome = await (gives("first") | cancels()).run("x")
    assert outcome.report.outputs["first"] == "x"


async def test_a_stage_deep_inside_cancels_the_whole_run() -> None:
    sibling, ran = Lingering("sibling"), list[str]()
    inner = ((gives("a") | cancels(after=sibling.began)).named("inner") | gives("b", ran)).named("outer")
    outcome = await ((sibling.stage & inner) | gives("last", ran)).run("x")
    assert isinstance(outcome, Cancelled)
    assert sibling.cleaned_up
    assert not ran


@pytest.mark.parametrize("absorber", ["optional", "settled", "recover", "each"])
async def test_nothing_absorbs_a_cancel(absorber: str) -> None:
    async def unreached(error: StageError) -> Result[StageOutput[object], StageError]:
        raise AssertionError(error)

    ran: list[str] = []
    wrapped = {
        "optional": cancels().optional(),
        "settled": cancels().settled(),
        "recover": cancels().recover(unreached),
        "each": cancels().each(),
    }[absorber]
    outcome = await (wrapped | gives("last", ran)).run(["x"])
    assert isinstance(outcome, Cancelled)
    assert "we have enough" in outcome.reason
    assert not ran


async def test_a_cancelled_run_says_so_last() -> None:
    sink = RecordingSink()
    await (gives("first") | cancels()).run("x", context=PipelineContext(sink=sink))
    type, data = sink.events[-1]
    assert (type, data["status"]) == ("pipeline.cancelled", "cancel")
    assert "we have enough" in str(data["reason"])
    assert "stage.enough.cancelled" in sink.types()


async def test_a_handle_cancels_a_run_from_outside() -> None:
    one, two = Lingering("one"), Lingering("two")
    handle = Runner().start((one.stage & two.stage).together(), "x")
    await one.began.wait()
    await two.began.wait()
    handle.cancel("no longer wanted")
    outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.reason == "no longer wanted"
    assert one.cleaned_up
    assert two.cleaned_up
    assert outcome.report.stages["one"].status is StageStatus.CANCEL
    assert "no longer wanted" in outcome.report.stages["one"].reason


async def test_a_run_cancelled_before_its_first_stage_starts_none() -> None:
    ran: list[str] = []
    sink, store = RecordingSink(), RecordingStore()
    handle = Runner(sink=sink, store=store).start(gives("first", ran) | gives("last", ran), "x")
    handle.cancel("at once")
    outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.reason == "at once"
    assert not ran
    for result in outcome.report.stages.values():
        assert (result.status, result.attempts, result.reason) == (StageStatus.CANCEL, 0, "at once")
    assert sink.types() == ["pipeline.created", "pipeline.started", "pipeline.cancelled"]
    assert store.statuses == ["running", "cancelled"]


@pytest.mark.parametrize("steps", range(8))
async def test_a_handle_cancels_at_any_early_moment(steps: int) -> None:
    lingering, ran = Lingering("lingering"), list[str]()
    handle = Runner(sink=RecordingSink(), store=RecordingStore()).start(lingering.stage | gives("last", ran), "x")
    for _ in range(steps):
        await asyncio.sleep(0)
    handle.cancel("early")
    outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.reason == "early"
    assert lingering.cleaned_up is lingering.began.is_set()
    assert not ran


@pytest.mark.parametrize("goes_on", [False, True], ids=["and returns", "and goes on"])
async def test_a_stage_may_cancel_its_own_run_by_the_handle(goes_on: bool) -> None:
    ran: list[str] = []

    @stage
    async def cancelling(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        handle.cancel("from inside")
        if goes_on:
            await asyncio.sleep(0)
        return ok(None)

    sibling = Lingering("sibling")
    handle = Runner().start((sibling.stage & (cancelling | gives("last", ran))).together(), "x")
    async with asyncio.timeout(PATIENCE):
        outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.reason == "from inside"
    assert sibling.cleaned_up
    assert not ran
    assert not others()


async def test_a_stage_may_cancel_the_task_that_awaits_its_run() -> None:
    ran: list[str] = []

    @stage
    async def cancelling(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        task.cancel()
        return ok(None)

    task = asyncio.create_task((cancelling | gives("next", ran) | Lingering("last").stage).run("x"))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not others()


async def test_a_cancel_without_a_reason_has_one() -> None:
    lingering = Lingering("lingering")
    handle = Runner().start(lingering.stage, "x")
    handle.cancel()
    outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.reason


async def test_the_first_reason_stands() -> None:
    lingering = Lingering("lingering")
    handle = Runner().start(lingering.stage, "x")
    await lingering.began.wait()
    handle.cancel("first")
    handle.cancel("second")
    outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.reason == "first"


async def test_cancelling_a_run_that_has_ended_changes_nothing() -> None:
    handle = Runner().start(gives("first"), "x")
    outcome = await handle
    handle.cancel("too late")
    assert isinstance(outcome, Completed)
    assert await handle is outcome


async def test_leaving_a_runner_cancels_and_awaits_the_runs_that_it_started() -> None:
    lingering = Lingering("lingering")
    async with Runner() as runner:
        handle = runner.start(lingering.stage, "x")
        await lingering.began.wait()
    assert lingering.cleaned_up
    assert handle.done
    assert isinstance(await handle, Cancelled)
    assert not others()


@pytest.mark.parametrize("by", ["a stage", "a handle"])
async def test_under_finish_a_cancel_ends_the_run_at_once(by: str) -> None:
    lingering, ran = Lingering("lingering"), list[str]()
    canceller = cancels(after=lingering.began) if by == "a stage" else Lingering("other").stage
    pipeline = (lingering.stage | gives("last", ran)) & canceller
    handle = Runner(on_failure="finish").start(pipeline.together(), "x")
    await lingering.began.wait()
    if by == "a handle":
        handle.cancel("no longer wanted")
    async with asyncio.timeout(PATIENCE):
        outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert lingering.cleaned_up
    assert not ran


@pytest.mark.parametrize("by", ["a stage", "a handle"])
async def test_under_finish_a_cancel_after_a_failure_ends_the_run_at_once_and_wins(by: str) -> None:
    failed, ran = asyncio.Event(), list[str]()
    lingering = Lingering("lingering")

    @stage
    async def broken(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        failed.set()
        return fail("no")

    canceller = cancels(after=failed) if by == "a stage" else Lingering("other").stage
    pipeline = broken & (lingering.stage | gives("last", ran)) & canceller
    handle = Runner(on_failure="finish").start(pipeline.together(), "x")
    await failed.wait()
    if by == "a handle":
        await lingering.began.wait()
        handle.cancel("no longer wanted")
    async with asyncio.timeout(PATIENCE):
        outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.report.stages["broken"].status is StageStatus.FAIL
    assert outcome.report.stages["broken"].error == StageError("no")
    assert lingering.cleaned_up
    assert not ran


async def test_a_cancel_wins_while_a_failure_is_still_being_cleaned_up_after() -> None:
    began, cleaning = asyncio.Event(), asyncio.Event()

    @stage
    async def slow_to_clean(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await asyncio.Event().wait()  # ends by the second cancellation alone
        return ok(None)

    @stage
    async def broken(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await began.wait()
        return fail("no")

    handle = Runner().start((slow_to_clean & broken).together(), "x")
    await cleaning.wait()
    assert not handle.done
    handle.cancel("no longer wanted")
    async with asyncio.timeout(PATIENCE):
        outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.reason == "no longer wanted"
    assert outcome.report.stages["broken"].error == StageError("no")


@pytest.mark.parametrize("how", ["run", "handle"])
async def test_cancelling_the_awaiting_task_cancels_and_awaits_every_stage_and_raises(how: str) -> None:
    one, two = Lingering("one"), Lingering("two")
    pipeline = (one.stage & (gives("first") | two.stage).named("inner")).together()
    sink, store = RecordingSink(), RecordingStore()
    runner = Runner(sink=sink, store=store)

    async def await_it() -> object:
        return await runner.run(pipeline, "x") if how == "run" else await runner.start(pipeline, "x")

    task = asyncio.create_task(await_it())
    await one.began.wait()
    await two.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert one.cleaned_up
    assert two.cleaned_up
    assert store.statuses == ["running", "cancelled"]
    assert sink.types()[-1] == "pipeline.cancelled"
    assert {"stage.one.cancelled", "stage.inner.two.cancelled"} < set(sink.types())
    assert not others()


async def test_a_timeout_around_a_run_is_heard_and_the_run_is_over_by_then() -> None:
    lingering = Lingering("lingering")
    started = asyncio.Event()

    async def run() -> None:
        started.set()
        await lingering.stage.run("x")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await run()
    assert started.is_set()
    assert lingering.cleaned_up is lingering.began.is_set()
    assert not others()


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
@pytest.mark.parametrize("asks", ["the stage", "a sink"])
async def test_a_run_that_is_cancelled_by_what_it_calls_cancels_the_stage_that_is_under_way(
    asks: str, beside: bool
) -> None:
    class Asking(NoOpEventSink):
        def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
            if asks == "a sink" and type == "stage.asking.started":
                handle.cancel("enough")

    @stage
    async def asking(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        if asks == "the stage":
            handle.cancel("enough")
        await asyncio.Event().wait()
        return ok(inputs.value)

    pipeline = (asking & gives("other")).together() if beside else asking
    handle = Runner(sink=Asking()).start(pipeline, "x")
    outcome = await asyncio.wait_for(_outcome(handle), 5)
    assert isinstance(outcome, Cancelled)
    assert outcome.reason == "enough"
    assert outcome.report.stages["asking"].status is StageStatus.CANCEL


async def _outcome(handle: RunHandle[object, StageError]) -> object:
    return await handle


async def test_a_task_that_was_cancelled_can_run_another_pipeline_after_it() -> None:
    lingering = Lingering("lingering")

    async def resilient() -> object:
        try:
            await lingering.stage.run("x")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        return await gives("second").run("y")

    task = asyncio.create_task(resilient())
    await lingering.began.wait()
    task.cancel()
    outcome = await task
    assert isinstance(outcome, Completed)
    assert outcome.value == "y"


async def test_after_a_stage_that_cancels_the_callers_task_and_gives_in_nothing_starts() -> None:
    ran: list[str] = []

    @stage
    async def ending(_: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        raise asyncio.CancelledError

    @stage
    async def beside(_: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        ran.append("beside")
        return ok(None)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task((ending & beside).into(lambda _, other: other).run("x"))
    assert ran == []


async def test_cancelling_one_run_leaves_another_alone() -> None:
    pipeline_end = asyncio.Event()
    lingering = Lingering("lingering")

    @stage
    async def patient(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await pipeline_end.wait()
        return ok(inputs.value)

    runner = Runner()
    first, second = runner.start(lingering.stage, "x"), runner.start(patient, "y")
    await lingering.began.wait()
    first.cancel("no longer wanted")
    assert isinstance(await first, Cancelled)
    pipeline_end.set()
    outcome = await second
    assert isinstance(outcome, Completed)


async def test_a_deadline_ends_the_run_as_cancelled() -> None:
    lingering = Lingering("lingering")
    outcome = await Runner(deadline=0.001).run(lingering.stage | gives("last"), "x")
    assert isinstance(outcome, Cancelled)
    assert "deadline" in outcome.reason
    assert lingering.cleaned_up
    assert outcome.report.stages["lingering"].status is StageStatus.CANCEL


def test_a_stage_that_ignores_its_cancellation_holds_the_run_and_a_warning_names_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        began, end = asyncio.Event(), asyncio.Event()
        ignored = 0

        @stage
        async def deaf(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
            nonlocal ignored
            began.set()
            while not end.is_set():
                try:
                    await end.wait()
                except asyncio.CancelledError:
                    ignored += 1
            return ok(None)

        handle = Runner().start((deaf & gives("quick")).together(), "x")
        await began.wait()
        cancelled_at = loop.time()
        handle.cancel("no longer wanted")
        loop.call_later(3600, end.set)
        outcome = await handle
        assert isinstance(outcome, Cancelled)
        assert loop.time() - cancelled_at >= 3600, "the run was held until the stage ended"
        assert ignored
        assert not others()

    with caplog.at_level(logging.WARNING, logger="stageflow"):
        leaping(main)
    (warning,) = [record for record in caplog.records if record.name.startswith("stageflow")]
    assert warning.levelno == logging.WARNING
    assert '"deaf"' in warning.getMessage()
    assert "quick" not in warning.getMessage()


def test_a_stage_inside_a_pipeline_that_ignores_its_cancellation_is_named_in_full(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        began, end = asyncio.Event(), asyncio.Event()

        @stage
        async def deaf(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
            began.set()
            while not end.is_set():
                try:
                    await end.wait()
                except asyncio.CancelledError:
                    continue
            return ok(None)

        handle = Runner().start((gives("first") | deaf).named("inner").settled(), "x")
        await began.wait()
        handle.cancel("no longer wanted")
        asyncio.get_running_loop().call_later(3600, end.set)
        assert isinstance(await handle, Cancelled)

    with caplog.at_level(logging.WARNING, logger="stageflow"):
        leaping(main)
    assert any('"inner.deaf"' in record.getMessage() for record in caplog.records)


def test_a_run_whose_stages_end_in_time_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        lingering = Lingering("lingering")
        handle = Runner().start(lingering.stage, "x")
        await lingering.began.wait()
        handle.cancel("no longer wanted")
        assert isinstance(await handle, Cancelled)
        await asyncio.sleep(3600)

    with caplog.at_level(logging.WARNING):
        leaping(main)
    assert not caplog.records


def test_a_thread_holds_the_run_until_it_ends_and_a_warning_names_its_stage() -> None:
    release, ended = threading.Event(), threading.Event()
    told_of_start: list[Callable[[], object]] = []
    heard: list[str] = []

    class Releasing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())
            release.set()

    def block(value: object) -> object:
        told_of_start[0]()
        release.wait(PATIENCE)
        ended.set()
        return value

    async def main() -> None:
        loop, began = asyncio.get_running_loop(), asyncio.Event()
        told_of_start.append(lambda: loop.call_soon_threadsafe(began.set))
        handle = Runner().start(lift(name="blocking", thread=True)(block), "x")
        await began.wait()
        handle.cancel("no longer wanted")
        outcome = await handle
        assert isinstance(outcome, Cancelled)
        assert ended.is_set(), "the run returned before its thread had ended"
        assert outcome.report.stages["blocking"].status is StageStatus.CANCEL

    handler = Releasing(logging.WARNING)
    logging.getLogger("stageflow").addHandler(handler)
    try:
        leaping(main)
    finally:
        logging.getLogger("stageflow").removeHandler(handler)
    assert ['"blocking"' in text for text in heard] == [True]


@pytest.mark.parametrize("ends_as", ["ok", "raise", "fail"])
async def test_a_stage_that_swallows_its_cancellation_does_not_make_the_run_complete(
    ends_as: Literal["ok", "raise", "fail"],
) -> None:
    began = asyncio.Event()

    @stage
    async def swallowing(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if ends_as == "raise":
                raise ValueError("while cleaning up") from None
        return ok("swallowed") if ends_as == "ok" else fail("failed")

    ran: list[str] = []
    handle = Runner().start(swallowing | gives("last", ran), "x")
    await began.wait()
    handle.cancel("no longer wanted")
    outcome = await handle
    assert isinstance(outcome, Cancelled), outcome
    assert outcome.reason == "no longer wanted"
    assert not ran


async def test_a_failed_run_leaves_no_task() -> None:
    lingering = Lingering("lingering")

    @stage
    async def broken(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await lingering.began.wait()
        return fail("no")

    outcome = await (lingering.stage.each() & broken).run(["x", "y", "z"])
    assert isinstance(outcome, Failed)
    assert not others()


async def test_a_completed_run_leaves_no_task() -> None:
    pipeline = Pipeline.of(object).with_stage(gives("a")).with_stage(gives("b")).with_stage(gives("c"))
    assert isinstance(await pipeline.run("x"), Completed)
    assert not others()


@pytest.mark.parametrize("wrapped", ["each", "settled", "optional", "nested"])
async def test_cancelling_the_awaiting_task_reaches_stages_inside_composites(wrapped: str) -> None:
    lingering = Lingering("lingering")
    whole = {
        "each": lingering.stage.each(),
        "settled": (gives("first") | lingering.stage).settled(),
        "optional": (gives("first") | lingering.stage).optional(),
        "nested": ((gives("first") | lingering.stage).each() | gives("last")).each(),
    }[wrapped]
    value = [["x"]]
    task = asyncio.create_task(whole.run(value))
    await lingering.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lingering.cleaned_up
    assert not others()
