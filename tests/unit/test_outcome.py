"""What a run comes to, as plain data: outcomes, `RunReport`, `StageOutputs`, `StageResult`."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import weakref
from contextlib import suppress
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from stageflow import (
    Cancelled,
    Completed,
    CorrelationIds,
    Failed,
    Pipeline,
    PipelineContext,
    Runner,
    RunReport,
    Skipped,
    StageArtifact,
    StageError,
    StageEvent,
    StageInputs,
    StageKind,
    StageOutputs,
    StageResult,
    StageStatus,
    TimeoutInterceptor,
    cancel,
    fail,
    lift,
    ok,
    skip,
    stage,
)

RUN = UUID(int=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
IDS = CorrelationIds(trace_id="ab" * 16)
FETCHED = StageResult("fetch", StageKind.WORK, StageStatus.OK, 1, START, 2.5, data="page")
REPORT = RunReport(RUN, IDS, START, 5.0, (FETCHED,), StageOutputs({"fetch": "page"}))


@lift
def length(text: str) -> int:
    return len(text)


@stage
async def refuse(inputs: StageInputs[str]):
    return fail(StageError("no", retryable=True))


@stage
async def late(inputs: StageInputs[str]):
    return fail("late")


@stage
async def nothing(inputs: StageInputs[str]):
    return skip("nothing new")


@stage
async def stop(inputs: StageInputs[str]):
    return cancel("enough")


@stage
async def rich(inputs: StageInputs[str]):
    return ok(inputs.value, artifacts=[StageArtifact("chart", b"png", START)], events=[StageEvent("seen", {}, START)])


async def every_outcome(clock) -> list[Completed | Failed | Skipped | Cancelled]:
    context = PipelineContext(RUN, IDS, timer=clock.timer())
    return [await one.run("abc", context=context) for one in (length, refuse, nothing, stop)]


@pytest.mark.parametrize("number", range(4))
async def test_an_outcome_and_its_report_cross_a_pickle_as_plain_data(clock, number) -> None:
    outcome = (await every_outcome(clock))[number]
    for other in (pickle.loads(pickle.dumps(outcome)), copy.deepcopy(outcome)):
        assert other == outcome
        assert hash(other) == hash(outcome)
        assert dict(other.report.stages) == dict(outcome.report.stages)
        assert other.report.outputs == outcome.report.outputs
        report = (other.report.run_id, other.report.correlation, other.report.started_at, other.report.duration_ms)
        assert report == (RUN, IDS, START, 0.0)


async def test_each_outcome_matches_by_what_it_holds(clock) -> None:
    seen = []
    for outcome in await every_outcome(clock):
        match outcome:
            case Completed(value):
                seen.append(value)
            case Failed(error):
                seen.append(error)
            case Skipped(reason) | Cancelled(reason):
                seen.append(reason)
    assert seen == [3, StageError("no", retryable=True), "nothing: nothing new", "stop: enough"]


@pytest.mark.parametrize("number", range(4))
async def test_an_outcome_is_frozen(clock, number) -> None:
    outcome = (await every_outcome(clock))[number]
    for name in type(outcome).__match_args__:
        with pytest.raises(FrozenInstanceError):
            setattr(outcome, name, None)
    with pytest.raises((AttributeError, TypeError)):
        outcome.more = 1


async def test_outcomes_are_equal_where_their_parts_are(clock) -> None:
    first, second = await every_outcome(clock), await every_outcome(clock)
    assert first == second
    assert first[0] != Completed(4, first[0].report)
    assert Skipped("a", REPORT) != Cancelled("a", REPORT)


@pytest.mark.parametrize("name", ["run_id", "correlation", "started_at", "duration_ms", "stages", "outputs", "more"])
def test_a_report_cannot_be_changed(name) -> None:
    with pytest.raises(AttributeError):
        setattr(copy.copy(REPORT), name, None)


def test_a_reports_stages_are_read_only() -> None:
    with pytest.raises(TypeError):
        REPORT.stages["fetch"] = FETCHED  # type: ignore[index]


def test_a_report_is_a_value() -> None:
    same = RunReport(RUN, IDS, START, 5.0, (FETCHED,), StageOutputs({"fetch": "page"}))
    assert same == REPORT
    assert hash(same) == hash(REPORT)
    assert RunReport(UUID(int=2), IDS, START, 5.0, (FETCHED,)) != REPORT
    assert RunReport(RUN, IDS, START, 5.0) != REPORT
    assert REPORT != "a report"
    assert repr(REPORT) == "RunReport(fetch: ok)"
    assert pickle.loads(pickle.dumps(REPORT)) == REPORT


def test_a_report_without_outputs_has_none() -> None:
    empty = RunReport(RUN, IDS, START, 5.0)
    assert dict(empty.stages) == {}
    with pytest.raises(KeyError):
        empty.outputs["fetch"]


async def test_a_report_says_how_each_stage_went(clock) -> None:
    @lift
    def slow(text: str) -> str:
        clock.advance(0.25)
        return text

    pipeline = slow | rich
    report = (await pipeline.run("abc", context=PipelineContext(RUN, timer=clock.timer()))).report
    first, second = report.stages.values()
    assert (first.name, first.kind, first.status, first.attempts) == ("slow", StageKind.TRANSFORM, StageStatus.OK, 1)
    assert (first.started_at, first.duration_ms, first.data) == (START, 250.0, "abc")
    assert second.started_at == START + timedelta(seconds=0.25)
    assert second.artifacts == (StageArtifact("chart", b"png", START),)
    assert second.events == (StageEvent("seen", {}, START),)
    assert report.duration_ms == 250.0
    assert repr(report) == "RunReport(slow: ok, rich: ok)"


async def test_a_stage_that_never_started_has_no_attempt_no_start_and_a_reason() -> None:
    report = (await (refuse | length).run("abc")).report
    failed, never = report.stages.values()
    assert (failed.status, failed.error, failed.reason) == (StageStatus.FAIL, StageError("no", retryable=True), "")
    assert (never.status, never.attempts, never.started_at) == (StageStatus.CANCEL, 0, None)
    assert never.reason == "refuse: no"


def test_a_stage_result_is_a_value() -> None:
    same = StageResult("fetch", StageKind.WORK, StageStatus.OK, 1, START, 2.5, data="page")
    assert same == FETCHED
    assert hash(same) == hash(FETCHED)
    assert pickle.loads(pickle.dumps(FETCHED)) == FETCHED
    with pytest.raises(FrozenInstanceError):
        FETCHED.status = StageStatus.FAIL  # type: ignore[misc]
    bare = StageResult("fetch", StageKind.WORK, StageStatus.SKIP)
    assert (bare.attempts, bare.started_at, bare.duration_ms, bare.error, bare.data) == (0, None, 0.0, None, None)


async def test_outputs_are_read_by_handle_and_by_name() -> None:
    report = (await (length | lift(name="double")(lambda count: count * 2)).run("abc")).report
    outputs = report.outputs
    assert (outputs[length], outputs["length"], outputs["double"]) == (3, 3, 6)
    assert dict(outputs.by_name()) == {"length": 3, "double": 6}
    assert repr(outputs) == "StageOutputs(length, double)"


async def test_outputs_that_crossed_a_pickle_are_read_by_handle_and_by_name() -> None:
    outputs = (await (length | lift(str)).run("abc")).report.outputs
    other = pickle.loads(pickle.dumps(outputs))
    assert (other[length], other["length"], other["str"]) == (3, 3, "3")
    assert other == outputs
    assert hash(other) == hash(outputs)
    assert other != {"length": 3}
    assert StageOutputs({"length": 4}) != outputs


async def test_an_output_that_is_not_there_is_a_key_error_that_says_why() -> None:
    report = (await (refuse | length).run("abc")).report
    with pytest.raises(KeyError, match="gave no output"):
        report.outputs[length]
    with pytest.raises(KeyError, match=r"No stage .*lenth.* Did you mean .*length"):
        report.outputs["lenth"]
    with pytest.raises(KeyError, match="no output"):
        pickle.loads(pickle.dumps(report)).outputs[length]


def test_outputs_cannot_be_changed() -> None:
    outputs = StageOutputs({"fetch": "page"})
    with pytest.raises(TypeError):
        outputs["fetch"] = "other"  # type: ignore[index]
    with pytest.raises(AttributeError):
        outputs.more = 1  # type: ignore[attr-defined]


async def test_changing_what_by_name_gave_changes_no_outputs() -> None:
    for outputs in (StageOutputs({"length": 3}), (await length.run("abc")).report.outputs):
        with suppress(TypeError):
            outputs.by_name()["length"] = 4  # type: ignore[index]
        assert outputs["length"] == 3


async def test_an_outcome_holds_every_failure_in_graph_order() -> None:
    async with Runner(on_failure="finish") as runner:
        outcome = await runner.run(Pipeline.of(str).with_stage(refuse).with_stage(late), "abc")
    assert isinstance(outcome, Failed)
    assert outcome.errors == (StageError("no", retryable=True), StageError("late"))
    assert outcome.error is outcome.errors[0]


@lift
def ten(_: int) -> int:
    return 10


@lift
def twenty(_: int) -> int:
    return 20


async def test_a_copy_finds_by_handle_what_was_found_before_whatever_the_stages_are_called() -> None:
    swapped = await Pipeline.of(int).with_stage("twenty", ten).with_stage("ten", twenty).run(1)
    for outcome in (swapped, pickle.loads(pickle.dumps(swapped)), copy.deepcopy(swapped)):
        assert isinstance(outcome, Completed)
        assert (outcome.value[ten], outcome.value[twenty]) == (10, 20)
        assert (outcome.value["ten"], outcome.value["twenty"]) == (20, 10)
    named = ten.settled().named("inner")
    nested = await (named | lift(str)).run(1)
    assert pickle.loads(pickle.dumps(nested)).report.outputs[named] == nested.report.outputs[named]


async def test_a_copy_finds_nothing_by_a_handle_that_could_mean_either() -> None:
    outcome = await (ten.settled() | lift(str)).run(1)
    assert outcome.report.outputs[ten] == 10
    with pytest.raises(KeyError, match="another handle of that name gave something else"):
        pickle.loads(pickle.dumps(outcome)).report.outputs[ten]


class Thing:
    """What can be seen to be gone."""


@pytest.mark.parametrize(
    "around",
    [
        lambda one: one.each(),
        lambda one: (one | lift(lambda thing: thing, name="same")).each(),
        lambda one: (one | lift(lambda thing: thing, name="same")).settled(),
        lambda one: (one | lift(lambda thing: thing, name="same")).using(TimeoutInterceptor(60)),
    ],
    ids=["each", "each of several", "settled", "using"],
)
async def test_what_stages_gave_goes_with_the_outcome_and_waits_for_no_collection(around) -> None:
    made: list[weakref.ref[Thing]] = []

    @lift
    def make(_: object) -> Thing:
        thing = Thing()
        made.append(weakref.ref(thing))
        return thing

    gc.disable()
    try:
        outcome = await around(make).run([1])
        assert [one() is None for one in made] == [False]
        del outcome
        for _ in range(3):
            await asyncio.sleep(0)
        assert [one() is None for one in made] == [True]
    finally:
        gc.enable()
