"""R1: a stage starts as soon as all that it follows is OK. Nothing waits for a whole layer."""

import asyncio
from collections.abc import Sequence

from returns.result import Result

from stageflow import (
    Completed,
    Failed,
    Pipeline,
    Skipped,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    StageStatus,
    fail,
    identity,
    lift,
    ok,
    route,
    skip,
    stage,
)

PATIENCE = 10.0  # a rule broken here shows as a deadlock: end it as a failure


def waits_for(event: asyncio.Event, name: str) -> Stage[object, object, StageError]:
    @stage(name=name)
    async def waiting(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await event.wait()
        return ok(inputs.value)

    return waiting


def sets(event: asyncio.Event, name: str) -> Stage[object, object, StageError]:
    @stage(name=name)
    async def setting(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        event.set()
        return ok(inputs.value)

    return setting


def notes(log: list[str], name: str, *, after: asyncio.Event | None = None) -> Stage[object, object, StageError]:
    @stage(name=name)
    async def noting(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        log.append(f"{name} starts")
        if after is not None:
            await after.wait()
        log.append(f"{name} ends")
        return ok(inputs.value)

    return noting


async def test_a_stage_starts_while_a_slow_stage_of_the_layer_above_still_runs() -> None:
    downstream_began = asyncio.Event()
    quick_branch = identity(object) | lift(name="quick")(lambda value: value) | sets(downstream_began, "downstream")
    async with asyncio.timeout(PATIENCE):
        outcome = await (waits_for(downstream_began, "slow") & quick_branch).run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value == ("x", "x")


async def test_a_stage_wired_by_handles_does_not_wait_for_its_layer_either() -> None:
    began = asyncio.Event()
    slow, quick, downstream = waits_for(began, "slow"), notes([], "quick"), sets(began, "downstream")
    pipeline = Pipeline.of(object).with_stage(slow).with_stage(quick).with_stage(downstream, after=quick)
    async with asyncio.timeout(PATIENCE):
        outcome = await pipeline.run("x")
    assert isinstance(outcome, Completed)
    assert {result.status for result in outcome.report.stages.values()} == {StageStatus.OK}


async def test_a_stage_inside_a_named_pipeline_starts_while_its_siblings_outside_run() -> None:
    began = asyncio.Event()
    nested = (notes([], "first") | sets(began, "second")).named("nested")
    async with asyncio.timeout(PATIENCE):
        outcome = await (waits_for(began, "slow") & nested).run("x")
    assert isinstance(outcome, Completed)
    assert list(outcome.report.stages) == ["slow", "nested.first", "nested.second"]


async def test_an_item_goes_on_while_another_item_is_still_at_its_first_stage() -> None:
    second_reached = asyncio.Event()

    @stage
    async def read(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        if inputs.value == 0:
            await second_reached.wait()
        return ok(inputs.value)

    @stage
    async def parse(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        second_reached.set()
        return ok(inputs.value * 10)

    async with asyncio.timeout(PATIENCE):
        outcome = await (read | parse).each().run([0, 1])
    assert isinstance(outcome, Completed)
    assert outcome.value == (0, 10)


async def test_a_route_goes_on_to_its_case_while_a_sibling_still_runs() -> None:
    began = asyncio.Event()
    chosen = route(lift(name="selector")(lambda _: "a")).case("a", sets(began, "case_a")).otherwise(notes([], "other"))
    async with asyncio.timeout(PATIENCE):
        outcome = await (waits_for(began, "slow") & chosen).run("x")
    assert isinstance(outcome, Completed)
    assert outcome.report.stages["case_a"].status is StageStatus.OK


async def test_stages_that_follow_nothing_all_start_at_once() -> None:
    barrier = asyncio.Barrier(5)

    @stage
    async def meet(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        await barrier.wait()
        return ok(inputs.value)

    branches = meet & meet.named("two") & meet.named("three") & meet.named("four") & meet.named("five")
    async with asyncio.timeout(PATIENCE):
        outcome = await branches.run(1)
    assert isinstance(outcome, Completed)
    assert outcome.value == (1, 1, 1, 1, 1)


async def test_a_thousand_items_without_a_limit_are_all_under_way_at_once() -> None:
    barrier = asyncio.Barrier(1000)

    @stage
    async def meet(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        await barrier.wait()
        return ok(inputs.value)

    async with asyncio.timeout(PATIENCE):
        outcome = await meet.each().run(range(1000))
    assert isinstance(outcome, Completed)
    assert outcome.value == tuple(range(1000))


async def test_a_stage_does_not_start_before_the_last_of_those_that_it_follows_is_ok() -> None:
    log: list[str] = []
    last, both_there = asyncio.Event(), asyncio.Event()

    @stage
    async def joined(inputs: StageInputs[tuple[object, object]]) -> Result[StageOutput[object], StageError]:
        log.append("joined starts")
        return ok(inputs.value)

    @stage
    async def releasing(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        both_there.set()
        await last.wait()
        log.append("releasing ends")
        return ok(inputs.value)

    run = asyncio.create_task(((notes(log, "quick") & releasing) | joined).run("x"))
    await both_there.wait()
    for _ in range(20):  # more than enough for a start that is too early
        await asyncio.sleep(0)
    assert "joined starts" not in log
    last.set()
    assert isinstance(await run, Completed)
    assert log[-2:] == ["releasing ends", "joined starts"]


async def test_a_stage_does_not_start_where_one_that_it_follows_was_skipped() -> None:
    started: list[object] = []

    @stage
    async def absent(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        return skip("nothing there")

    @stage
    async def joined(inputs: StageInputs[tuple[object, str]]) -> Result[StageOutput[int], StageError]:
        started.append(inputs.value)
        return ok(1)

    outcome = await ((notes([], "present") & absent) | joined).run("x")
    assert isinstance(outcome, Skipped)
    assert not started


async def test_a_stage_does_not_start_where_one_that_it_follows_failed() -> None:
    started: list[object] = []

    @stage
    async def broken(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        return fail("no")

    @stage
    async def joined(inputs: StageInputs[tuple[object, str]]) -> Result[StageOutput[int], StageError]:
        started.append(inputs.value)
        return ok(1)

    outcome = await ((notes([], "present") & broken) | joined).run("x")
    assert isinstance(outcome, Failed)
    assert not started


async def test_a_stage_starts_once_however_many_it_follows() -> None:
    started: list[Sequence[object]] = []

    @stage
    async def joined(
        inputs: StageInputs[tuple[object, object, object]],
    ) -> Result[StageOutput[int], StageError]:
        started.append(inputs.value)
        return ok(len(started))

    pipeline = (notes([], "one") & notes([], "two") & notes([], "three")) | joined
    outcome = await pipeline.run("x")
    assert isinstance(outcome, Completed)
    assert started == [("x", "x", "x")]


async def test_a_stage_that_suspends_does_not_hold_up_those_that_are_ready_beside_it() -> None:
    log: list[str] = []
    end = asyncio.Event()
    suspended, ready = notes(log, "suspended", after=end), notes(log, "ready")

    @stage
    async def ending(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        end.set()
        return ok(inputs.value)

    async with asyncio.timeout(PATIENCE):
        await (suspended & (ready | ending)).run("x")
    assert log == ["suspended starts", "ready starts", "ready ends", "suspended ends"]
