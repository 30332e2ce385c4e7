"""Composing stages: every operator of `Stage`, `Pipeline`, `Parallel` and `Route`, and what builds of them."""

from __future__ import annotations

import pickle
from collections import namedtuple
from enum import Enum
from typing import Literal

import pytest
from returns.result import Failure, Success

from stageflow import (
    Cancelled,
    Completed,
    Failed,
    LimitInterceptor,
    Parallel,
    Pipeline,
    PipelineContext,
    PipelineValidationError,
    PortKey,
    Skipped,
    Stage,
    StageError,
    StageExecutionError,
    StageInputs,
    StageKind,
    StageOutputs,
    StagePorts,
    TimeoutInterceptor,
    UnifiedStageGraph,
    UnifiedStageSpec,
    cancel,
    fail,
    identity,
    lift,
    ok,
    route,
    skip,
    stage,
)


@lift
def length(text: str) -> int:
    return len(text)


@lift
def shout(text: str) -> str:
    return text.upper()


@lift
def double(number: int) -> int:
    return number * 2


class Colour(Enum):
    RED = 1
    BLUE = 2


@lift
def colour(text: str) -> Colour | None:
    return Colour.RED if text else None


@lift
def empty(text: str) -> bool:
    return not text


@stage
async def nothing(inputs: StageInputs[str]):
    return skip("nothing new")


@stage
async def refuse(inputs: StageInputs[str]):
    return fail("no")


@stage
async def stop(inputs: StageInputs[str]):
    return cancel("enough")


def test_the_bar_makes_a_pipeline_of_two_stages() -> None:
    both = length | double
    assert isinstance(both, Pipeline)
    assert both.build().unwrap().stages == ("length", "double")
    assert repr(both) == "<Pipeline 'length|double'>"
    assert repr(length | double | double.named("again") | double.named("third")) == "<Pipeline 'length|...|third'>"


def test_composing_with_what_is_no_stage_is_a_type_error() -> None:
    for operate in (lambda: length | 3, lambda: length & 3):
        with pytest.raises(TypeError, match="3 is no stage"):
            operate()


async def test_what_is_piped_gets_what_came_before() -> None:
    outcome = await (length | double).run("abc")
    assert isinstance(outcome, Completed)
    assert outcome.value == 6


async def test_branches_are_flat_and_in_order_however_they_are_joined() -> None:
    third = lift(name="first")(lambda text: text[0])
    for branches in (length & shout & third, length & (shout & third)):
        assert isinstance(branches, Parallel)
        outcome = await branches.run("abc")
        assert isinstance(outcome, Completed)
        assert outcome.value == (3, "ABC", "a")


async def test_branches_become_a_stage_by_being_piped_by_into_and_together() -> None:
    size = namedtuple("size", ["length", "shouted"])  # noqa: PYI024  (what matters is that it takes two values)
    total = lift(name="total")(lambda pair: pair[0] + len(pair[1]))
    piped = await ((length & shout) | total).run("abc")
    built = await (length & shout).into(size).run("abc")
    together = await (length & shout).together().run("abc")
    assert [outcome.value for outcome in (piped, built, together)] == [6, size(3, "ABC"), (3, "ABC")]
    assert (length & shout).into(size).build().unwrap().stages == ("length", "shout", "size")
    assert (length & shout).together().name == "length&shout"


async def test_a_stage_is_piped_into_branches() -> None:
    outcome = await (shout | (length & identity(str))).run("abc")
    assert isinstance(outcome, Completed)
    assert outcome.value == (3, "ABC")


async def test_branches_that_are_pipelines_of_handles_give_their_outputs_in_the_tuple() -> None:
    wired = Pipeline.of(str).with_stage(length).with_stage(shout)
    outcome = await ((wired & identity(str)) | lift(name="pick")(lambda pair: (pair[0][length], pair[1]))).run("abc")
    assert isinstance(outcome, Completed)
    assert outcome.value == (3, "abc")


async def test_each_runs_once_per_item_in_order() -> None:
    outcome = await length.each(limit=2).run(["a", "bb", "ccc"])
    assert isinstance(outcome, Completed)
    assert outcome.value == (1, 2, 3)
    assert tuple(outcome.report.stages) == ("length[0]", "length[1]", "length[2]")
    empty = await length.each().run([])
    assert isinstance(empty, Completed)
    assert empty.value == ()


