"""R9: outputs, errors and the report come in graph order, whatever finished first; equal runs, equal reports."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from returns.result import Result

from stageflow import (
    Cancelled,
    Completed,
    Failed,
    Pipeline,
    PipelineContext,
    PipelineTimer,
    Runner,
    Skipped,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    StageResult,
    StageStatus,
    UnifiedStageSpec,
    cancel,
    fail,
    lift,
    ok,
    skip,
    stage,
)

AnyStage = Stage[object, object, StageError]
RUN_ID = UUID(int=7)
NAMES = ("a", "b", "c", "d")


class Turnstile:
    """Lets the stages that come to it end in an order that the test says."""

    def __init__(self, order: Sequence[str]) -> None:
        self.ended: list[str] = []
        self._gates = {name: asyncio.Event() for name in order}
        self._next = dict(itertools.pairwise(order))
        self._gates[order[0]].set()

    async def leave(self, name: str) -> None:
        await self._gates[name].wait()
        self.ended.append(name)
        if name in self._next:
            self._gates[self._next[name]].set()


def leaves(name: str, turnstile: Turnstile, result: Result[StageOutput[object], StageError] | None = None) -> AnyStage:
    @stage(name=name)
    async def leaving(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await turnstile.leave(name)
        return ok(name) if result is None else result

    return leaving


def gives(name: str, steps: int = 0) -> AnyStage:
    @stage(name=name)
    async def giving(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        for _ in range(steps):
            await asyncio.sleep(0)
        return ok(name)

    return giving


def wired(*stages: tuple[AnyStage, str]) -> Pipeline[object, object, StageError]:
    return Pipeline.from_specs(
        UnifiedStageSpec(made.name, made, dependencies=tuple(after.split())) for made, after in stages
    )


def timeless(results: Sequence[StageResult]) -> list[StageResult]:
    return [replace(result, started_at=None, duration_ms=0.0) for result in results]


# Whatever finished first


@pytest.mark.parametrize("order", list(itertools.permutations(NAMES)), ids="".join)
async def test_branches_give_their_outputs_and_results_in_graph_order_whatever_finished_first(
    order: tuple[str, ...],
) -> None:
    turnstile = Turnstile(order)
    a, b, c, d = (leaves(name, turnstile) for name in NAMES)
    outcome = await (a & b & c & d).run("x")
    assert isinstance(outcome, Completed)
    assert turnstile.ended == list(order)
    assert outcome.value == NAMES
    assert tuple(outcome.report.stages) == NAMES


@pytest.mark.parametrize("order", list(itertools.permutations("abc")), ids="".join)
async def test_errors_come_in_graph_order_and_the_first_in_time_stands_out(order: tuple[str, ...]) -> None:
    turnstile = Turnstile(order)
    a, b, c = (leaves(name, turnstile, fail(StageError(name))) for name in "abc")
    outcome = await Runner(on_failure="finish").run((a & b & c).together(), "x")
    assert isinstance(outcome, Failed)
    assert [str(error) for error in outcome.errors] == ["a", "b", "c"]
    assert str(outcome.error) == order[0]


@pytest.mark.parametrize("order", list(itertools.permutations("0123")), ids="".join)
async def test_items_come_in_their_own_order_whatever_finished_first(order: tuple[str, ...]) -> None:
    turnstile = Turnstile(order)

    @stage
    async def item(inputs: StageInputs[int]) -> Result[StageOutput[str], StageError]:
        await turnstile.leave(str(inputs.value))
        return ok(f"item {inputs.value}")

    outcome = await item.each().run(range(4))
    assert isinstance(outcome, Completed)
    assert turnstile.ended == list(order)
    assert outcome.value == tuple(f"item {number}" for number in range(4))
    assert list(outcome.report.stages) == [f"item[{number}]" for number in range(4)]


async def test_errors_of_items_come_in_the_order_of_the_items() -> None:
    turnstile = Turnstile("210")

    @stage
    async def item(inputs: StageInputs[int]) -> Result[StageOutput[str], StageError]:
        await turnstile.leave(str(inputs.value))
        return fail(StageError(str(inputs.value)))

    outcome = await Runner(on_failure="finish").run(item.each(), range(3))
    assert isinstance(outcome, Failed)
    assert [str(error) for error in outcome.errors] == ["0", "1", "2"]
    assert str(outcome.error) == "2"


# What graph order is


async def test_graph_order_is_topological_and_ties_go_by_declaration() -> None:
    pipeline = wired(
        (gives("last"), "left right"),
        (gives("right"), "first"),
        (gives("alone"), ""),
        (gives("left"), "first"),
        (gives("first"), ""),
        (gives("also alone"), ""),
    )
    graph = pipeline.build().unwrap()
    order = ("alone", "first", "right", "left", "last", "also alone")
    assert graph.stages == order
    outcome = await graph.run("x")
    assert tuple(outcome.report.stages) == order
    assert isinstance(outcome, Completed)
    assert isinstance(outcome.value["last"], str)
    assert tuple(outcome.report.outputs.by_name()) == order


async def test_the_stages_inside_a_pipeline_stand_in_its_place_in_the_report() -> None:
    inner = (gives("one", steps=5) & gives("two")) | gives("three")
    outcome = await (gives("before") | inner.named("inner") | gives("after")).run("x")
    assert list(outcome.report.stages) == ["before", "inner.one", "inner.two", "inner.three", "after"]


async def test_a_slow_composite_keeps_its_place_before_a_fast_sibling() -> None:
    slow = (gives("slow", steps=9) | gives("slower", steps=9)).named("pipeline")
    items = (lift(lambda _: [1, 2], name="split") | gives("item", steps=5).each()).named("items")
    outcome = await (slow & items & gives("fast")).run("x")
    stages = list(outcome.report.stages)
    assert stages == [
        "pipeline.slow",
        "pipeline.slower",
        "items.split",
        "items.item[0]",
        "items.item[1]",
        "fast",
    ]


async def test_the_order_holds_for_what_failed_was_skipped_or_never_started() -> None:
    @stage(name="skipping")
    async def skipping(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return skip("nothing to do")

    @stage(name="failing")
    async def failing(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return fail("no")

    pipeline = wired(
        (gives("after failing"), "failing"),
        (gives("after skipping"), "skipping"),
        (failing, ""),
        (skipping, ""),
        (gives("fine", steps=4), ""),
    )
    outcome = await Runner(on_failure="finish").run(pipeline, "x")
    statuses = {name: result.status.value for name, result in outcome.report.stages.items()}
    assert list(statuses.items()) == [
        ("failing", "fail"),
        ("after failing", "cancel"),
        ("skipping", "skip"),
        ("after skipping", "skip"),
        ("fine", "ok"),
    ]


@pytest.mark.parametrize("order", list(itertools.permutations("abc")), ids="".join)
async def test_which_of_several_skips_is_named_does_not_depend_on_who_finished_first(order: tuple[str, ...]) -> None:
    turnstile = Turnstile(order)
    a, b, c = (leaves(name, turnstile, skip(f"because of {name}")) for name in "abc")
    outcome = await ((a & b & c) | gives("after")).run("x")
    assert isinstance(outcome, Skipped)
    assert outcome.reason == "a: because of a"
    assert outcome.report.stages["after"].reason == "a: because of a"


# Two runs on equal inputs


class Fidgeting:
    """Stages that suspend a different number of times in each run, and give the same all the same."""

    def __init__(self) -> None:
        self.run = 0

    def made(self, name: str, result: Result[StageOutput[object], StageError] | None = None) -> AnyStage:
        @stage(name=name)
        async def fidgeting(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
            for _ in range((self.run * 7 + len(name) * 5 + ord(name[0])) % 6):
                await asyncio.sleep(0)
            return ok((name, inputs.value)) if result is None else result

        return fidgeting


async def reports(pipeline: AnyStage, runner: Runner, fidgeting: Fidgeting) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for number in range(12):
        fidgeting.run = number
        outcome = await runner.run(pipeline, "x", context=PipelineContext(run_id=RUN_ID))
        stages = timeless(list(outcome.report.stages.values()))
        errors = outcome.errors if isinstance(outcome, Failed) else ()
        found.append((stages, outcome.report.outputs, type(outcome), errors))
    return found


@pytest.mark.parametrize("on_failure", ["cancel", "finish"])
async def test_two_runs_on_equal_inputs_give_equal_reports_where_nothing_failed(on_failure: str) -> None:
    fidgeting = Fidgeting()
    made = fidgeting.made
    pipeline = (made("a") & made("bb", skip("none")).optional() & made("ccc")) | made("dddd")
    runner = Runner(on_failure="cancel") if on_failure == "cancel" else Runner(on_failure="finish")
    first, *others = await reports(pipeline, runner, fidgeting)
    assert first[2] is Completed
    for other in others:
        assert other == first


async def test_two_runs_on_equal_inputs_give_equal_reports_under_finish_although_stages_failed() -> None:
    fidgeting = Fidgeting()
    made = fidgeting.made
    pipeline = wired(
        (made("a"), ""),
        (made("bb", fail("bb broke")), "a"),
        (made("ccc", skip("nothing")), "a"),
        (made("dddd", fail("dddd broke")), ""),
        (made("eeeee"), "bb"),
        (made("ffffff"), "bb ccc"),
        (made("ggggggg"), "a"),
        (made("h"), "eeeee ffffff"),
    )
    first, *others = await reports(pipeline, Runner(on_failure="finish"), fidgeting)
    assert first[2] is Failed
    assert [str(error) for error in first[3]] == ["bb broke", "dddd broke"]  # type: ignore[attr-defined]
    for other in others:
        assert other == first


async def test_under_cancel_what_had_started_may_differ_but_not_the_order() -> None:
    fidgeting = Fidgeting()
    made = fidgeting.made
    pipeline = wired((made("a"), ""), (made("bb", fail("no")), ""), (made("ccc"), "a"), (made("dddd"), "ccc"))
    found = await reports(pipeline, Runner(), fidgeting)
    for stages, _, kind, _ in found:
        assert kind is Failed
        assert [result.name for result in stages] == ["a", "bb", "ccc", "dddd"]  # type: ignore[attr-defined]
        assert stages[1].status is StageStatus.FAIL  # type: ignore[index]


async def test_with_a_clock_and_an_id_of_the_tests_own_two_reports_are_equal_altogether() -> None:
    async def report() -> object:
        ticks = itertools.count()
        timer = PipelineTimer(clock=lambda: float(next(ticks)), wall=lambda: datetime(2026, 1, 1, tzinfo=UTC))
        pipeline = gives("first") | gives("second") | gives("third")
        return (await pipeline.run("x", context=PipelineContext(run_id=RUN_ID, timer=timer))).report

    assert await report() == await report()


@pytest.mark.parametrize("order", list(itertools.permutations("abc")), ids="".join)
async def test_a_cancelled_run_reports_in_graph_order_too(order: tuple[str, ...]) -> None:
    turnstile = Turnstile((*order, "stop"))
    stages = [leaves(name, turnstile) for name in "abc"]
    stop = leaves("stop", turnstile, cancel("enough"))
    pipeline = wired(*((made, "") for made in stages), (stop, ""), (gives("never"), "stop"))
    outcome = await pipeline.run("x")
    assert isinstance(outcome, Cancelled)
    assert list(outcome.report.stages) == ["a", "b", "c", "stop", "never"]
