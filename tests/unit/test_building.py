"""How what is composed is laid out as a graph: names, order, handles, and the report of what did not run."""

from __future__ import annotations

import asyncio

import pytest

from stageflow import (
    BaseInterceptor,
    Completed,
    Failed,
    Pipeline,
    PipelineContext,
    Runner,
    Skipped,
    Stage,
    StageError,
    StageExecutionError,
    StageInputs,
    StageOutputs,
    StageStatus,
    StageTimeoutError,
    TimeoutInterceptor,
    fail,
    identity,
    lift,
    ok,
    route,
    skip,
    stage,
)
from stageflow.core.stage import Shape
from stageflow.graph.building.build import laid_out


def some(name: str) -> Stage:
    """A stage that adds its name to the text it gets."""
    return lift(name=name)(lambda value: f"{value}.{name}")


def reads(*wanted: object, name: str = "reader", declared: bool = False) -> Stage:
    """A stage that gives what it reads, in a tuple."""

    @stage(name=name, reads=wanted if declared else ())
    async def read(inputs: StageInputs[object]):
        return ok(tuple(inputs[one] for one in wanted))

    return read


@stage
async def nothing(inputs: StageInputs[object]):
    return skip("nothing new")


@stage
async def refuse(inputs: StageInputs[object]):
    return fail("no")


async def value_of(made: Stage, value: object = "x") -> object:
    outcome = await made.run(value)
    assert isinstance(outcome, Completed), outcome
    return outcome.value


async def statuses_of(made: Stage, value: object = "x") -> dict[str, str]:
    report = (await made.run(value)).report
    return {name: result.status.value for name, result in report.stages.items()}


def test_stages_are_in_topological_order_and_ties_by_declaration() -> None:
    a, b, c, d = (some(name) for name in "abcd")
    built = (
        Pipeline.of(str)
        .with_stage("d", d, dependencies=("a", "c"))
        .with_stage(b)
        .with_stage(a)
        .with_stage("c", c, dependencies=("a",))
    )
    assert built.build().unwrap().stages == ("b", "a", "c", "d")


async def test_the_handle_of_a_composite_reads_what_it_gives() -> None:
    a, b = some("a"), some("b")
    chain = (a | b).named("chain")
    both = Pipeline.of(str).with_stage(chain).with_stage(some("last"), after=chain)
    outputs = (await both.run("x")).report.outputs
    assert (outputs[chain], outputs["chain"], outputs["chain.a"], outputs[b]) == ("x.a.b", "x.a.b", "x.a", "x.a.b")
    assert outputs["last"] == "x.a.b.last"


async def test_the_handle_of_branches_together_reads_their_tuple() -> None:
    pair = (some("a") & some("b")).together()
    outputs = (await Pipeline.of(str).with_stage(pair).run("x")).report.outputs
    assert outputs[pair] == ("x.a", "x.b")
    assert await value_of(Pipeline.of(str).with_stage(pair).returning(pair)) == ("x.a", "x.b")


async def test_a_declared_read_of_branches_together_builds() -> None:
    pair = (some("a") & some("b")).together()
    assert await value_of(pair | reads(pair, declared=True)) == (("x.a", "x.b"),)


async def test_a_stage_may_follow_one_that_is_inside_another() -> None:
    a, b = some("a"), some("b")
    handles = Pipeline.of(str).with_stage(a | b).with_stage(some("late"), after=a)
    names = Pipeline.of(str).with_stage("inner", a | b).with_stage("late", some("late"), dependencies=("inner.a",))
    for built in (handles, names):
        assert (await built.run("x")).report.outputs["late"] == "x.a.late"


async def instead(error: StageError):
    return ok("recovered")


@pytest.mark.parametrize(
    "hide",
    [
        lambda one: one.each(),
        lambda one: one.settled(),
        lambda one: one.optional(),
        lambda one: one.recover(instead),
        lambda one: (one | some("b")).optional(),
    ],
    ids=["each", "settled", "optional", "recover", "optional chain"],
)
def test_what_is_hidden_by_its_wrapper_cannot_be_followed_by_its_own_handle(hide) -> None:
    a = some("a")
    problem = str(Pipeline.of(str).with_stage(hide(a)).with_stage(some("late"), after=a).build().failure())
    assert '"late"' in problem
    assert '"a"' in problem


async def test_the_handle_of_an_each_reads_the_tuple_of_its_outputs() -> None:
    per_item = some("a").each()
    assert await value_of(per_item | reads(per_item), ["x", "y"]) == (("x.a", "y.a"),)


async def test_a_wired_pipeline_in_a_chain_gives_all_its_outputs() -> None:
    a, b = some("a"), some("b")
    wired = Pipeline.of(str).with_stage(a).with_stage(b, after=a)
    pick = lift(name="pick")(lambda outputs: (outputs[a], outputs[b]))
    assert await value_of(some("first") | wired | pick) == ("x.first.a", "x.first.a.b")
    assert isinstance(await value_of(wired), StageOutputs)


