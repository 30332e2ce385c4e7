"""R2: a stage may read its direct value and any ancestor; everything else is refused, every time."""

import asyncio

import pytest
from returns.result import Failure, Result

from stageflow import (
    Completed,
    Failed,
    Pipeline,
    PipelineValidationError,
    Stage,
    StageError,
    StageHandle,
    StageInputs,
    StageOutput,
    UndeclaredDependencyError,
    UnifiedStageSpec,
    fail,
    lift,
    ok,
    stage,
)


@lift
def fetch(url: str) -> str:
    return f"<{url}>"


@lift
def parse(page: str) -> int:
    return len(page)


@lift
def double(number: int) -> int:
    return number * 2


def reader(wanted: StageHandle[object] | str, name: str = "reader") -> Stage[object, object, StageError]:
    @stage(name=name)
    async def reading(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return ok(inputs[wanted])

    return reading


def refusal(outcome: object) -> UndeclaredDependencyError:
    assert isinstance(outcome, Failed), outcome
    assert isinstance(outcome.error, UndeclaredDependencyError), outcome.error
    return outcome.error


async def test_a_stage_reads_its_direct_value() -> None:
    outcome = await (fetch | parse).run("a")
    assert isinstance(outcome, Completed)
    assert outcome.value == 3


async def test_a_stage_that_follows_nothing_reads_the_input_of_the_pipeline() -> None:
    outcome = await Pipeline.of(str).with_stage(fetch).with_stage(lift(name="shout")(str.upper)).run("a")
    assert isinstance(outcome, Completed)
    assert outcome.report.outputs["shout"] == "A"


async def test_a_stage_that_follows_several_reads_a_tuple_in_the_order_it_names_them() -> None:
    pair = lift(name="pair")(lambda both: both)
    pipeline = Pipeline.of(str).with_stage(fetch).with_stage(parse, after=fetch).with_stage(pair, after=(parse, fetch))
    outcome = await pipeline.run("a")
    assert isinstance(outcome, Completed)
    assert outcome.report.outputs["pair"] == (3, "<a>")


@pytest.mark.parametrize("wanted", [fetch, parse, double, "fetch", "parse", "double"], ids=str)
async def test_a_stage_reads_any_ancestor_by_handle_or_name(wanted: StageHandle[object] | str) -> None:
    outcome = await (fetch | parse | double | reader(wanted)).run("a")
    assert isinstance(outcome, Completed)
    assert (
        outcome.value == {"fetch": "<a>", "parse": 3, "double": 6}[wanted if isinstance(wanted, str) else wanted.name]
    )


async def test_a_stage_reads_each_branch_that_it_follows() -> None:
    again = double.named("again")
    outcome = await (fetch | parse | (double & again) | reader(again)).run("a")
    assert isinstance(outcome, Completed)
    assert outcome.value == 6


async def test_a_stage_inside_a_named_pipeline_reads_ancestors_of_the_pipeline() -> None:
    outcome = await (fetch | (parse | reader(fetch)).named("inner")).run("a")
    assert isinstance(outcome, Completed)
    assert outcome.value == "<a>"


async def test_a_stage_reads_an_ancestor_inside_a_named_pipeline() -> None:
    outcome = await ((fetch | parse).named("inner") | double | reader(fetch)).run("a")
    assert isinstance(outcome, Completed)
    assert outcome.value == "<a>"


async def test_a_stage_reads_an_ancestor_inside_a_named_pipeline_by_its_dotted_name() -> None:
    outcome = await ((fetch | parse).named("inner") | double | reader("inner.fetch")).run("a")
    assert isinstance(outcome, Completed)
    assert outcome.value == "<a>"


async def test_a_stage_reads_a_whole_pipeline_that_it_follows_by_its_handle() -> None:
    inner = (fetch | parse).named("inner")
    outcome = await (inner | double | reader(inner)).run("a")
    assert isinstance(outcome, Completed)
    assert outcome.value == 3


async def test_an_item_reads_an_earlier_stage_of_its_own_item() -> None:
    outcome = await (fetch | parse | reader(fetch)).each().run(["a", "b"])
    assert isinstance(outcome, Completed)
    assert outcome.value == ("<a>", "<b>")


async def test_reading_a_sibling_names_both_stages_and_the_fix() -> None:
    error = refusal(await (fetch & reader(fetch)).run("a"))
    assert error.stage == "reader"
    assert 'Stage "reader" reads "fetch", which it does not follow' in str(error)
    assert 'Put "reader" after "fetch": fetch | reader, or after=(..., fetch).' in str(error)


@pytest.mark.parametrize("attempt", range(5))
async def test_reading_a_sibling_that_has_finished_is_refused_all_the_same(attempt: int) -> None:
    sibling_done = asyncio.Event()

    @stage
    async def sibling(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        return ok(inputs.value)

    @stage
    async def after_sibling(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        sibling_done.set()
        return ok(inputs[sibling])

    @stage
    async def late(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        await sibling_done.wait()
        return ok(inputs[sibling])

    error = refusal(await ((sibling | after_sibling) & late).run("a"))
    assert '"late"' in str(error)
    assert '"sibling"' in str(error)


async def test_reading_a_sibling_that_has_not_finished_is_refused_with_the_same_text() -> None:
    @stage(name="sibling")
    async def never(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        await asyncio.Event().wait()
        return ok(inputs.value)

    finished = lift(name="sibling")(lambda value: value)
    early = refusal(await (never & reader(never)).run("a"))
    late = refusal(await (finished & reader(finished)).run("a"))
    assert str(early) == str(late)


async def test_reading_by_name_is_held_to_the_same_rule() -> None:
    by_name, by_handle = await (fetch & reader("fetch")).run("a"), await (fetch & reader(fetch)).run("a")
    assert str(refusal(by_name)) == str(refusal(by_handle))


async def test_reading_what_comes_later_is_refused() -> None:
    error = refusal(await (fetch | reader(double) | parse | double).run("a"))
    assert '"reader" reads "double", which it does not follow' in str(error)


async def test_a_stage_cannot_read_itself() -> None:
    error = refusal(await (fetch | reader("reader")).run("a"))
    assert '"reader" reads "reader"' in str(error)


async def test_reading_what_is_not_in_the_pipeline_names_it_and_what_was_meant() -> None:
    error = refusal(await (fetch | reader("fetsh")).run("a"))
    assert 'Stage "reader" reads "fetsh", which is not in this pipeline. Did you mean "fetch"?' in str(error)


async def test_an_item_cannot_read_another_stage_inside_a_finished_each() -> None:
    error = refusal(await (fetch.each() | reader(fetch)).run(["a"]))
    assert "ran once per item" in str(error)
    assert "the handle of its .each()" in str(error)


async def test_a_stage_that_catches_the_refusal_goes_on() -> None:
    @stage
    async def careful(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        try:
            return ok(inputs[fetch])
        except UndeclaredDependencyError:
            return ok("without")

    outcome = await (fetch & careful).run("a")
    assert isinstance(outcome, Completed)
    assert outcome.value == ("<a>", "without")


@pytest.mark.parametrize("seen", ["stage", "pipeline", "wired by names"])
async def test_a_refused_read_is_a_failure_however_the_pipeline_was_written(seen: str) -> None:
    pipelines = {
        "stage": (fetch & reader(fetch)).together(),
        "pipeline": Pipeline.of(str).with_stage(fetch).with_stage(reader(fetch)),
        "wired by names": Pipeline.from_specs(
            [UnifiedStageSpec("fetch", fetch), UnifiedStageSpec("reader", reader(fetch))]
        ),
    }
    assert refusal(await pipelines[seen].run("a")).stage == "reader"


def declared(*reads: StageHandle[object], name: str = "reader") -> Stage[object, object, StageError]:
    @stage(name=name, reads=reads)
    async def reading(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return ok(tuple(inputs[one] for one in reads))

    return reading


def problems(pipeline: Stage[object, object, StageError]) -> tuple[str, ...]:
    result = pipeline.build()  # type: ignore[attr-defined]
    assert isinstance(result, Failure), result
    error = result.failure()
    assert isinstance(error, PipelineValidationError)
    return error.problems


async def test_a_declared_read_of_ancestors_builds_and_reads_them() -> None:
    outcome = await (fetch | parse | double | declared(fetch, parse)).run("a")
    assert isinstance(outcome, Completed)
    assert outcome.value == ("<a>", 3)


def test_a_declared_read_of_a_sibling_is_refused_at_build() -> None:
    (problem,) = problems((fetch & declared(fetch)).together())
    assert 'Stage "reader" declares that it reads "fetch", which it does not follow' in problem
    assert 'Put "reader" after "fetch", or take it out of reads=' in problem


def test_a_declared_read_of_what_is_not_in_the_pipeline_is_refused_at_build() -> None:
    (problem,) = problems(fetch | declared(double))
    assert 'Stage "reader" declares that it reads "double", which is not in the pipeline. Add' in problem


def test_every_impossible_declared_read_is_told_at_once() -> None:
    one, two = declared(fetch, double), declared(fetch, name="second")
    assert len(problems((fetch & one & two).together())) == 3


async def test_a_pipeline_with_an_impossible_declared_read_starts_nothing() -> None:
    started: list[str] = []

    @stage
    async def first(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        started.append(inputs.value)
        return fail("not reached")

    with pytest.raises(PipelineValidationError, match="declares that it reads"):
        await (first & declared(first)).run("a")
    assert not started


async def test_an_undeclared_read_of_an_ancestor_is_allowed_beside_declared_ones() -> None:
    @stage(reads=(fetch,))
    async def both(inputs: StageInputs[int]) -> Result[StageOutput[str], StageError]:
        return ok(f"{inputs[fetch]} {inputs[parse]}")

    outcome = await (fetch | parse | double | both).run("a")
    assert isinstance(outcome, Completed)
    assert outcome.value == "<a> 3"
