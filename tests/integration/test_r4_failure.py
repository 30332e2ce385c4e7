"""R4: what a failure stops, what is reported of it, and what turns it into a value."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal

import pytest
from returns.result import Failure, Result, Success

from stageflow import (
    BaseInterceptor,
    Completed,
    Failed,
    InterceptorContext,
    InterceptorResult,
    Pipeline,
    PipelineContext,
    Runner,
    Skipped,
    Stage,
    StageError,
    StageExecutionError,
    StageInputs,
    StageOutput,
    StageStatus,
    cancel,
    fail,
    lift,
    ok,
    skip,
    stage,
)

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


class NotFoundError(StageError):
    url: str = ""


class DeniedError(StageError): ...


def gives(name: str, ran: list[str] | None = None) -> AnyStage:
    @stage(name=name)
    async def giving(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        if ran is not None:
            ran.append(name)
        return ok(inputs.value)

    return giving


def fails(name: str, after: asyncio.Event | None = None) -> AnyStage:
    @stage(name=name)
    async def failing(inputs: StageInputs[object]) -> Result[StageOutput[object], NotFoundError]:
        if after is not None:
            await after.wait()
        return fail(NotFoundError(f"{name} failed", url=name))

    return failing


def raises(name: str) -> AnyStage:
    @stage(name=name)
    async def raising(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        raise ValueError(name)

    return raising


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


async def test_a_failed_stage_cancels_and_awaits_its_siblings_before_the_run_returns() -> None:
    one, two = Lingering("one"), Lingering("two")
    outcome = await (one.stage & two.stage & fails("broken", after=one.began)).run("x")
    assert isinstance(outcome, Failed)
    assert one.cleaned_up
    assert two.cleaned_up
    statuses = {name: result.status for name, result in outcome.report.stages.items()}
    assert statuses == {"one": StageStatus.CANCEL, "two": StageStatus.CANCEL, "broken": StageStatus.FAIL}


async def test_a_failure_inside_a_named_pipeline_cancels_the_siblings_outside() -> None:
    outside = Lingering("outside")
    outcome = await (outside.stage & (gives("first") | fails("broken", outside.began)).named("inner")).run("x")
    assert isinstance(outcome, Failed)
    assert outside.cleaned_up


async def test_a_failure_of_one_item_cancels_the_other_items() -> None:
    cleaned_up: list[int] = []
    all_began = asyncio.Barrier(3)

    @stage
    async def work(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        await all_began.wait()
        if inputs.value == 1:
            return fail("no")
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.append(inputs.value)
        return ok(0)

    outcome = await work.each().run([0, 1, 2])
    assert isinstance(outcome, Failed)
    assert sorted(cleaned_up) == [0, 2]


async def test_by_default_what_has_not_started_never_starts() -> None:
    ran: list[str] = []
    began = asyncio.Event()

    @stage
    async def slow(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ran.append("cleanup of slow")
        return ok(None)

    pipeline = (slow | gives("after_slow", ran)) & (fails("broken", began) | gives("after_broken", ran))
    await pipeline.run("x")
    assert ran == ["cleanup of slow"]


async def test_a_sibling_that_succeeds_all_the_same_starts_nothing_more() -> None:
    ran: list[str] = []
    began = asyncio.Event()

    @stage
    async def stubborn(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return ok("kept")
        return ok(None)

    outcome = await ((stubborn | gives("next", ran)) & fails("broken", began)).run("x")
    assert isinstance(outcome, Failed)
    assert not ran
    assert outcome.report.outputs["stubborn"] == "kept"


async def test_under_finish_all_that_does_not_depend_on_a_failure_still_runs() -> None:
    ran: list[str] = []
    failed = asyncio.Event()

    @stage
    async def broken(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        failed.set()
        return fail("no")

    @stage
    async def slow(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await failed.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        return ok("slow")

    pipeline = (broken | gives("dependent", ran)) & (slow | gives("later", ran) | gives("last", ran))
    async with asyncio.timeout(PATIENCE):
        outcome = await Runner(on_failure="finish").run(pipeline.together(), "x")
    assert isinstance(outcome, Failed)
    assert ran == ["later", "last"]
    assert outcome.report.outputs["last"] == "slow"
    assert outcome.report.stages["dependent"].status is StageStatus.CANCEL


async def test_under_finish_items_beside_a_failed_one_still_run() -> None:
    ran: list[int] = []

    @stage
    async def work(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        if inputs.value == 1:
            return fail("no")
        await asyncio.sleep(0)
        ran.append(inputs.value)
        return ok(inputs.value)

    outcome = await Runner(on_failure="finish").run(work.each(), [0, 1, 2, 3])
    assert isinstance(outcome, Failed)
    assert sorted(ran) == [0, 2, 3]


async def test_the_error_is_the_first_in_time_and_the_errors_come_in_graph_order() -> None:
    second_failed = asyncio.Event()

    @stage
    async def second(inputs: StageInputs[object]) -> Result[StageOutput[object], NotFoundError]:
        second_failed.set()
        return fail(NotFoundError("second failed", url="second"))

    third = asyncio.Event()
    pipeline = (fails("first", second_failed) & second & fails("third", third)).together()
    third.set()
    outcome = await Runner(on_failure="finish").run(pipeline, "x")
    assert isinstance(outcome, Failed)
    assert outcome.error == NotFoundError("second failed", url="second")
    assert [error.message for error in outcome.errors] == ["first failed", "second failed", "third failed"]


async def test_a_sibling_that_fails_while_it_is_cancelled_is_among_the_errors() -> None:
    began = asyncio.Event()

    @stage
    async def fragile(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return fail("fragile failed")
        return ok(None)

    outcome = await (fragile & fails("broken", began)).run("x")
    assert isinstance(outcome, Failed)
    assert outcome.error.message == "broken failed"
    assert [error.message for error in outcome.errors] == ["fragile failed", "broken failed"]


@pytest.mark.parametrize("on_failure", ["cancel", "finish"])
async def test_either_way_a_single_failure_is_the_error_and_all_the_errors(
    on_failure: Literal["cancel", "finish"],
) -> None:
    pipeline = gives("first") | fails("broken") | gives("last")
    outcome = await Runner(on_failure=on_failure).run(pipeline, "x")
    assert isinstance(outcome, Failed)
    assert outcome.errors == (outcome.error,) == (NotFoundError("broken failed", url="broken"),)


async def test_two_failures_that_are_equal_are_two_errors() -> None:
    same = fails("one")

    @stage(name="other")
    async def other(inputs: StageInputs[object]) -> Result[StageOutput[object], NotFoundError]:
        return fail(NotFoundError("one failed", url="one"))

    outcome = await Runner(on_failure="finish").run((same & other).together(), "x")
    assert isinstance(outcome, Failed)
    assert len(outcome.errors) == 2


async def test_a_failure_inside_nested_pipelines_is_one_error() -> None:
    nested = ((gives("a") | fails("broken")).named("inner") | gives("b")).named("outer")
    outcome = await Runner(on_failure="finish").run(nested, "x")
    assert isinstance(outcome, Failed)
    assert outcome.errors == (NotFoundError("broken failed", url="broken"),)


async def test_outputs_that_did_finish_are_in_the_report() -> None:
    outcome = await (gives("first") | fails("broken") | gives("last")).run("x")
    assert isinstance(outcome, Failed)
    assert outcome.report.outputs["first"] == "x"
    assert outcome.report.stages["first"].data == "x"
    for name in ("broken", "last"):
        with pytest.raises(KeyError, match=f'"{name}" gave no output'):
            outcome.report.outputs[name]


def reports(name: str, stages: Mapping[str, object]) -> tuple[StageStatus, int, object]:
    result = stages[name]
    return (result.status, result.attempts, result.started_at)  # type: ignore[attr-defined]


@pytest.mark.parametrize("on_failure", ["cancel", "finish"])
async def test_stages_that_never_started_are_cancelled_with_attempt_0_and_the_cause(
    on_failure: Literal["cancel", "finish"],
) -> None:
    sink = RecordingSink()
    pipeline = gives("first") | fails("broken") | gives("next") | gives("last")
    outcome = await Runner(on_failure=on_failure, sink=sink).run(pipeline, "x")
    for name in ("next", "last"):
        assert reports(name, outcome.report.stages) == (StageStatus.CANCEL, 0, None)
        assert "broken" in outcome.report.stages[name].reason
        assert f"stage.{name}.started" not in sink.types()


async def test_a_stage_that_never_started_elsewhere_in_the_graph_tells_the_cause_too() -> None:
    sink = RecordingSink()
    slow = Lingering("slow")
    pipeline = (slow.stage | gives("after_slow")) & fails("broken", slow.began)
    outcome = await pipeline.run("x", context=PipelineContext(sink=sink))
    assert reports("after_slow", outcome.report.stages) == (StageStatus.CANCEL, 0, None)
    assert "broken" in outcome.report.stages["after_slow"].reason
    assert "stage.after_slow.started" not in sink.types()


@pytest.mark.parametrize("on_failure", ["cancel", "finish"])
async def test_stages_that_never_started_since_they_depend_on_a_skip_are_skipped(
    on_failure: Literal["cancel", "finish"],
) -> None:
    sink = RecordingSink()
    skipped = asyncio.Event()

    @stage
    async def absent(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        skipped.set()
        return skip("nothing new")

    pipeline = (absent | gives("child") | gives("grandchild")) & fails("broken", skipped)
    outcome = await Runner(on_failure=on_failure, sink=sink).run(pipeline.together(), "x")
    assert isinstance(outcome, Failed)
    for name in ("child", "grandchild"):
        assert reports(name, outcome.report.stages) == (StageStatus.SKIP, 0, None)
        assert outcome.report.stages[name].reason == "absent: nothing new"
        assert f"stage.{name}.started" not in sink.types()


async def test_a_stage_that_follows_a_skip_and_one_still_running_is_skipped_where_the_run_fails() -> None:
    slow = Lingering("slow")

    @stage
    async def absent(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return skip("nothing new")

    pipeline = ((slow.stage & absent) | gives("joined")) & fails("broken", slow.began)
    outcome = await pipeline.run("x")
    assert isinstance(outcome, Failed)
    assert reports("joined", outcome.report.stages) == (StageStatus.SKIP, 0, None)
    assert outcome.report.stages["joined"].reason == "absent: nothing new"


async def test_stages_inside_pipelines_that_never_started_are_reported_too() -> None:
    inner = (gives("a") | gives("b")).named("inner")
    outcome = await (fails("broken") | inner | gives("items").each()).run("x")
    assert list(outcome.report.stages)[:3] == ["broken", "inner.a", "inner.b"]
    assert reports("inner.b", outcome.report.stages) == (StageStatus.CANCEL, 0, None)


async def test_settled_turns_a_failure_into_a_value() -> None:
    outcome = await (fails("broken").settled() | gives("next")).run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value == Failure(NotFoundError("broken failed", url="broken"))


async def test_settled_turns_a_defect_into_a_value_with_its_cause() -> None:
    outcome = await (raises("broken").settled() | gives("next")).run("x")
    assert isinstance(outcome, Completed)
    error = outcome.value.failure()  # type: ignore[attr-defined]
    assert isinstance(error, StageExecutionError)
    assert error.stage == "broken"
    assert isinstance(error.__cause__, ValueError)


async def test_settled_turns_what_is_no_result_into_a_value_too() -> None:
    @stage
    async def wrong(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return 3  # type: ignore[return-value]

    outcome = await wrong.settled().run("x")
    assert isinstance(outcome, Completed), outcome
    assert isinstance(outcome.value.failure(), StageExecutionError)  # type: ignore[union-attr]


async def test_settled_around_a_pipeline_turns_the_failure_of_any_stage_inside_into_a_value() -> None:
    whole = (gives("first") | raises("broken") | gives("last")).settled()
    outcome = await (whole | gives("next")).run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value.failure().stage == "broken"  # type: ignore[attr-defined]


async def test_settled_does_not_turn_a_cancellation_into_a_value() -> None:
    @stage
    async def cancelling(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return cancel("enough")

    ran: list[str] = []
    outcome = await (cancelling.settled() | gives("next", ran)).run("x")
    assert type(outcome).__name__ == "Cancelled"
    assert not ran


async def test_settled_does_not_turn_the_cancellation_of_its_task_into_a_value() -> None:
    lingering = Lingering("lingering")
    run = asyncio.create_task(lingering.stage.settled().run("x"))
    await lingering.began.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert lingering.cleaned_up


@stage
async def fetch(inputs: StageInputs[int]) -> Result[StageOutput[int], NotFoundError]:
    await asyncio.sleep(0)
    if inputs.value % 10 == 7:
        return fail(NotFoundError("missing", url=str(inputs.value)))
    if inputs.value % 10 == 3:
        raise ValueError(inputs.value)
    return ok(inputs.value)


async def test_settled_each_gives_every_items_own_outcome() -> None:
    outcome = await fetch.settled().each(limit=20).run(range(50))
    assert isinstance(outcome, Completed)
    assert len(outcome.value) == 50
    for number, item in enumerate(outcome.value):
        if number % 10 == 7:
            assert item == Failure(NotFoundError("missing", url=str(number)))
        elif number % 10 == 3:
            assert item.failure().stage == f"fetch[{number}]"
        else:
            assert item == Success(number)


async def test_a_run_inside_settled_whose_stages_failed_does_not_cancel_its_siblings() -> None:
    ran: list[str] = []
    failed = asyncio.Event()

    @stage
    async def broken(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        failed.set()
        return fail("no")

    @stage
    async def slow(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await failed.wait()
        for _ in range(5):
            await asyncio.sleep(0)
        ran.append("slow")
        return ok("slow")

    outcome = await ((gives("a") | broken | gives("b")).settled() & slow).run("x")
    assert isinstance(outcome, Completed)
    assert ran == ["slow"]
    assert outcome.value[1] == "slow"


async def unreached(error: StageError) -> Result[StageOutput[object], StageError]:
    raise AssertionError(f"this error was not to be handled: {error}")


async def handled(error: StageError) -> Result[StageOutput[object], StageError]:
    return ok(f"handled {error}")


async def test_recover_handles_a_failure() -> None:
    outcome = await (fails("broken").recover(handled) | gives("next")).run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value == "handled broken failed"


async def test_recover_lets_a_defect_pass_to_the_outcome() -> None:
    outcome = await (raises("broken").recover(unreached) | gives("next")).run("x")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, StageExecutionError)
    assert isinstance(outcome.error.__cause__, ValueError)


async def test_recover_around_a_pipeline_lets_a_defect_inside_pass_to_the_outcome() -> None:
    outcome = await (gives("first") | raises("broken")).recover(unreached).run("x")
    assert isinstance(outcome, Failed)
    assert outcome.error.stage == "broken"


async def test_what_a_handler_raises_is_a_defect() -> None:
    async def bad_handler(error: StageError) -> Result[StageOutput[object], StageError]:
        raise KeyError(str(error))

    outcome = await fails("broken").recover(bad_handler).run("x")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, StageExecutionError)
    assert isinstance(outcome.error.__cause__, KeyError)


class Guard(BaseInterceptor[DeniedError]):
    """Denies the stage of that name."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def before(self, context: InterceptorContext, /) -> InterceptorResult[DeniedError]:
        if context.stage.stage.startswith(self.name):
            return InterceptorResult.deny(DeniedError("not yours"))
        return InterceptorResult.proceed()