async def test_a_stage_may_read_an_ancestor_from_inside_a_composite() -> None:
    a = some("a")
    reader = reads(a)
    assert await value_of(a | reader.optional()) == ("x.a",)
    assert await value_of(a | (reader | lift(name="first")(lambda pair: pair[0])).named("inner")) == "x.a"
    assert await value_of(a | lift(name="split")(list) | reader.each()) == (("x.a",),) * 3
    assert await value_of(a | route(lift(name="which")(bool)).case(True, reader).otherwise(nothing)) == ("x.a",)


async def test_a_declared_read_of_an_ancestor_builds_wherever_it_is() -> None:
    a, b = some("a"), some("b")
    for reader in (reads(a, declared=True), reads(a, declared=True).optional(), reads(a, declared=True).named("other")):
        assert await value_of((a | b) | reader) == ("x.a",)
    inner = a.named("inner")
    assert await value_of(inner | b | reads(inner, declared=True)) == ("x.a",)
    assert await value_of((a & b) | reads(a, b, declared=True)) == ("x.a", "x.b")


@pytest.mark.parametrize("absorb", [lambda one: one.optional(), lambda one: one.settled(), lambda one: one.each()])
def test_a_declared_read_of_what_may_be_missing_is_refused(absorb) -> None:
    a = some("a")
    for inside in (a, a | some("b")):
        build = (absorb(inside) | reads(a, declared=True)).build()
        assert "its absence is absorbed" in str(build.failure())


def test_a_declared_read_inside_an_item_of_what_is_apart_is_refused() -> None:
    a = some("a")
    build = (a.each() & reads(a, declared=True).each()).together().build()
    assert "which it does not follow" in str(build.failure())


async def test_a_named_pipeline_twice_has_two_scopes_and_each_reads_its_own() -> None:
    a = some("a")
    inner = a | reads(a)
    outcome = await (inner.named("one") & inner.named("two")).run("x")
    assert isinstance(outcome, Completed)
    assert outcome.value == (("x.a",), ("x.a",))
    assert tuple(outcome.report.stages) == ("one.a", "one.reader", "two.a", "two.reader")


async def test_an_absorbed_stage_that_did_give_is_readable_and_one_that_did_not_is_not() -> None:
    a = some("a")
    assert await value_of(a.optional() | reads(a)) == ("x.a",)
    outcome = await (nothing.optional() | reads(nothing)).run("x")
    assert isinstance(outcome, Failed)
    assert "Read the handle of what absorbed it" in str(outcome.error)


async def test_replacing_reaches_into_every_wrapper_and_composite() -> None:
    a, b, stub = some("a"), some("b"), some("stub")
    for made in (
        a | b,
        a.using(TimeoutInterceptor(5)) | b,
        a.optional() | b,
        a.settled() | lift(name="open")(lambda settled: settled.unwrap()),
        (a | b).named("inner") | some("last"),
        Pipeline.of(str).with_stage(a).with_stage(b, after=a).returning(b),
        route(lift(name="which")(bool)).case(True, a).otherwise(b),
        (a & b) | lift(name="join")("|".join),
    ):
        replaced = made.replacing(a).by(stub)
        assert "x.stub" in str(await value_of(replaced))
        names = tuple(replaced.graph().atlas.named)
        assert not [name for name in names if "stub" in name], names


async def test_replacing_a_composite_and_replacing_twice() -> None:
    a, b, c = (some(name) for name in "abc")
    inner = (a | b).named("inner")
    assert await value_of((inner | c).replacing(inner).by(some("stub"))) == "x.stub.c"
    twice = (a | b).replacing(a).by(some("one")).replacing(b).by(some("two"))
    assert await value_of(twice) == "x.one.two"
    assert await value_of(a.replacing(a).by(some("one") | c)) == "x.one.c"


async def test_the_branch_of_a_route_that_was_not_chosen_is_reported_as_skipped() -> None:
    inner = (some("b") | some("c")).named("inner")
    chosen = route(lift(name="which")(bool)).case(True, some("a")).case(False, inner).otherwise(some("d").each())
    report = (await chosen.run("x")).report
    assert {name: result.status.value for name, result in report.stages.items()} == {
        "which": "ok",
        "a": "ok",
        "inner.b": "skip",
        "inner.c": "skip",
        "d": "skip",
    }
    assert report.stages["inner.b"].reason == "route(which) chose True"