async def test_each_over_what_is_no_sequence_is_a_defect() -> None:
    outcome = await length.each().run("abc")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, StageExecutionError)


async def test_optional_turns_a_skip_into_none_and_nothing_else() -> None:
    skipped, failed = await nothing.optional().run("a"), await refuse.optional().run("a")
    assert isinstance(skipped, Completed)
    assert skipped.value is None
    assert isinstance(failed, Failed)
    fine = await length.optional().run("abc")
    assert isinstance(fine, Completed)
    assert fine.value == 3


async def test_settled_makes_values_of_failures_and_defects() -> None:
    fine, failed, raised = [await one.settled().run("x") for one in (length, refuse, lift(int))]
    assert fine.value == Success(3 - 2)
    assert failed.value == Failure(StageError("no"))
    assert isinstance(raised.value.failure(), StageExecutionError)
    assert isinstance(await nothing.settled().run("a"), Skipped)
    assert isinstance(await stop.settled().run("a"), Cancelled)


async def test_recover_handles_the_errors_of_the_type_and_no_defect() -> None:
    async def instead(error: StageError):
        return ok(error.message)

    handled, fine, raised = [await one.recover(instead).run("x") for one in (refuse, length, lift(int))]
    assert handled.value == "no"
    assert fine.value == 1
    assert isinstance(raised, Failed)


async def test_when_skips_where_its_predicate_is_false() -> None:
    long = length.when(lambda inputs: len(inputs.value) > 2)
    ran, skipped = await long.run("abc"), await long.run("a")
    assert isinstance(ran, Completed)
    assert isinstance(skipped, Skipped)
    assert "condition" in skipped.reason


def test_named_gives_a_new_handle_and_dots_the_names_inside() -> None:
    other = (length | double).named("inner")
    assert (shout | other).build().unwrap().stages == ("shout", "inner.length", "inner.double")
    assert length.named("size").name == "size"
    assert type(length.named("size")) is Stage
    assert type(other) is Pipeline


async def test_the_kind_is_that_of_the_stage_inside_names_and_wrappers() -> None:
    worker = lift(kind=StageKind.WORK)(len)
    assert worker.kind is StageKind.WORK
    assert worker.named("other").using(TimeoutInterceptor(1)).optional().kind is StageKind.WORK
    assert (worker | double).kind is StageKind.TRANSFORM
    assert stage(kind=StageKind.GUARD)(worker).kind is StageKind.GUARD
    assert stage(name="watch", kind=StageKind.GUARD)(worker).name == "watch"
    report = (await worker.named("other").run("abc")).report
    assert report.stages["other"].kind is StageKind.WORK


async def test_a_route_runs_the_case_that_its_selector_gives() -> None:
    @lift
    def size(text: str) -> Literal["short", "long"]:
        return "long" if len(text) > 2 else "short"

    chosen = route(size).case("short", shout).case("long", length).exhaustive()
    assert [(await chosen.run(text)).value for text in ("a", "abc")] == ["A", 3]
    otherwise = route(size).case("short", shout).otherwise(length)
    assert [(await otherwise.run(text)).value for text in ("a", "abc")] == ["A", 3]
    assert chosen.name == "route(size)"


@pytest.mark.parametrize("selector", [nothing, refuse, stop])
async def test_a_selector_that_gives_nothing_decides_the_route(selector) -> None:
    outcome = await route(selector).case(1, shout).otherwise(length).run("a")
    expected = {"nothing": Skipped, "refuse": Failed, "stop": Cancelled}[selector.name]
    assert isinstance(outcome, expected)


async def test_a_route_over_an_enum_or_bool_or_none_knows_its_cases() -> None:
    whole = route(colour).case(Colour.RED, length).case(Colour.BLUE, length.named("blue")).case(None, shout)
    assert (await whole.exhaustive().run("")).value == ""
    assert (await whole.exhaustive().run("red")).value == 3
    partial = route(colour).case(Colour.RED, length).exhaustive().build().failure()
    assert "BLUE" in str(partial)
    assert "None" in str(partial)
    assert isinstance(route(empty).case(True, length).case(False, shout).exhaustive().build(), Success)
    assert isinstance(route(empty).case(True, length).exhaustive().build(), Failure)


