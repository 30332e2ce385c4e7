"""R13: building and running are linear in stages plus edges, however deep; authoring copies nothing it has."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import Callable, Coroutine
from functools import reduce
from typing import Literal, Never

import pytest
from returns.result import Result, Success

from stageflow import (
    BaseInterceptor,
    Cancelled,
    Completed,
    Failed,
    LimitInterceptor,
    Pipeline,
    PipelineContext,
    PipelineTimer,
    RetryInterceptor,
    Runner,
    Skipped,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    StageStatus,
    TimeoutInterceptor,
    UnifiedStageSpec,
    fail,
    identity,
    lift,
    ok,
    route,
    skip,
    stage,
)

AnyStage = Stage[object, object, StageError]
AnyPipeline = Pipeline[object, object, StageError]
MANY = 100_000
LONG = 20_000
DEEP = 500
SMALL = 400  # what calls are counted at, and at twice that
TWICE = 2.2


Body = Callable[[StageInputs[int]], Coroutine[object, object, Result[StageOutput[int], Never]]]


async def adding(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    return ok(inputs.value + 1)


async def suspending(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    await asyncio.sleep(0)
    return ok(inputs.value + 1)


def summing(values: object) -> int:
    return sum(values)  # type: ignore[call-overload,no-any-return]


add = stage(name="add")(adding)


def spec(number: int, made: AnyStage, *after: int) -> UnifiedStageSpec:
    return UnifiedStageSpec(f"s{number}", made, dependencies=tuple([f"s{before}" for before in after]))


def chain(count: int, body: Body = adding, *, reverse: bool = False) -> AnyPipeline:
    specs = [spec(number, stage(body), *([number - 1] if number else [])) for number in range(count)]
    return Pipeline.from_specs(reversed(specs) if reverse else specs)


def fan(count: int, body: Body = adding) -> AnyPipeline:
    middle = [spec(number, stage(body), 0) for number in range(1, count + 1)]
    last = spec(count + 1, lift(summing), *range(1, count + 1))
    return Pipeline.from_specs([spec(0, stage(body)), *middle, last])


def layered(width: int, depth: int) -> AnyPipeline:
    """Each stage follows every stage of the layer before: many more edges than stages."""
    first = [spec(number, stage(adding)) for number in range(width)]
    rest = [
        spec(number, lift(summing), *range((number // width - 1) * width, number // width * width))
        for number in range(width, width * depth)
    ]
    return Pipeline.from_specs([*first, *rest])


# 100,000 stages


@pytest.mark.parametrize("body", [adding, suspending], ids=["without suspending", "suspending"])
async def test_a_chain_of_a_hundred_thousand_stages_builds_and_runs(body: Body) -> None:
    graph = chain(MANY, body).build().unwrap()
    assert len(graph) == MANY
    outcome = await graph.run(0)
    assert isinstance(outcome, Completed)
    assert outcome.report.outputs[f"s{MANY - 1}"] == MANY
    assert len(outcome.report.stages) == MANY


@pytest.mark.parametrize("body", [adding, suspending], ids=["without suspending", "suspending"])
async def test_one_to_a_hundred_thousand_to_one_builds_and_runs(body: Body) -> None:
    outcome = await fan(MANY, body).run(0)
    assert isinstance(outcome, Completed)
    assert outcome.report.outputs[f"s{MANY + 1}"] == 2 * MANY
    assert len(outcome.report.stages) == MANY + 2


async def test_a_hundred_thousand_stages_piped_in_a_loop_build_and_run() -> None:
    made: AnyStage = identity(object)
    for number in range(MANY):
        made |= add.named(f"s{number}")
    outcome = await made.run(0)
    assert isinstance(outcome, Completed)
    assert outcome.value == MANY
    assert made.name == f"identity|...|s{MANY - 1}"


async def test_a_hundred_thousand_stages_piped_from_the_right_build_and_run() -> None:
    made: AnyStage = add.named("last")
    for number in range(MANY):
        made = add.named(f"s{number}") | made
    outcome = await made.run(0)
    assert isinstance(outcome, Completed)
    assert outcome.value == MANY + 1


async def test_a_hundred_thousand_branches_joined_in_a_loop_build_and_run() -> None:
    made = add.named("a") & add.named("b")
    for number in range(MANY):
        made &= add.named(f"s{number}")  # type: ignore[assignment]  # of how many is not in the type
    outcome = await (made | lift(summing)).run(0)
    assert isinstance(outcome, Completed)
    assert outcome.value == MANY + 2


@pytest.mark.parametrize("by", ["name", "handle"])
async def test_a_hundred_thousand_stages_added_one_by_one_build_and_run(by: str) -> None:
    made: AnyPipeline = Pipeline.of(object)
    before: AnyStage | None = None
    for number in range(MANY):
        name = f"s{number}"
        if by == "name":
            made = made.with_stage(name, stage(adding), dependencies=(f"s{number - 1}",) if number else ())
        else:
            one: AnyStage = add.named(name)
            made = made.with_stage(one) if before is None else made.with_stage(one, after=before)
            before = one
    outcome = await made.run(0)
    assert isinstance(outcome, Completed)
    assert outcome.report.outputs[f"s{MANY - 1}"] == MANY


async def test_a_hundred_thousand_items_run() -> None:
    outcome = await add.each(limit=100).run(range(MANY))
    assert isinstance(outcome, Completed)
    assert outcome.value[-1] == MANY


async def test_a_chain_of_five_thousand_declared_in_reverse_builds_in_its_own_order_and_runs() -> None:
    graph = chain(5_000, reverse=True).build().unwrap()
    assert graph.stages == tuple([f"s{number}" for number in range(5_000)])
    outcome = await graph.run(0)
    assert isinstance(outcome, Completed)
    assert outcome.report.outputs["s4999"] == 5_000


@pytest.mark.parametrize("on_failure", ["cancel", "finish"])
@pytest.mark.parametrize("kind", ["skip", "fail"])
async def test_a_skip_or_failure_reaches_to_the_end_of_a_chain_however_long(
    on_failure: Literal["cancel", "finish"], kind: str
) -> None:
    @stage
    async def first(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        return skip("nothing") if kind == "skip" else fail("broken")

    specs = [spec(0, first), *(spec(number, stage(adding), number - 1) for number in range(1, LONG))]
    outcome = await Runner(on_failure=on_failure).run(Pipeline.from_specs(specs), 0)
    assert isinstance(outcome, Skipped if kind == "skip" else Failed)
    last = outcome.report.stages[f"s{LONG - 1}"]
    assert last.status is (StageStatus.SKIP if kind == "skip" else StageStatus.CANCEL)
    assert last.reason == ("s0: nothing" if kind == "skip" else "s0: broken")


def test_a_cycle_of_five_thousand_is_found_without_recursion() -> None:
    specs = [spec(number, stage(adding), (number + 1) % 5_000) for number in range(5_000)]
    (problem,) = Pipeline.from_specs(specs).build().failure().problems
    assert '"s0"' in problem


# Nested 500 deep


async def handled(_: StageError) -> Result[StageOutput[object], Never]:
    return ok("handled")


class Watching(BaseInterceptor[Never]):
    async def after(self, context: object, outcome: object, /) -> None:  # type: ignore[override]
        await asyncio.sleep(0)


NESTINGS: dict[str, Callable[[AnyStage, int], AnyStage]] = {
    "recover": lambda inner, _: inner.recover(handled),
    "optional": lambda inner, _: inner.optional(),
    "using hooks": lambda inner, _: inner.using(Watching()),
    "using timeouts": lambda inner, _: inner.using(TimeoutInterceptor(60.0)),
    "using retries": lambda inner, _: inner.using(RetryInterceptor()),
    "using limits": lambda inner, _: inner.using(LimitInterceptor(1)),
    "named": lambda inner, depth: inner.named(f"n{depth}"),
    "named pipelines": lambda inner, depth: (inner | add.named("more")).named(f"n{depth}"),
    "when": lambda inner, _: inner.when(lambda _: True),
    "route": lambda inner, depth: (
        route(lift(lambda _: 1, name=f"which{depth}")).case(1, inner).otherwise(lift(str, name=f"other{depth}"))
    ),
    "branches": lambda inner, depth: (
        (inner & lift(str, name=f"beside{depth}")).together() | lift(lambda both: both[0], name=f"first{depth}")
    ),
    "pipelines of handles": lambda inner, depth: Pipeline.of(object).with_stage(inner).returning(inner),
    "several": lambda inner, depth: [
        inner.optional,
        lambda: inner.recover(handled),
        lambda: (inner | add.named(f"more{depth}")).using(Watching()),
        lambda: inner.when(lambda _: True),
        lambda: inner.named(f"n{depth}"),
        lambda: identity(object) | inner,
    ][depth % 6](),
}


def nested(kind: str, depth: int, inner: AnyStage = add) -> AnyStage:
    return reduce(NESTINGS[kind], range(depth), inner)


@pytest.mark.parametrize("kind", NESTINGS)
async def test_composites_nest_five_hundred_deep(kind: str) -> None:
    outcome = await nested(kind, DEEP).run(0)
    assert isinstance(outcome, Completed), outcome
    added = [name for name in outcome.report.stages if name.rpartition(".")[2].startswith(("add", "more"))]
    assert outcome.value == max(len(added), 1)


@pytest.mark.parametrize("kind", NESTINGS)
async def test_what_suspends_five_hundred_deep_inside_runs_and_is_cancelled_too(kind: str) -> None:
    entered, cancelled = asyncio.Event(), []

    @stage(name="add")
    async def waiting(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)
        return ok(None)

    handle = Runner().start(nested(kind, DEEP, waiting), 0)
    await entered.wait()
    handle.cancel("enough")
    outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert outcome.reason == "enough"
    assert cancelled == [True]


@pytest.mark.parametrize("kind", NESTINGS)
async def test_a_failure_five_hundred_deep_inside_comes_out(kind: str) -> None:
    @stage(name="add")
    async def broken(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        await asyncio.sleep(0)
        return fail("from deep inside")

    outcome = await nested(kind, DEEP, broken).run(0)
    if kind == "recover":
        assert isinstance(outcome, Completed)
        assert outcome.value == "handled"
    elif kind == "several":  # what is handled is added to, which is a defect that no .recover takes
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error.__cause__, TypeError)
    else:
        assert isinstance(outcome, Failed)
        assert str(outcome.error) == "from deep inside"


async def test_each_nests_five_hundred_deep() -> None:
    value: object = 0
    for _ in range(DEEP):
        value = [value]
    outcome = await reduce(lambda made, _: made.each(), range(DEEP), add).run(value)  # type: ignore[arg-type,return-value]
    assert isinstance(outcome, Completed)
    given: object = outcome.value
    for _ in range(DEEP):
        assert isinstance(given, tuple)
        (given,) = given
    assert given == 1


async def test_settled_nests_five_hundred_deep() -> None:
    made: AnyStage = add
    for _ in range(DEEP):
        made = made.settled()
    outcome = await made.run(0)
    assert isinstance(outcome, Completed)
    given: object = outcome.value
    for _ in range(DEEP):
        assert isinstance(given, Success)
        given = given.unwrap()
    assert given == 1


async def test_runs_inside_stages_nest_deep() -> None:
    made: AnyStage = add
    for depth in range(500):

        @stage(name=f"depth{depth}")
        async def outer(inputs: StageInputs[int], inner: AnyStage = made) -> Result[StageOutput[object], StageError]:
            outcome = await inner.run(inputs.value)
            assert isinstance(outcome, Completed)
            return ok(outcome.value)

        made = outer
    outcome = await made.run(0)
    assert isinstance(outcome, Completed)
    assert outcome.value == 1


# Linear: calls are counted, since they do not depend on the machine


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called, Python's and C's."""
    count = 0

    def profile(frame: object, event: str, arg: object) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    former = sys.getprofile()
    gc.collect()
    gc.disable()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(former)
        gc.enable()
    return count


