"""R6: what escapes a stage is a failure with the stage's name; what precedes the first stage raises."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from uuid import UUID

import pytest
from returns.result import Failure, Result, Success

from stageflow import (
    Cancelled,
    CodecError,
    Completed,
    Failed,
    MissingPortError,
    Pipeline,
    PipelineContext,
    PipelineValidationError,
    PortKey,
    RetryInterceptor,
    Runner,
    RunRecord,
    RunStoreError,
    Stage,
    StageError,
    StageExecutionError,
    StageInputs,
    StageOutput,
    StagePorts,
    StageStatus,
    TimeoutInterceptor,
    UndeclaredDependencyError,
    WorkerLostError,
    fail,
    lift,
    ok,
    skip,
    stage,
)

AnyStage = Stage[object, object, StageError]
CLOCK: PortKey[float] = PortKey("clock")
MAIL: PortKey[str] = PortKey("mail")


class RecordingSink:
    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, object]]] = []

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.events.append((type, data or {}))

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.try_emit(type=type, data=data)

    def types(self) -> list[str]:
        return [type for type, _ in self.events]


class HttpError(StageError):
    url: str = ""


def raises(error: BaseException, name: str = "broken", *, suspends: bool = False) -> AnyStage:
    @stage(name=name)
    async def raising(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        if suspends:
            await asyncio.sleep(0)
        raise error

    return raising


def returns(given: object, name: str = "broken") -> AnyStage:
    @stage(name=name)
    async def returning(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return given  # type: ignore[return-value]

    return returning


def gives(name: str, ran: list[str] | None = None) -> AnyStage:
    @stage(name=name)
    async def giving(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        if ran is not None:
            ran.append(name)
        return ok(inputs.value)

    return giving


def defect_of(outcome: object) -> StageExecutionError:
    assert isinstance(outcome, Failed), outcome
    assert isinstance(outcome.error, StageExecutionError), outcome.error
    return outcome.error


@pytest.mark.parametrize("suspends", [False, True], ids=["at once", "after a suspension"])
async def test_an_exception_becomes_a_stage_execution_error_with_the_name_and_the_cause(suspends: bool) -> None:
    original = ValueError("no number")
    outcome = await (gives("first") | raises(original, suspends=suspends)).run("x")
    error = defect_of(outcome)
    assert type(error) is StageExecutionError
    assert error.stage == "broken"
    assert error.__cause__ is original
    assert str(error) == 'Stage "broken" raised ValueError: no number'


async def test_a_defect_keeps_the_traceback_to_where_it_was_raised() -> None:
    error = defect_of(await raises(ValueError("no")).run("x"))
    assert error.__cause__ is not None
    traceback = error.__cause__.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    assert traceback is not None
    assert traceback.tb_frame.f_code.co_name == "raising"


async def test_a_defect_inside_a_named_pipeline_names_the_stage_in_full() -> None:
    error = defect_of(await (gives("first") | raises(ValueError("no"))).named("inner").run("x"))
    assert error.stage == "inner.broken"


async def test_a_defect_counts_as_a_failure() -> None:
    ran: list[str] = []
    sink = RecordingSink()
    outcome = await (raises(ValueError("no")) | gives("last", ran)).run("x", context=PipelineContext(sink=sink))
    error = defect_of(outcome)
    assert outcome.report.stages["broken"].status is StageStatus.FAIL
    assert outcome.report.stages["broken"].error is error
    assert outcome.report.stages["last"].status is StageStatus.CANCEL
    assert not ran
    assert sink.types()[-2:] == ["stage.broken.failed", "pipeline.failed"]


async def test_a_defect_cancels_its_siblings() -> None:
    began, cleaned_up = asyncio.Event(), list[bool]()

    @stage
    async def sibling(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.append(True)
        return ok(None)

    @stage
    async def broken(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await began.wait()
        raise ValueError("no")

    defect_of(await (sibling & broken).run("x"))
    assert cleaned_up


async def test_a_raised_stage_error_becomes_a_stage_execution_error_too() -> None:
    original = HttpError("gone", url="https://a")
    error = defect_of(await raises(original).run("x"))
    assert type(error) is StageExecutionError
    assert error.stage == "broken"
    assert error.__cause__ is original


async def test_what_a_condition_raises_is_a_defect_of_its_stage() -> None:
    def broken_condition(inputs: StageInputs[object]) -> bool:
        raise ValueError("condition")

    error = defect_of(await gives("guarded").when(broken_condition).run("x"))
    assert error.stage == "guarded"


async def test_what_a_lifted_function_raises_is_a_defect() -> None:
    error = defect_of(await lift(name="parse")(lambda text: int(text)).run("x"))  # noqa: PLW0108  (a lambda to name)
    assert error.stage == "parse"
    assert isinstance(error.__cause__, ValueError)


async def test_what_a_thread_raises_is_a_defect() -> None:
    def broken(value: object) -> object:
        raise ValueError(value)

    error = defect_of(await lift(name="parse", thread=True)(broken).run("x"))
    assert error.stage == "parse"
    assert isinstance(error.__cause__, ValueError)


async def test_a_lifted_failure_that_carries_no_stage_error_is_a_defect() -> None:
    original = ValueError("no number")
    error = defect_of(await lift(name="parse")(lambda _: Failure(original)).run("x"))
    assert error.stage == "parse"
    assert error.__cause__ is original


async def test_each_of_something_that_is_no_sequence_is_a_defect_that_says_so() -> None:
    error = defect_of(await (lift(name="count")(lambda _: 3) | gives("item").each()).run("x"))
    assert "sequence" in str(error)


SUBCLASSES = [MissingPortError, UndeclaredDependencyError, CodecError, WorkerLostError]


@pytest.mark.parametrize("kind", SUBCLASSES)
def test_the_other_defects_are_stage_execution_errors(kind: type[StageExecutionError]) -> None:
    assert issubclass(kind, StageExecutionError)
    assert issubclass(kind, StageError)


@pytest.mark.parametrize("kind", SUBCLASSES)
async def test_a_defect_of_the_library_keeps_its_class_and_gets_the_stages_name(
    kind: type[StageExecutionError],
) -> None:
    error = defect_of(await raises(kind("lost")).run("x"))
    assert type(error) is kind
    assert error.stage == "broken"
    assert "lost" in str(error)


async def test_a_port_asked_for_without_being_required_is_a_missing_port_error_of_the_stage() -> None:
    @stage
    async def asking(inputs: StageInputs[object]) -> Result[StageOutput[float], StageError]:
        return ok(inputs.ports[CLOCK])

    error = defect_of(await asking.run("x"))
    assert isinstance(error, MissingPortError)
    assert error.stage == "asking"
    assert '"clock"' in str(error)


ESCAPES: dict[str, Callable[[], AnyStage]] = {
    "an exception": lambda: raises(ValueError("no")),
    "a stage error": lambda: raises(HttpError("gone")),
    "an assertion": lambda: raises(AssertionError("no")),
    "a timeout": lambda: raises(TimeoutError("slow")),
    "a stop iteration": lambda: raises(StopIteration(3)),
    "a stop async iteration": lambda: raises(StopAsyncIteration()),
    "a cancellation of its own": lambda: raises(asyncio.CancelledError()),
    "a group": lambda: raises(ExceptionGroup("several", [ValueError("one"), KeyError("two")])),
    "no result": lambda: returns(None),
    "a validation error": lambda: raises(PipelineValidationError(("a problem",))),
    "a store error": lambda: raises(RunStoreError("mine")),
}


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize("around", ["alone", "in a chain", "beside another", "as an item", "nested", "in interceptors"])
async def test_nothing_but_a_stage_execution_error_comes_out_of_a_run(escape: str, around: str) -> None:
    broken = ESCAPES[escape]()
    pipeline = {
        "alone": broken,
        "in a chain": gives("first") | broken | gives("last"),
        "beside another": (gives("first") & broken).together(),
        "as an item": broken.each(),
        "nested": (gives("first") | broken).named("inner").each(),
        "in interceptors": broken.using(RetryInterceptor(attempts=2)).using(TimeoutInterceptor(60.0)),
    }[around]
    error = defect_of(await pipeline.run(["x"]))
    assert "broken" in error.stage
    assert "broken" in str(error)


async def test_an_invalid_graph_raises_before_anything_starts_with_all_problems() -> None:
    ran: list[str] = []
    first = gives("first", ran)
    pipeline = (
        Pipeline.of(object)
        .with_stage(first)
        .with_stage("second", gives("any", ran), dependencies=("fisrt",))
        .with_stage("third", gives("other", ran), dependencies=("nowhere",))
    )
    with pytest.raises(PipelineValidationError) as raised:
        await pipeline.run("x")
    assert len(raised.value.problems) == 2
    assert not ran


async def test_ports_that_are_not_provided_raise_before_anything_starts_all_at_once() -> None:
    ran: list[str] = []

    @stage(requires=(CLOCK,))
    async def timed(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        ran.append("timed")
        return ok(None)

    @stage(requires=(CLOCK, MAIL))
    async def mailing(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        ran.append("mailing")
        return ok(None)

    pipeline = gives("first", ran) | timed | (mailing | gives("last")).named("inner")
    with pytest.raises(MissingPortError) as raised:
        await pipeline.run("x")
    text = str(raised.value)
    assert '"clock"' in text
    assert '"mail"' in text
    assert '"timed"' in text
    assert '"inner.mailing"' in text
    assert not ran
    with pytest.raises(MissingPortError, match='"mail"'):
        await pipeline.run("x", context=PipelineContext(ports=StagePorts().provide(CLOCK, 1.0)))
    assert not ran


async def test_a_missing_port_raises_where_a_run_is_started_too() -> None:
    @stage(requires=(CLOCK,))
    async def timed(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return ok(None)

    with pytest.raises(MissingPortError, match='"clock"'):
        await Runner().start(timed, "x")


class FragileStore:
    """Loses what it is told to lose."""

    def __init__(self, loses: str) -> None:
        self._loses = loses

    async def create_run(self, run_id: UUID, **metadata: object) -> RunRecord:
        if self._loses == "create_run":
            raise ConnectionError("the store is gone")
        now = datetime.now(UTC)
        return RunRecord(run_id, "running", metadata, now, now)

    async def update_status(self, run_id: UUID, status: str, **data: object) -> None:
        if self._loses == "update_status":
            raise ConnectionError("the store is gone")

    async def get_run(self, run_id: UUID) -> RunRecord | None:
        return None


async def test_a_store_lost_before_the_first_stage_raises_and_starts_nothing() -> None:
    ran: list[str] = []
    with pytest.raises(RunStoreError, match="the store is gone") as raised:
        await Runner(store=FragileStore("create_run")).run(gives("first", ran), "x")
    assert isinstance(raised.value.__cause__, ConnectionError)
    assert not ran


@pytest.mark.parametrize("ends_as", ["completed", "failed", "cancelled"])
async def test_a_store_lost_in_the_middle_raises_after_every_stage_has_ended(ends_as: str) -> None:
    began, cleaned_up = asyncio.Event(), list[bool]()

    @stage
    async def lingering(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        began.set()
        try:
            if ends_as != "completed":
                await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned_up.append(True)
        return ok(None)

    @stage
    async def ending(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await began.wait()
        return fail("no") if ends_as == "failed" else ok(None)

    sink = RecordingSink()
    handle = Runner(store=FragileStore("update_status"), sink=sink).start((lingering & ending).together(), "x")
    await began.wait()
    if ends_as == "cancelled":
        handle.cancel("enough")
    with pytest.raises(RunStoreError, match="the store is gone"):
        await handle
    assert cleaned_up
    assert sink.types()[-1] == f"pipeline.{ends_as}"
    assert asyncio.all_tasks() == {asyncio.current_task()}


class NoException(BaseException):
    """What pytest.fail and pytest.skip raise is of this kind."""


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, NoException])
@pytest.mark.parametrize("around", ["beside", "nested", "an item", "handle"])
def test_an_interrupt_cleans_up_and_propagates(
    kind: type[BaseException], around: str, caplog: pytest.LogCaptureFixture
) -> None:
    cleaned_up: list[str] = []

    async def main() -> None:
        began = asyncio.Event()

        @stage
        async def sibling(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                cleaned_up.append("sibling")
            return ok(None)

        @stage
        async def interrupted(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
            await began.wait()
            raise kind

        pipeline = {
            "beside": (sibling & interrupted).together(),
            "nested": (sibling & (gives("first") | interrupted).named("inner").settled()).together(),
            "an item": (sibling & interrupted.each()).together(),
            "handle": (sibling & interrupted).together(),
        }[around]
        try:
            await (Runner().start(pipeline, ["x"]) if around == "handle" else pipeline.run(["x"]))
        finally:
            cleaned_up.append("caller")

    with caplog.at_level(logging.DEBUG), pytest.raises(kind):
        asyncio.run(main())
    assert cleaned_up == ["sibling", "caller"]
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG] == []


@pytest.mark.parametrize("suspends", [False, True], ids=["at once", "after a suspension"])
async def test_an_exception_group_keeps_its_members(suspends: bool) -> None:
    members = [ValueError("one"), KeyError("two")]
    error = defect_of(await raises(ExceptionGroup("several", members), suspends=suspends).run("x"))
    assert isinstance(error.__cause__, ExceptionGroup)
    assert list(error.__cause__.exceptions) == members


@stage
async def grouping(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
    async def worker(number: int) -> None:
        raise ValueError(number)

    async with asyncio.TaskGroup() as group:
        group.create_task(worker(1))
        group.create_task(worker(2))
    return ok(None)


@stage
async def timing(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
    async with asyncio.timeout(0):
        await asyncio.Event().wait()
    return ok(None)


PLACED: dict[str, Callable[[AnyStage], AnyStage]] = {
    "alone": lambda broken: broken,
    "after another": lambda broken: gives("first") | broken,
    "beside another": lambda broken: (gives("first") & broken).together(),
    "inside another": lambda broken: broken.named("inner"),
    "per item": lambda broken: lift(lambda value: (value,), name="split") | broken.each(),
}


@pytest.mark.parametrize("placed", PLACED.values(), ids=PLACED)
async def test_the_group_of_a_task_group_inside_a_stage_keeps_its_members(
    placed: Callable[[AnyStage], AnyStage],
) -> None:
    error = defect_of(await placed(grouping).run("x"))
    assert isinstance(error.__cause__, ExceptionGroup)
    assert [str(member) for member in error.__cause__.exceptions] == ["1", "2"]


@pytest.mark.parametrize("placed", PLACED.values(), ids=PLACED)
@pytest.mark.parametrize("broken", [grouping, timing], ids=["task group", "timeout"])
async def test_what_cancels_a_stage_from_inside_of_it_cancels_nothing_else(
    placed: Callable[[AnyStage], AnyStage], broken: AnyStage
) -> None:
    ran: list[str] = []
    outcome = await (placed(broken).settled() | gives("next", ran)).run("x")
    assert isinstance(outcome, Completed), outcome
    assert ran == ["next"]
    current = asyncio.current_task()
    assert current is not None
    assert not current.cancelling()


async def cancelled_by_itself() -> None:
    raise asyncio.CancelledError


async def cancelled_future() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def cancelled_task() -> None:
    task = asyncio.ensure_future(asyncio.sleep(3600))
    await asyncio.sleep(0)
    task.cancel()
    await task


CANCELLATIONS: list[Callable[[], Awaitable[None]]] = [cancelled_by_itself, cancelled_future, cancelled_task]


def self_cancelled(how: Callable[[], Awaitable[None]]) -> AnyStage:
    @stage(name="broken")
    async def cancelling(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await how()
        return ok(None)

    return cancelling


@pytest.mark.parametrize("how", CANCELLATIONS)
@pytest.mark.parametrize("around", ["alone", "chain", "nested", "each", "optional", "timeout", "retry"])
async def test_a_cancellation_that_a_stage_raises_by_itself_is_a_defect(
    how: Callable[[], Awaitable[None]], around: str
) -> None:
    broken = self_cancelled(how)
    pipeline = {
        "alone": broken,
        "chain": gives("first") | broken | gives("last"),
        "nested": (gives("first") | broken).named("inner"),
        "each": broken.each(),
        "optional": broken.optional(),
        "timeout": broken.using(TimeoutInterceptor(60.0)),
        "retry": broken.using(RetryInterceptor(attempts=2)),
    }[around]
    error = defect_of(await pipeline.run(["x"]))
    assert isinstance(error.__cause__, asyncio.CancelledError)
    assert "broken" in error.stage
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


@pytest.mark.parametrize("how", CANCELLATIONS)
async def test_a_cancellation_that_a_stage_raises_by_itself_leaves_others_alone_under_finish(
    how: Callable[[], Awaitable[None]],
) -> None:
    ran: list[str] = []

    @stage
    async def patient(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        for _ in range(10):
            await asyncio.sleep(0)
        ran.append("patient")
        return ok(None)

    pipeline = self_cancelled(how) & (patient | gives("last", ran))
    defect_of(await Runner(on_failure="finish").run(pipeline.together(), "x"))
    assert ran == ["patient", "last"]


@pytest.mark.parametrize("how", CANCELLATIONS)
@pytest.mark.parametrize("whole", [False, True], ids=["the stage", "a pipeline"])
async def test_settled_makes_a_value_of_a_cancellation_that_a_stage_raises_by_itself(
    how: Callable[[], Awaitable[None]], whole: bool
) -> None:
    broken = self_cancelled(how)
    outcome = await ((gives("first") | broken).settled() if whole else broken.settled()).run("x")
    assert isinstance(outcome, Completed), outcome
    error = outcome.value.failure()  # type: ignore[union-attr]
    assert isinstance(error, StageExecutionError)
    assert isinstance(error.__cause__, asyncio.CancelledError)


def _cancel_the_task() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@stage
async def odd(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
    await asyncio.sleep(0)
    _cancel_the_task()
    return ok("odd")


@stage
async def odd_at_once(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
    _cancel_the_task()
    return ok("odd")


async def test_a_stage_that_cancels_the_task_it_was_given_does_not_cancel_the_run() -> None:
    ran: list[str] = []
    outcome = await ((odd & gives("beside", ran)) | gives("next", ran)).run("x")
    assert isinstance(outcome, Completed)
    assert ran == ["beside", "next"]


async def test_a_stage_that_cannot_wait_is_given_the_task_of_whoever_awaits_the_run() -> None:
    ran: list[str] = []
    task = asyncio.create_task(_alone(odd_at_once | gives("next", ran)))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not ran


async def _alone(pipeline: AnyStage) -> object:
    return await pipeline.run("x")


async def test_a_real_cancellation_is_no_defect() -> None:
    began = asyncio.Event()

    @stage
    async def lingering(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        began.set()
        await asyncio.Event().wait()
        return ok(None)

    handle = Runner().start(lingering, "x")
    await began.wait()
    handle.cancel("enough")
    outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.report.stages["lingering"].error is None


NO_RESULTS: list[object] = [None, 3, "text", Success(3), Failure("text"), Failure(ValueError("no")), StageOutput.ok(3)]


@pytest.mark.parametrize("given", NO_RESULTS, ids=repr)
async def test_a_stage_that_returns_no_result_is_a_defect_that_says_what_it_returned(given: object) -> None:
    error = defect_of(await (gives("first") | returns(given) | gives("last")).run("x"))
    assert error.stage == "broken"
    assert str(error).startswith('Stage "broken" returned ')
    assert repr(given.failure() if isinstance(given, Failure) else given) in str(error)
    assert "ok(" in str(error) or "fail(" in str(error)


@pytest.mark.parametrize("given", NO_RESULTS, ids=repr)
@pytest.mark.parametrize("around", ["optional", "recover", "using", "when", "each", "pipeline"])
async def test_a_stage_that_returns_no_result_is_that_defect_under_wrappers_too(given: object, around: str) -> None:
    async def unreached(error: StageError) -> Result[StageOutput[object], StageError]:
        raise AssertionError(error)

    broken = returns(given)
    pipeline = {
        "optional": broken.optional(),
        "recover": broken.recover(unreached),
        "using": broken.using(RetryInterceptor(attempts=2)),
        "when": broken.when(lambda _: True),
        "each": broken.each(),
        "pipeline": (gives("first") | broken).optional(),
    }[around]
    error = defect_of(await pipeline.run(["x"]))
    assert "broken" in error.stage
    assert "which is no Result of a StageOutput" in str(error)


@pytest.mark.parametrize("given", NO_RESULTS, ids=repr)
async def test_settled_makes_a_value_of_that_defect(given: object) -> None:
    outcome = await returns(given).settled().run("x")
    assert isinstance(outcome, Completed), outcome
    error = outcome.value.failure()  # type: ignore[union-attr]
    assert isinstance(error, StageExecutionError)
    assert "which is no Result of a StageOutput" in str(error)


async def test_a_skip_beside_a_defect_does_not_hide_it() -> None:
    skipping = lift(name="skipping")(lambda _: None).when(lambda _: False)
    error = defect_of(await Runner(on_failure="finish").run((skipping & raises(ValueError("no"))).together(), "x"))
    assert error.stage == "broken"
    assert skip("a reason").unwrap().reason == "a reason"