async def test_using_wraps_what_is_there_and_keeps_its_handle_readable() -> None:
    wrapped = length.using(TimeoutInterceptor(5.0)).using(LimitInterceptor(1))

    @stage
    async def read(inputs: StageInputs[int]):
        return ok((inputs[length], inputs[wrapped]))

    outcome = await (wrapped | read).run("abc")
    assert isinstance(outcome, Completed)
    assert outcome.value == (3, 3)


async def test_an_interceptor_is_a_decorator() -> None:
    @TimeoutInterceptor(5.0)
    @stage
    async def slow(inputs: StageInputs[str]):
        return ok(inputs.value)

    @TimeoutInterceptor(5.0)
    async def plain(inputs: StageInputs[str]):
        return ok(inputs.value)

    assert [one.name for one in (slow, plain)] == ["slow", "plain"]
    assert [(await one.run("a")).value for one in (slow, plain)] == ["a", "a"]


async def test_with_stage_wires_by_handles_and_by_names_alike() -> None:
    handles = Pipeline.of(str).with_stage(length).with_stage(double, after=length)
    names = (
        Pipeline.of(str)
        .with_stage("length", length)
        .with_stage("double", double, StageKind.WORK, dependencies=("length",))
    )
    for built in (handles, names):
        outcome = await built.run("abc")
        assert isinstance(outcome, Completed)
        assert isinstance(outcome.value, StageOutputs)
        assert (outcome.value[length], outcome.value[double], outcome.value["double"]) == (3, 6, 6)
    report = (await names.run("a")).report
    assert report.stages["double"].kind is StageKind.WORK


def test_compose_is_the_union_of_the_stages_of_both() -> None:
    common = Pipeline.of(str).with_stage(length)
    left, right = common.with_stage(double, after=length), common.with_stage(shout)
    assert left.compose(right).build().unwrap().stages == ("length", "double", "shout")


def test_compose_refuses_one_name_for_two_stages() -> None:
    clash = Pipeline.of(str).with_stage(length).compose(Pipeline.of(str).with_stage(shout.named("length"))).build()
    assert 'Two stages are called "length"' in clash.failure().problems[0]


async def test_returning_gives_the_output_of_one_stage() -> None:
    outcome = await Pipeline.of(str).with_stage(length).with_stage(double, after=length).returning(length).run("abc")
    assert isinstance(outcome, Completed)
    assert outcome.value == 3


async def test_replacing_puts_another_stage_under_the_name_and_handle_of_the_first() -> None:
    stub = lift(name="stub")(lambda text: 41)
    replaced = (length | double).replacing(length).by(stub)
    outcome = await replaced.run("abc")
    assert isinstance(outcome, Completed)
    assert outcome.value == 82
    assert outcome.report.outputs[length] == 41
    assert tuple(outcome.report.stages) == ("length", "double")
    assert replaced.name == "length|double"


async def test_from_specs_wires_many_stages_by_name_at_once() -> None:
    specs = [
        UnifiedStageSpec("count", length),
        UnifiedStageSpec("twice", double, StageKind.WORK, ("count",)),
        UnifiedStageSpec("never", shout, when=lambda inputs: False),
    ]
    outcome = await Pipeline.from_specs(specs).run("abc")
    assert isinstance(outcome, Completed)
    assert outcome.report.outputs["twice"] == 6
    assert [result.status.value for result in outcome.report.stages.values()] == ["ok", "ok", "skip"]


def test_build_gives_the_graph_once_or_every_problem() -> None:
    pipeline = length | double
    graph = pipeline.build().unwrap()
    assert pipeline.build().unwrap() is graph
    assert pipeline.graph() is graph
    broken = Pipeline.of(str).with_stage("a", length, dependencies=("b",)).with_stage("c", double, dependencies=("d",))
    error = broken.build().failure()
    assert len(error.problems) == 2
    with pytest.raises(PipelineValidationError) as raised:
        broken.graph()
    assert raised.value == error


async def test_a_pipeline_that_does_not_build_raises_before_anything_starts() -> None:
    ran: list[str] = []
    note = lift(name="note")(ran.append)
    with pytest.raises(PipelineValidationError, match="follows itself"):
        await Pipeline.of(str).with_stage(note).with_stage("a", shout, dependencies=("a",)).run("abc")
    assert ran == []