ABSORBERS: dict[str, Callable[[AnyStage], AnyStage]] = {
    "settled": lambda inner: inner.settled(),
    "recover": lambda inner: inner.recover(unreached),
    "settled pipeline": lambda inner: (gives("before") | inner).settled(),
    "recovered pipeline": lambda inner: (gives("before") | inner).recover(unreached),
    "both": lambda inner: inner.recover(unreached).settled(),
}


@pytest.mark.parametrize("absorber", ABSORBERS)
async def test_an_error_that_a_runners_interceptor_adds_passes_through_to_the_outcome(absorber: str) -> None:
    pipeline = ABSORBERS[absorber](gives("guarded"))
    outcome = await Runner().using(Guard("guarded")).run(pipeline, "x")
    assert isinstance(outcome, Failed), outcome
    assert outcome.error == DeniedError("not yours")


async def test_an_error_of_the_stage_itself_is_absorbed_under_a_runners_interceptors_all_the_same() -> None:
    runner = Runner().using(Guard("nobody"))
    settled = await runner.run(fails("broken").settled(), "x")
    assert isinstance(settled, Completed)
    recovered = await runner.run(fails("broken").recover(handled), "x")
    assert isinstance(recovered, Completed)
    defect = await runner.run(raises("broken").settled(), "x")
    assert isinstance(defect, Completed)


