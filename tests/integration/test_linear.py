"""A linear pipeline: one stage after the other."""

import asyncio

import pytest
from returns.result import Result

from stageflow import (
    Cancelled,
    Completed,
    Failed,
    Pipeline,
    Runner,
    Skipped,
    StageError,
    StageInputs,
    StageKind,
    StageOutput,
    StageStatus,
    cancel,
    fail,
    lift,
    ok,
    skip,
    stage,
)


class PageNotFoundError(StageError):
    url: str


PAGES = {"a": "one two three", "b": ""}


@stage(kind=StageKind.ENRICH)
async def fetch(inputs: StageInputs[str]) -> Result[StageOutput[str], PageNotFoundError]:
    if inputs.value not in PAGES:
        return fail(PageNotFoundError(f"no page {inputs.value}", url=inputs.value))
    return ok(PAGES[inputs.value])


@stage
async def words(inputs: StageInputs[str]) -> Result[StageOutput[list[str]], StageError]:
    return ok(inputs.value.split()) if inputs.value else skip("an empty page has no words")


@lift
def count(found: list[str]) -> int:
    return len(found)


pipeline = fetch | words | count


async def test_each_stage_gets_what_the_one_before_it_gave() -> None:
    outcome = await pipeline.run("a")
    assert isinstance(outcome, Completed)
    assert outcome.value == 3


async def test_the_report_tells_how_every_stage_went_in_order() -> None:
    report = (await pipeline.run("a")).report
    assert list(report.stages) == ["fetch", "words", "count"]
    assert {result.status for result in report.stages.values()} == {StageStatus.OK}
    assert [result.attempts for result in report.stages.values()] == [1, 1, 1]
    assert report.stages["fetch"].kind is StageKind.ENRICH
    assert report.outputs[words] == ["one", "two", "three"]


async def test_a_failure_is_a_value_with_its_type_and_ends_the_run() -> None:
    outcome = await pipeline.run("nowhere")
    assert isinstance(outcome, Failed)
    assert outcome.error == PageNotFoundError("no page nowhere", url="nowhere")
    assert outcome.report.stages["count"].status is StageStatus.CANCEL


async def test_a_skip_skips_what_follows() -> None:
    outcome = await pipeline.run("b")
    assert isinstance(outcome, Skipped)
    assert outcome.reason == "words: an empty page has no words"
    assert outcome.report.stages["count"].status is StageStatus.SKIP


@pytest.mark.parametrize(("url", "expected"), [("a", 3), ("b", 0)])
async def test_a_conditional_stage_runs_where_its_condition_holds(url: str, expected: int) -> None:
    @lift
    def or_zero(found: int | None) -> int:
        return found or 0

    conditional = fetch | (words | count).when(lambda inputs: bool(inputs.value)).optional() | or_zero
    outcome = await conditional.run(url)
    assert isinstance(outcome, Completed)
    assert outcome.value == expected


async def test_the_same_pipeline_written_by_handles_gives_the_same() -> None:
    wired = (
        Pipeline.of(str)
        .with_stage(fetch)
        .with_stage(words, after=fetch)
        .with_stage(count, after=words)
        .returning(count)
    )
    outcome = await wired.run("a")
    assert isinstance(outcome, Completed)
    assert outcome.value == 3


async def test_a_stage_can_end_the_run() -> None:
    @stage
    async def enough(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        return cancel("we have it already")

    outcome = await (enough | fetch).run("a")
    assert isinstance(outcome, Cancelled)
    assert "we have it already" in outcome.reason


async def test_a_run_can_be_cancelled_from_outside() -> None:
    waiting = asyncio.Event()

    @stage
    async def wait(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        waiting.set()
        await asyncio.Event().wait()
        return ok(inputs.value)

    handle = Runner().start(wait | fetch, "a")
    await waiting.wait()
    handle.cancel("no longer wanted")
    outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.reason == "no longer wanted"
    assert outcome.report.stages["fetch"].attempts == 0


async def test_a_built_graph_runs_many_times_at_once() -> None:
    graph = pipeline.build().unwrap()
    outcomes = await asyncio.gather(*[graph.run("a") for _ in range(20)])
    assert [outcome.value for outcome in outcomes if isinstance(outcome, Completed)] == [3] * 20
    assert len({outcome.report.run_id for outcome in outcomes}) == 20