def test_a_graph_knows_its_name_stages_and_size() -> None:
    graph = (length | double).build().unwrap()
    assert isinstance(graph, UnifiedStageGraph)
    assert (graph.name, graph.stages, len(graph)) == ("length|double", ("length", "double"), 2)
    assert repr(graph) == "<UnifiedStageGraph 'length|double' of 2 stages>"
    assert graph.shape is not None
    assert graph.atlas.root.names == graph.stages
    with pytest.raises(AttributeError):
        graph.name = "other"  # type: ignore[misc]


async def test_a_graph_runs_by_itself() -> None:
    outcome = await (length | double).build().unwrap().run("abc")
    assert isinstance(outcome, Completed)
    assert outcome.value == 6


@pytest.mark.parametrize(
    "composed",
    [
        length,
        length | double,
        (length & shout).together(),
        (length & shout) | lift(len),
        length.each(limit=2).named("many"),
        length.optional().settled(),
        Pipeline.of(str).with_stage(length).with_stage(double, after=length).returning(double),
        Pipeline.of(str).with_stage(length).compose(Pipeline.of(str).with_stage(shout)),
        route(length).case(3, shout).otherwise(length.named("size")),
        (length | double).replacing(double).by(double.named("stub")),
        identity(str) | length,
    ],
    ids=lambda composed: composed.name,
)
async def test_what_is_composed_of_importable_stages_crosses_a_pickle(composed) -> None:
    value = ["a"] if composed.name == "many" else "abc"
    other = pickle.loads(pickle.dumps(composed))
    graph = pickle.loads(pickle.dumps(composed.build().unwrap())) if isinstance(composed, Pipeline) else other.graph()
    assert type(other) is type(composed)
    assert other.name == composed.name
    expected, given, built = await composed.run(value), await other.run(value), await graph.run(value)
    for outcome in (given, built):
        if isinstance(expected.value, StageOutputs):
            assert outcome.value.by_name() == expected.value.by_name()
        else:
            assert outcome.value == expected.value


@pytest.mark.parametrize("name", ["name", "kind", "shape", "more"])
def test_stages_pipelines_and_branches_cannot_be_changed(name) -> None:
    for made in (length, length | double, length & shout, route(length)):
        with pytest.raises(AttributeError):
            setattr(made, name, None)


async def test_a_stage_is_called_directly_as_a_test_does() -> None:
    assert await length(StageInputs("abc")) == ok(3)
    assert await length.named("size")(StageInputs("abc")) == ok(3)
    assert await length.using(TimeoutInterceptor(5.0))(StageInputs("abc")) == ok(3)
    assert await length.when(lambda inputs: False)(StageInputs("abc")) == skip("its condition was false")


async def test_what_contains_others_is_called_directly_as_a_run_with_its_ports() -> None:
    key: PortKey[str] = PortKey("greeting")

    @stage(requires=(key,))
    async def greet(inputs: StageInputs[str]):
        return ok(f"{inputs.ports[key]} {inputs.value}")

    ports = StagePorts().provide(key, "hello")
    assert await (shout | greet)(StageInputs("a", ports=ports)) == ok("hello A")
    assert await (shout | refuse)(StageInputs("a")) == fail("no")
    skipped = (await (shout | nothing)(StageInputs("a"))).unwrap()
    cancelled = (await (shout | stop)(StageInputs("a"))).unwrap()
    assert (skipped.status, cancelled.status) == ("skip", "cancel")
    assert "nothing new" in skipped.reason
    assert "enough" in cancelled.reason


async def test_a_run_takes_a_context(clock) -> None:
    outcome = await (length & shout).run("a", context=PipelineContext(timer=clock.timer()))
    assert isinstance(outcome, Completed)
    assert outcome.report.duration_ms == 0.0


def test_a_composite_500_deep_builds() -> None:
    deep: Stage = length
    for number in range(500):
        deep = (deep | identity(int)).named(f"level{number}")
    assert len(deep.build().unwrap()) == 1


async def test_of_two_stand_ins_for_one_stage_the_last_said_counts() -> None:
    @lift
    def fetch(value: int) -> int:
        return 1

    @lift
    def stub(value: int) -> int:
        return 2

    @lift
    def other(value: int) -> int:
        return 3

    stubbed = (fetch | lift(str)).replacing(fetch).by(stub)
    outcome = await stubbed.replacing(fetch).by(other).run(0)
    assert isinstance(outcome, Completed)
    assert outcome.value == "3"