def run_calls(
    pipeline: AnyStage, value: object = 0, limit: int | None = None, clock: Callable[[], float] = lambda: 0.0
) -> int:
    """How many functions are called by a run of what is built already, up to its report."""
    graph, runner = pipeline.graph(), Runner(max_concurrency=limit)
    still = PipelineTimer(clock=clock)  # how often the loop is let heard would depend on the machine

    async def run() -> None:
        outcome = await runner.run(graph, value, context=PipelineContext(timer=still))
        assert isinstance(outcome, Completed), outcome
        assert len(outcome.report.stages) >= 1

    with asyncio.Runner() as loop:
        return calls_of(lambda: loop.run(run()))


def piped(count: int) -> AnyPipeline:
    made: AnyPipeline = identity(object) | add.named("first")
    for number in range(count):
        made |= add.named(f"s{number}")
    return made


def handled_one_by_one(count: int) -> AnyPipeline:
    made: AnyPipeline = Pipeline.of(object)
    before: AnyStage = add.named("first")
    made = made.with_stage(before)
    for number in range(count):
        one: AnyStage = add.named(f"s{number}")
        made = made.with_stage(one, after=before)
        before = one
    return made


def named_one_by_one(count: int) -> AnyPipeline:
    made: AnyPipeline = Pipeline.of(object)
    for number in range(count):
        made = made.with_stage(f"s{number}", stage(adding), dependencies=(f"s{number - 1}",) if number else ())
    return made