async def test_an_error_that_an_interceptor_of_the_stage_adds_is_absorbed_since_its_type_tells() -> None:
    outcome = await gives("guarded").using(Guard("guarded")).settled().run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value == Failure(DeniedError("not yours"))


async def test_items_are_named_by_their_number() -> None:
    sink = RecordingSink()
    outcome = await fetch.each().run([1, 2, 7], context=PipelineContext(sink=sink))
    assert list(outcome.report.stages) == ["fetch[0]", "fetch[1]", "fetch[2]"]
    assert "stage.fetch[2].failed" in sink.types()
    assert outcome.report.stages["fetch[2]"].error == NotFoundError("missing", url="7")


async def test_the_stages_of_an_items_pipeline_are_named_by_their_number_too() -> None:
    outcome = await (fetch | gives("next")).named("crawl").each().run([1, 2])
    names = list(outcome.report.stages)
    assert len(names) == len(set(names)) == 4
    assert ["[0]" in name for name in names] == [True, True, False, False]


@stage
async def even(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
    return ok(inputs.value) if inputs.value % 2 == 0 else skip("odd")


async def test_an_items_skip_skips_the_whole() -> None:
    ran: list[str] = []
    outcome = await (even.each() | gives("next", ran)).run([0, 1, 2])
    assert isinstance(outcome, Skipped)
    assert outcome.reason == "even[1]: odd"
    assert not ran


async def test_optional_each_keeps_none_for_a_skipped_item() -> None:
    outcome = await (even.optional().each() | gives("next")).run([0, 1, 2, 3])
    assert isinstance(outcome, Completed)
    assert outcome.value == (0, None, 2, None)


async def test_each_optional_is_none_where_an_item_skipped() -> None:
    outcome = await (even.each().optional() | gives("next")).run([0, 1])
    assert isinstance(outcome, Completed)
    assert outcome.value is None


async def test_an_items_body_reads_ancestors_of_the_each() -> None:
    base = lift(name="base")(lambda count: list(range(count)))

    @stage
    async def body(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        return ok(inputs.value + len(inputs[base]))

    whole = await (base | body.each()).run(3)
    assert isinstance(whole, Completed)
    assert whole.value == (3, 4, 5)
    deep = await (base | (gives("pass") | body.named("body_2")).each()).run(3)
    assert isinstance(deep, Completed)
    assert deep.value == (3, 4, 5)


async def test_each_of_no_items_gives_none() -> None:
    outcome = await (even.each() | gives("next")).run([])
    assert isinstance(outcome, Completed)
    assert outcome.value == ()


async def test_under_finish_a_cancelled_dependent_wired_by_handles_keeps_the_cause() -> None:
    broken, other = fails("broken"), gives("other")
    joined = gives("joined")
    pipeline = Pipeline.of(object).with_stage(broken).with_stage(other).with_stage(joined, after=(broken, other))
    outcome = await Runner(on_failure="finish").run(pipeline, "x")
    assert isinstance(outcome, Failed)
    assert reports("joined", outcome.report.stages) == (StageStatus.CANCEL, 0, None)
    assert "broken" in outcome.report.stages["joined"].reason
    assert outcome.report.outputs["other"] == "x"
