"""Parallel pipelines: branches on one input, items of a sequence, and what joins them."""

import asyncio
from dataclasses import dataclass

from returns.result import Result

from stageflow import (
    Cancelled,
    Completed,
    Failed,
    Pipeline,
    Runner,
    StageError,
    StageInputs,
    StageOutput,
    StageStatus,
    fail,
    identity,
    lift,
    ok,
    route,
    stage,
)


@dataclass(frozen=True, slots=True)
class Summary:
    words: int
    letters: int


@lift
def words(text: str) -> int:
    return len(text.split())


@lift
async def letters(text: str) -> int:
    return sum(letter.isalpha() for letter in text)


@lift
def ratio(counts: tuple[int, int]) -> float:
    found, of = counts
    return of / found


async def test_branches_get_the_same_input_and_give_a_tuple_in_order() -> None:
    outcome = await (words & letters & identity(str)).run("one two")
    assert isinstance(outcome, Completed)
    assert outcome.value == (2, 6, "one two")


async def test_a_stage_joins_the_branches() -> None:
    outcome = await ((words & letters) | ratio).run("one two")
    assert isinstance(outcome, Completed)
    assert outcome.value == 3.0


async def test_branches_become_a_dataclass() -> None:
    outcome = await (words & letters).into(Summary).run("one two")
    assert isinstance(outcome, Completed)
    assert outcome.value == Summary(words=2, letters=6)


async def test_a_diamond_by_handles() -> None:
    diamond = (
        Pipeline.of(str)
        .with_stage(words)
        .with_stage(letters)
        .with_stage(ratio, after=(words, letters))
        .returning(ratio)
    )
    outcome = await diamond.run("one two")
    assert isinstance(outcome, Completed)
    assert outcome.value == 3.0


async def test_branches_run_at_the_same_time() -> None:
    meeting = asyncio.Barrier(3)

    @stage
    async def meet(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        await meeting.wait()
        return ok(inputs.value)

    async with asyncio.timeout(10):
        outcome = await (meet & meet.named("second") & meet.named("third")).run("here")
    assert isinstance(outcome, Completed)


async def test_each_runs_a_stage_per_item_and_keeps_their_order() -> None:
    @stage
    async def backwards(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        for _ in range(10 - inputs.value):  # so that the last item is done first
            await asyncio.sleep(0)
        return ok(inputs.value * 10)

    outcome = await backwards.each().run([1, 2, 3])
    assert isinstance(outcome, Completed)
    assert outcome.value == (10, 20, 30)


async def test_each_runs_at_most_its_limit_of_items_at_once() -> None:
    running, most = 0, 0

    @stage
    async def busy(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return ok(inputs.value)

    outcome = await busy.each(limit=3).run(range(20))
    assert isinstance(outcome, Completed)
    assert most == 3


async def test_a_route_runs_one_branch_and_leaves_the_others() -> None:
    chosen = (
        route(lift(name="size")(lambda text: "long" if len(text) > 3 else "short"))
        .case("long", letters)
        .otherwise(words)
    )
    outcome = await chosen.run("one two")
    assert isinstance(outcome, Completed)
    assert outcome.value == 6
    assert outcome.report.stages["words"].status is StageStatus.SKIP


async def test_a_conditional_branch_is_none_where_its_condition_is_false() -> None:
    optional = letters.when(lambda inputs: inputs.value.isascii()).optional()
    ascii_only, other = await (words & optional).run("one"), await (words & optional).run("één")
    assert isinstance(ascii_only, Completed)
    assert ascii_only.value == (1, 3)
    assert isinstance(other, Completed)
    assert other.value == (1, None)


async def test_a_failed_branch_cancels_the_others() -> None:
    waiting, cleaned_up = asyncio.Event(), asyncio.Event()

    @stage
    async def endless(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.set()
        return ok(inputs.value)

    @stage
    async def broken(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        await waiting.wait()
        return fail("no")

    outcome = await (endless & broken).run("x")
    assert isinstance(outcome, Failed)
    assert cleaned_up.is_set()
    assert outcome.report.stages["endless"].status is StageStatus.CANCEL


async def test_a_cancel_reaches_every_branch() -> None:
    began, cleaned_up = asyncio.Barrier(4), list[int]()

    @stage
    async def endless(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        try:
            await began.wait()
            await asyncio.Event().wait()
        finally:
            cleaned_up.append(inputs.value)
        return ok(inputs.value)

    handle = Runner().start(endless.each(), [1, 2, 3])
    await began.wait()
    handle.cancel("no longer wanted")
    outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert sorted(cleaned_up) == [1, 2, 3]