async def test_what_is_inside_what_never_ran_is_in_the_report_and_is_told_as_skipped(told) -> None:
    inner = (some("a") | some("b")).optional()
    after_failure = await statuses_of(refuse | inner | some("last").each())
    assert after_failure == {"refuse": "fail", "a": "cancel", "b": "cancel", "last": "cancel"}
    after_skip = await (nothing | inner | some("last")).run("x", context=PipelineContext(sink=told))
    assert isinstance(after_skip, Skipped)
    assert {name: result.status.value for name, result in after_skip.report.stages.items()} == {
        "nothing": "skip",
        "a": "skip",
        "b": "skip",
        "last": "skip",
    }
    assert [type for type in told.types if type.endswith(".skipped")] == [
        f"stage.{name}.skipped" for name in ("nothing", "a", "b", "last")
    ]


async def test_items_that_never_ran_are_in_the_report_by_their_numbers() -> None:
    chain = (refuse.when(lambda inputs: inputs.value == "bad") | some("after")).named("item")
    outcome = await chain.each(limit=1).run(["bad", "good"])
    assert isinstance(outcome, Failed)
    names = tuple(outcome.report.stages)
    assert names == ("item[0].refuse", "item[0].after", "item[1].refuse", "item[1].after")
    assert outcome.report.stages["item[1].after"].status is StageStatus.CANCEL


async def test_nested_items_are_named_by_both_numbers() -> None:
    nested = (lift(name="split")(list) | some("each").each()).each()
    report = (await nested.run(["ab", "c"])).report
    assert tuple(report.stages) == ("split[0]", "each[0][0]", "each[0][1]", "split[1]", "each[1][0]")


async def test_a_pipeline_that_returns_its_input_or_branches_of_it() -> None:
    assert await value_of((identity(str) & some("a")).together()) == ("x", "x.a")
    assert await value_of(some("a") | (identity(str) & identity(str))) == ("x.a", "x.a")
    both = (Pipeline.of(str).with_stage(some("a")) & some("b")).together()
    outputs, text = await value_of(both)
    assert (outputs["a"], text) == ("x.a", "x.b")


async def test_a_union_of_pipelines_returning_and_stages_alike_is_one_graph() -> None:
    a, b, c = (some(name) for name in "abc")
    left = Pipeline.of(str).with_stage(a).with_stage(b, after=a).returning(b)
    right = Pipeline.of(str).with_stage(a).with_stage(c, after=a)
    assert left.compose(right).build().unwrap().stages == ("a", "b", "c")
    assert left.compose(Pipeline.of(str)).build().unwrap().stages == ("a", "b")
    differently = Pipeline.of(str).with_stage(c).with_stage(a, after=c)
    assert 'Stage "a" occurs twice' in str(left.compose(differently).build().failure())


def test_a_cycle_through_a_composite_is_found() -> None:
    a, b = some("a"), some("b")
    inner = (a | b).named("inner")
    last = some("last")
    build = Pipeline.of(str).with_stage(inner, after=last).with_stage(last, after=b).build()
    assert "none could start" in str(build.failure())


async def test_deeply_wrapped_stages_run() -> None:
    deep = some("a")
    for _ in range(60):
        deep = deep.optional().using(TimeoutInterceptor(60)).when(lambda inputs: True)
    assert await value_of(deep) == "x.a"
    composed = some("a") | identity(str)
    for number in range(60):
        composed = composed.optional() | some(f"s{number}")
    assert str(await value_of(composed)).endswith(".s59")


async def test_a_runners_error_passes_through_what_absorbs_inside_it() -> None:
    class Late(BaseInterceptor[StageTimeoutError]):
        def wrap(self, call, /):
            async def run_late(inputs):
                given = await call(inputs)
                return fail(StageTimeoutError("late")) if inputs.context.stage == "late" else given

            return run_late

    raises = lift(name="raises")(int)
    async with Runner().using(Late()) as runner:
        late = await runner.run(some("late").settled(), "x")
        own = await runner.run(refuse.recover(instead), "x")
        defect = await runner.run(raises.recover(instead), "x")
        settled = await runner.run(raises.settled(), "x")
        again = await runner.run(some("late").recover(instead), "x")
    assert isinstance(late, Failed)
    assert isinstance(again, Failed)
    assert (own.value, type(defect.error)) == ("recovered", StageExecutionError)
    assert isinstance(settled.value.failure(), StageExecutionError)


async def test_a_stage_that_gives_no_coroutine_but_an_awaitable_is_awaited() -> None:
    async def echo(inputs: StageInputs[str]):
        return ok(inputs.value)

    class Deferred(BaseInterceptor):
        def wrap(self, call, /):
            return lambda inputs: asyncio.ensure_future(echo(inputs))

    assert await value_of(some("a").using(Deferred())) == "x"


def test_a_shape_of_another_kind_is_no_graph() -> None:
    class Foreign(Shape):
        label = "foreign"

    with pytest.raises(AssertionError):
        laid_out(Foreign())
    with pytest.raises(NotImplementedError):
        Shape().label  # noqa: B018