def composed(count: int) -> AnyPipeline:
    made: AnyPipeline = Pipeline.of(object).with_stage(add.named("first"))
    for number in range(count):
        made = made.compose(Pipeline.of(object).with_stage(add.named(f"s{number}")))
    return made


def branched(count: int) -> AnyPipeline:
    made = add.named("a") & add.named("b")
    for number in range(count):
        made &= add.named(f"s{number}")  # type: ignore[assignment]
    return made | lift(summing)


def routed(count: int) -> AnyPipeline:
    made = route(lift(int, name="which"))
    for number in range(count):
        made = made.case(number, add.named(f"s{number}"))  # type: ignore[assignment]
    return made.otherwise(lift(str, name="other"))


def reading_the_first(count: int) -> AnyPipeline:
    first: AnyStage = add.named("first")

    @stage
    async def read(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return ok(inputs[first])

    made: AnyPipeline = identity(object) | first
    for number in range(count):
        made |= read.named(f"s{number}")
    return made


def shared(count: int) -> AnyPipeline:
    """One stage in many pipelines, each of which has a name of its own."""
    made: AnyPipeline = identity(object) | add.named("first")
    for number in range(count):
        made |= (add | add.named("then")).named(f"p{number}")
    return made


GRAPHS: dict[str, Callable[[int], AnyStage]] = {
    "chain": chain,
    "chain in reverse": lambda count: chain(count, reverse=True),
    "chain that suspends": lambda count: chain(count, suspending),
    "fan": fan,
    "fan that suspends": lambda count: fan(count, suspending),
    "layers": lambda count: layered(8, count // 8),
    "piped": piped,
    "added by handle": handled_one_by_one,
    "added by name": named_one_by_one,
    "composed": composed,
    "branched": branched,
    "routed": routed,
    "reading the first": reading_the_first,
    "shared": shared,
    **{f"nested: {kind}": lambda count, kind=kind: nested(kind, count // 4) for kind in NESTINGS},  # type: ignore[misc]
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_twice_as_many_stages_are_authored_and_built_by_twice_as_many_calls(kind: str) -> None:
    make = GRAPHS[kind]
    make(8).graph()  # whatever is made once
    small, large = (calls_of(lambda count=count: make(count).graph()) for count in (SMALL, 2 * SMALL))
    assert large <= TWICE * small, (small, large)


@pytest.mark.parametrize("kind", GRAPHS)
def test_twice_as_many_stages_are_run_by_twice_as_many_calls(kind: str) -> None:
    make = GRAPHS[kind]
    run_calls(make(8))
    small, large = (run_calls(make(count)) for count in (SMALL, 2 * SMALL))
    assert large <= TWICE * small, (small, large)


@pytest.mark.parametrize("limit", [None, 3])
def test_twice_as_many_items_are_run_by_twice_as_many_calls(limit: int | None) -> None:
    items = stage(suspending).each(limit=limit)
    run_calls(items, range(8))
    small, large = (run_calls(items, range(count)) for count in (SMALL, 2 * SMALL))
    assert large <= TWICE * small, (small, large)


def test_a_limited_runner_runs_twice_as_many_stages_by_twice_as_many_calls() -> None:
    run_calls(fan(8, suspending), limit=3)
    small, large = (run_calls(fan(count, suspending), limit=3) for count in (SMALL, 2 * SMALL))
    assert large <= TWICE * small, (small, large)


class Working:
    """A clock on which every stage of ``work`` takes longer than the loop may go unheard."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.work: AnyStage = lift(self._worked, name="work")

    def __call__(self) -> float:
        return self.seconds

    def _worked(self, value: object) -> object:
        self.seconds += 0.006
        return value


passing: AnyStage = stage(name="pass")(suspending)
LONG_STAGES: dict[str, Callable[[AnyStage], AnyStage]] = {
    "alone": lambda work: work.each(),
    "before one that waits": lambda work: (work | passing).each(),
    "after one that waits": lambda work: (passing | work).each(),
    "between two": lambda work: (passing | work | passing.named("more")).each(),
    "beside one that waits": lambda work: ((work & passing).together() | lift(summing)).each(),
    "in a route": lambda work: (
        route(lift(lambda number: number % 2 == 0, name="even")).case(True, work).otherwise(passing).each()
    ),
    "of items of items": lambda work: (lift(lambda number: (number, number), name="twice") | work.each()).each(),
    "in what is limited": lambda work: (work | passing).each(limit=7),
}


@pytest.mark.parametrize("limit", [None, 3])
@pytest.mark.parametrize("where", LONG_STAGES)
def test_twice_as_many_stages_that_compute_for_long_are_run_by_twice_as_many_calls(
    where: str, limit: int | None
) -> None:
    clock = Working()
    items = LONG_STAGES[where](clock.work)
    run_calls(items, range(8), limit, clock)
    small, large = (run_calls(items, range(count), limit, clock) for count in (SMALL, 2 * SMALL))
    assert large <= TWICE * small, (small, large)


AUTHORED: dict[str, Callable[[AnyStage, int], AnyStage]] = {
    "|": lambda made, number: made | add.named(f"s{number}"),
    "with_stage": lambda made, number: made.with_stage(f"s{number}", stage(adding)),  # type: ignore[attr-defined,no-any-return]
    "compose": lambda made, number: made.compose(Pipeline.of(object)),  # type: ignore[attr-defined,no-any-return]
}


@pytest.mark.parametrize("operator", AUTHORED)
def test_authoring_in_a_loop_does_not_copy_what_it_has(operator: str) -> None:
    def bytes_of(count: int) -> int:
        """What all pipelines on the way take together: with copies, the square of how many they are."""
        kept: list[AnyStage] = [Pipeline.of(object).with_stage(add)]
        tracemalloc.start()
        for number in range(count):
            kept.append(AUTHORED[operator](kept[-1], number))
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return taken

    small, large = bytes_of(2_000), bytes_of(4_000)
    assert large <= TWICE * small, (small, large)


def test_branches_in_a_loop_are_not_copied() -> None:
    def bytes_of(count: int) -> int:
        kept: list[object] = [add.named("a") & add.named("b")]
        tracemalloc.start()
        for number in range(count):
            kept.append(kept[-1] & add.named(f"s{number}"))  # type: ignore[operator]
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return taken

    small, large = bytes_of(2_000), bytes_of(4_000)
    assert large <= TWICE * small, (small, large)
