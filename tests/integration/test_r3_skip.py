"""R3: a skip passes on to what follows, with its origin's name and reason, until something absorbs it."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
from returns.result import Failure, Result, Success

from stageflow import (
    Completed,
    Failed,
    LoggingInterceptor,
    Pipeline,
    PipelineContext,
    Skipped,
    Stage,
    StageError,
    StageHandle,
    StageInputs,
    StageOutput,
    StageStatus,
    TimeoutInterceptor,
    UndeclaredDependencyError,
    fail,
    lift,
    ok,
    route,
    skip,
    stage,
)

AnyStage = Stage[object, object, StageError]


class RecordingSink:
    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, object]]] = []

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.events.append((type, data or {}))

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.try_emit(type=type, data=data)

    def types(self) -> list[str]:
        return [type for type, _ in self.events]


@stage
async def absent(inputs: StageInputs[object]) -> Result[StageOutput[str], StageError]:
    return skip("nothing new")


@stage
async def broken(inputs: StageInputs[object]) -> Result[StageOutput[str], StageError]:
    return fail("no")


@lift
def present(value: object) -> str:
    return f"<{value}>"


def follows(name: str, ran: list[str] | None = None) -> AnyStage:
    @stage(name=name)
    async def following(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        if ran is not None:
            ran.append(name)
        return ok(inputs.value)

    return following


def reader(wanted: StageHandle[object], *, declares: bool = False) -> AnyStage:
    @stage(reads=(wanted,) if declares else ())
    async def reading(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return ok(inputs[wanted])

    return reading


async def recovered(error: StageError) -> Result[StageOutput[str], StageError]:
    return ok(f"recovered from {error}")


async def test_a_skipped_stages_dependents_are_skipped_and_do_not_run() -> None:
    ran: list[str] = []
    outcome = await (absent | follows("child", ran) | follows("grandchild", ran)).run("x")
    assert isinstance(outcome, Skipped)
    assert not ran
    assert [result.status for result in outcome.report.stages.values()] == [StageStatus.SKIP] * 3


async def test_every_dependent_carries_the_originals_name_and_reason() -> None:
    outcome = await (absent | follows("child") | follows("grandchild")).run("x")
    assert isinstance(outcome, Skipped)
    assert outcome.reason == "absent: nothing new"
    assert outcome.report.stages["absent"].reason == "nothing new"
    assert outcome.report.stages["child"].reason == "absent: nothing new"
    assert outcome.report.stages["grandchild"].reason == "absent: nothing new"


async def test_a_dependent_of_several_is_skipped_where_one_of_them_was() -> None:
    ran: list[str] = []
    outcome = await ((present & absent) | follows("joined", ran)).run("x")
    assert isinstance(outcome, Skipped)
    assert not ran
    assert outcome.report.stages["present"].status is StageStatus.OK
    assert outcome.report.stages["joined"].reason == "absent: nothing new"


async def test_what_does_not_depend_on_the_skip_runs() -> None:
    ran: list[str] = []
    outcome = await ((absent | follows("child", ran)) & (present | follows("other", ran))).run("x")
    assert ran == ["other"]
    assert isinstance(outcome, Skipped)


async def test_a_skip_inside_a_named_pipeline_skips_what_follows_the_pipeline() -> None:
    ran: list[str] = []
    inner = (present | absent | follows("last", ran)).named("inner")
    outcome = await (inner | follows("outside", ran)).run("x")
    assert isinstance(outcome, Skipped)
    assert not ran
    assert outcome.report.stages["outside"].reason == "inner.absent: nothing new"


async def test_a_skipped_dependent_tells_of_its_skip_and_of_no_start() -> None:
    sink = RecordingSink()
    await (absent | follows("child")).run("x", context=PipelineContext(sink=sink))
    child = [(type, data) for type, data in sink.events if type.startswith("stage.child.")]
    assert [type for type, _ in child] == ["stage.child.skipped"]
    assert child[0][1]["reason"] == "absent: nothing new"


async def test_a_skipped_dependent_was_never_attempted() -> None:
    outcome = await (absent | follows("child")).run("x")
    child = outcome.report.stages["child"]
    assert (child.attempts, child.started_at, child.error) == (0, None, None)
    assert outcome.report.stages["absent"].attempts == 1


async def test_a_false_condition_is_a_skip_with_a_reason() -> None:
    outcome = await (present.when(lambda _: False) | follows("child")).run("x")
    assert isinstance(outcome, Skipped)
    assert outcome.reason == "present: its condition was false"


async def test_optional_turns_the_absence_into_none() -> None:
    outcome = await (absent.optional() | follows("child")).run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value is None
    assert outcome.report.stages["child"].status is StageStatus.OK


async def test_optional_leaves_a_value_as_it_is() -> None:
    outcome = await (present.optional() | follows("child")).run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value == "<x>"


async def test_optional_does_not_absorb_a_failure() -> None:
    outcome = await (broken.optional() | follows("child")).run("x")
    assert isinstance(outcome, Failed)
    assert outcome.error == StageError("no")


async def test_optional_around_a_pipeline_absorbs_a_skip_of_any_stage_inside() -> None:
    ran: list[str] = []
    outcome = await ((present | absent | follows("inner", ran)).optional() | follows("child", ran)).run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value is None
    assert ran == ["child"]
    assert outcome.report.stages["inner"].status is StageStatus.SKIP


@pytest.mark.parametrize("absorbs", ["recover", "settled"])
async def test_what_absorbs_failures_lets_a_skip_through(absorbs: str) -> None:
    wrapped = absent.recover(recovered) if absorbs == "recover" else absent.settled()
    outcome = await (wrapped | follows("child")).run("x")
    assert isinstance(outcome, Skipped)
    assert outcome.reason == "absent: nothing new"


ABSORBERS: dict[str, Callable[[AnyStage], AnyStage]] = {
    "optional": lambda inner: inner.optional(),
    "recover": lambda inner: inner.recover(recovered),
    "settled": lambda inner: inner.settled(),
    "each": lambda inner: inner.each(),
    "route": lambda inner: route(lift(name="selector")(lambda _: 1)).case(1, inner).otherwise(follows("other")),
}


@pytest.mark.parametrize("absorber", ["each", "route"])
def test_a_declared_read_of_a_stage_that_may_not_have_run_is_refused_at_build(absorber: str) -> None:
    inner = follows("inner")
    result = (ABSORBERS[absorber](inner) | reader(inner, declares=True)).build()
    assert isinstance(result, Failure), result
    assert '"reading" declares that it reads "inner", whose output may be missing' in result.failure().problems[0]


@pytest.mark.parametrize("absorber", ["optional", "recover", "settled"])
def test_a_declared_read_of_a_stage_whose_absence_was_absorbed_is_refused_at_build(absorber: str) -> None:
    inner = (present | absent).named("inner")
    result = (ABSORBERS[absorber](inner) | reader(absent, declares=True)).build()
    assert isinstance(result, Failure), result
    (problem,) = result.failure().problems
    assert '"reading" declares that it reads "' in problem
    assert "whose output may be missing" in problem
    assert f".{absorber}()" in problem


def test_a_declared_read_of_a_single_stage_whose_absence_was_absorbed_is_refused_at_build() -> None:
    result = (absent.optional() | reader(absent, declares=True)).build()
    assert isinstance(result, Failure), result
    (problem,) = result.failure().problems
    assert '"reading" declares that it reads "absent"' in problem


async def test_a_declared_read_of_what_absorbs_is_allowed() -> None:
    optional = absent.optional()
    outcome = await (optional | follows("between") | reader(optional, declares=True)).run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value is None


async def test_an_undeclared_read_of_an_absorbed_absence_fails_naming_the_handle_to_use() -> None:
    outcome = await (absent.optional() | reader(absent)).run("x")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, UndeclaredDependencyError)
    assert '"reading" reads "absent", which gave no output' in str(outcome.error)
    assert "Read the handle of what absorbed it: the stage made by .optional()" in str(outcome.error)


async def test_an_undeclared_read_of_a_recovered_failure_fails_naming_the_handle_to_use() -> None:
    outcome = await (broken.recover(recovered) | reader(broken)).run("x")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, UndeclaredDependencyError)
    assert ".recover()" in str(outcome.error)


@pytest.mark.parametrize("absorber", ["optional", "recover", "settled"])
async def test_an_undeclared_read_of_a_stage_that_did_give_its_output_is_that_output(absorber: str) -> None:
    outcome = await (ABSORBERS[absorber](present) | reader(present)).run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value == "<x>"


WRAPPERS: dict[str, Callable[[AnyStage], AnyStage]] = {
    "optional": lambda inner: inner.optional(),
    "using": lambda inner: inner.using(LoggingInterceptor()),
    "a timeout": lambda inner: inner.using(TimeoutInterceptor(60.0)),
    "recover": lambda inner: inner.recover(recovered),
    "settled": lambda inner: inner.settled(),
    "when": lambda inner: inner.when(lambda _: True),
    "all of them": lambda inner: inner.using(LoggingInterceptor()).when(lambda _: True).recover(recovered).optional(),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
async def test_a_wrapped_stage_keeps_its_name(wrapper: str) -> None:
    wrapped = WRAPPERS[wrapper](present)
    outcome = await (wrapped | follows("child")).run("x")
    assert wrapped.name == "present"
    assert list(outcome.report.stages) == ["present", "child"]


@pytest.mark.parametrize("wrapper", WRAPPERS)
async def test_a_wrapped_stage_is_read_by_the_inner_handle(wrapper: str) -> None:
    outcome = await (WRAPPERS[wrapper](present) | follows("child") | reader(present)).run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value == "<x>"
    assert outcome.report.outputs[present] == "<x>"


async def test_the_wrapper_and_what_it_wraps_are_two_handles() -> None:
    settled = present.settled()
    outcome = await (settled | follows("child")).run("x")
    assert outcome.report.outputs[settled] == Success("<x>")
    assert outcome.report.outputs[present] == "<x>"


async def test_a_stage_given_a_name_by_with_stage_keeps_its_handle() -> None:
    pipeline = (
        Pipeline.of(object)
        .with_stage("renamed", present)
        .with_stage("child", follows("any"), dependencies=("renamed",))
        .with_stage("last", reader(present), dependencies=("child",))
    )
    outcome = await pipeline.run("x")
    assert isinstance(outcome, Completed)
    assert list(outcome.report.stages) == ["renamed", "child", "last"]
    assert outcome.report.outputs["last"] == "<x>"
    assert outcome.report.outputs[present] == "<x>"


async def test_a_named_stage_has_a_handle_of_its_own() -> None:
    again = present.named("again")
    outcome = await (present | again | reader(present)).run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value == "<x>"
    assert outcome.report.outputs[again] == "<<x>>"


async def test_a_run_whose_output_was_skipped_is_skipped_and_says_so_last() -> None:
    sink = RecordingSink()
    outcome = await (present | absent).run("x", context=PipelineContext(sink=sink))
    assert isinstance(outcome, Skipped)
    type, data = sink.events[-1]
    assert (type, data["status"]) == ("pipeline.completed", "skip")
    assert data["reason"] == "absent: nothing new"
    assert [type for type in sink.types() if type.startswith("pipeline.")] == [
        "pipeline.created",
        "pipeline.started",
        "pipeline.completed",
    ]


def wired() -> Pipeline[object, object, StageError]:
    return Pipeline.of(object).with_stage(present).with_stage(absent)


async def test_without_returning_a_run_is_skipped_only_where_every_sink_was() -> None:
    outcome = await wired().run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value["present"] == "<x>"  # type: ignore[index]


async def test_without_returning_a_run_is_skipped_where_every_sink_was() -> None:
    sink = RecordingSink()
    pipeline = wired().with_stage(follows("child"), after=absent).with_stage(follows("joined"), after=(present, absent))
    outcome = await pipeline.run("x", context=PipelineContext(sink=sink))
    assert isinstance(outcome, Skipped)
    assert outcome.reason == "absent: nothing new"
    assert sink.events[-1][1]["status"] == "skip"


async def test_with_returning_a_run_is_what_that_stage_was() -> None:
    assert isinstance(await wired().returning(absent).run("x"), Skipped)
    outcome = await wired().returning(present).run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value == "<x>"


async def test_the_outputs_of_a_run_lack_what_was_skipped() -> None:
    outcome = await wired().run("x")
    with pytest.raises(KeyError, match='"absent" gave no output'):
        outcome.report.outputs[absent]


async def test_a_skip_passes_only_after_all_that_a_stage_follows_has_settled() -> None:
    """So the reported cause does not depend on who finished first."""

    @stage
    async def also_absent(inputs: StageInputs[object]) -> Result[StageOutput[str], StageError]:
        return skip("later in the graph")

    @stage
    async def slowly_absent(inputs: StageInputs[object]) -> Result[StageOutput[str], StageError]:
        for _ in range(5):
            await asyncio.sleep(0)
        return skip("first in the graph")

    outcome = await ((slowly_absent & also_absent) | follows("joined")).run("x")
    assert isinstance(outcome, Skipped)
    assert outcome.reason == "slowly_absent: first in the graph"
