"""What reports and events give as the reason why a stage did not end OK, and that names and cases leave it as it is."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
from returns.result import Result

from stageflow import (
    Cancelled,
    Completed,
    Failed,
    RecordingEventSink,
    RetryInterceptor,
    Runner,
    RunReport,
    Skipped,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    StageStatus,
    TimeoutInterceptor,
    fail,
    lift,
    ok,
    route,
    skip,
    stage,
)

AnyStage = Stage[object, object, StageError]


@stage
async def odd(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
    return fail(f"{inputs.value} is odd") if inputs.value in {1, 3} else ok(inputs.value)


@stage
async def passes(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
    return ok(inputs.value)


def lingering(began: asyncio.Event) -> AnyStage:
    @stage(name="upload")
    async def waits(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        began.set()
        await asyncio.Event().wait()
        return ok(None)

    return waits


def reasons(report: RunReport) -> Mapping[str, str]:
    return {name: one.reason for name, one in report.stages.items()}


def told(sink: RecordingEventSink, ending: str) -> list[tuple[str, object]]:
    return [(event.type, event.data["reason"]) for event in sink.events if event.type.endswith(ending)]


HANDLED: dict[str, Callable[[], AnyStage]] = {
    "settled": lambda: (passes | odd).settled().each(),
    "recovered": lambda: (passes | odd).recover(lambda _: _recovered()).each(),
    "settled one by one": lambda: odd.settled().each(),
}


async def _recovered() -> Result[StageOutput[object], StageError]:
    return ok("recovered")


@pytest.mark.parametrize("handled", HANDLED.values(), ids=HANDLED)
async def test_a_cancelled_run_is_not_blamed_on_a_failure_that_was_handled(handled: Callable[[], AnyStage]) -> None:
    began, sink = asyncio.Event(), RecordingEventSink()
    task = asyncio.create_task(Runner(sink=sink).run(handled() | lingering(began), [1, 2]))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told(sink, ".cancelled") == [
        ("stage.upload.cancelled", "the run was cancelled"),
        ("pipeline.cancelled", "the run was cancelled"),
    ]


async def test_a_run_that_a_handle_cancels_says_with_what_words() -> None:
    began = asyncio.Event()
    handle = Runner().start((passes | odd).settled().each() | lingering(began), [1, 2])
    await began.wait()
    handle.cancel("the user pressed stop")
    outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.report.stages["upload"].reason == "the user pressed stop"


async def test_items_that_another_item_stopped_say_which() -> None:
    waits = asyncio.Event()

    @stage(name="wait")
    async def wait(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        if inputs.value == 2:
            waits.set()
            await asyncio.Event().wait()
        await waits.wait()
        return ok(inputs.value)

    outcome = await (wait | odd).each().run([2, 1])
    assert isinstance(outcome, Failed)
    assert reasons(outcome.report)["wait[0]"] == "odd[1]: 1 is odd"


async def test_what_a_timeout_around_it_cut_off_does_not_say_that_the_run_was_cancelled() -> None:
    slow = lingering(asyncio.Event())
    outcome = await (slow | passes).using(TimeoutInterceptor(0.001)).settled().run("x")
    assert isinstance(outcome, Completed)
    assert reasons(outcome.report) == {
        "upload": "upload|passes was cancelled",
        "passes": "upload: upload|passes was cancelled",
    }


async def test_an_attempt_is_not_blamed_on_the_one_before() -> None:
    tried: list[object] = []

    @stage
    async def flaky(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        tried.append(inputs.value)
        return fail(StageError("not yet", retryable=True)) if len(tried) == 1 else skip("enough")

    outcome = await (passes | flaky | odd).using(RetryInterceptor(attempts=2, backoff=0)).run(2)
    assert isinstance(outcome, Skipped)
    assert reasons(outcome.report)["odd"] == "flaky: enough"


async def test_a_condition_around_several_stages_is_named() -> None:
    outcome = await ((passes | odd).when(lambda _: False).named("whole") | passes.named("last")).run(1)
    assert isinstance(outcome, Skipped)
    assert set(reasons(outcome.report).values()) == {"whole: its condition was false"}


async def test_what_follows_stages_that_failed_inside_another_says_which_of_them() -> None:
    inner = (passes | odd).named("inner").using(RetryInterceptor(attempts=1))
    outcome = await Runner(on_failure="finish").run(inner | passes.named("last"), 1)
    assert isinstance(outcome, Failed)
    assert outcome.report.stages["last"].reason == "inner.odd: 1 is odd"


def size_of(small: AnyStage, big: AnyStage) -> AnyStage:
    size = lift(lambda value: value == 1, name="size")
    return route(size).case(True, small.named("small")).case(False, big.named("big")).otherwise(passes.named("neither"))


@pytest.mark.parametrize(
    ("value", "chosen", "others"), [(1, "small", ["big", "neither"]), (2, "big", ["small", "neither"])]
)
async def test_a_routes_report_is_in_graph_order_whatever_it_chose(value: int, chosen: str, others: list[str]) -> None:
    sink = RecordingEventSink()
    outcome = await Runner(sink=sink).run(size_of(passes, passes) | passes.named("after"), value)
    assert list(outcome.report.stages) == ["size", "small", "big", "neither", "after"]
    why = f"route(size) chose {value == 1}"
    assert told(sink, ".skipped") == [(f"stage.{other}.skipped", why) for other in others]
    assert {name: one.status for name, one in outcome.report.stages.items() if one.reason == why} == dict.fromkeys(
        others, StageStatus.SKIP
    )
    assert outcome.report.stages[chosen].status is StageStatus.OK


@stage
async def skips(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
    return skip("nothing to do")


@pytest.mark.parametrize(("ending", "status"), [(skips, StageStatus.SKIP), (odd, StageStatus.FAIL)])
async def test_a_case_that_was_not_chosen_says_so_however_the_chosen_one_ended(
    ending: AnyStage, status: StageStatus
) -> None:
    outcome = await size_of(ending, passes).run(1)
    assert outcome.report.stages["small"].status is status
    for other in ("big", "neither"):
        assert outcome.report.stages[other].status is StageStatus.SKIP
        assert outcome.report.stages[other].reason == "route(size) chose True"


ABSORBED: dict[str, Callable[[AnyStage], AnyStage]] = {
    "settled": lambda one: one.settled(),
    "optional": lambda one: one.optional(),
    "recover": lambda one: one.recover(lambda _: _recovered()),
}


@pytest.mark.parametrize("absorb", ABSORBED.values(), ids=ABSORBED)
@pytest.mark.parametrize("inner", [odd, skips], ids=["fails", "skips"])
async def test_a_name_changes_nothing_but_the_name(absorb: Callable[[AnyStage], AnyStage], inner: AnyStage) -> None:
    runs: list[tuple[object, object, list[str]]] = []
    for one in (absorb(inner), absorb(inner.named("again")), absorb(inner).named("again")):
        sink = RecordingEventSink()
        outcome = await Runner(sink=sink).run(one, 1)
        (stage_,) = outcome.report.stages.values()
        types = [event.type.replace(f".{stage_.name}.", ".it.") for event in sink.events]
        runs.append((type(outcome), stage_.status, types))
    assert runs[0] == runs[1] == runs[2]


async def test_a_handle_inside_of_what_hides_it_reads_what_it_gave_under_any_name() -> None:
    again = passes.named("again")
    outcome = await (again.settled() | passes.named("last")).run("x")
    assert outcome.report.outputs[again] == "x"
