"""R15: the laws of composition, held against whole runs: outcomes, reports and events."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal, Never, TypeVar
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from returns.result import Failure, Result, Success

from stageflow import (
    BaseInterceptor,
    Cancelled,
    CircuitBreakerInterceptor,
    CircuitOpenError,
    Completed,
    Failed,
    Interceptor,
    InterceptorContext,
    LimitInterceptor,
    LoggingInterceptor,
    Parallel,
    PipelineContext,
    PipelineResult,
    PipelineTimer,
    RetryInterceptor,
    Runner,
    Skipped,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    StageResult,
    TimeoutInterceptor,
    cancel,
    fail,
    identity,
    lift,
    ok,
    route,
    run_with_interceptors,
    sealed,
    skip,
    stage,
)

AnyStage = Stage[object, object, StageError]
Given = Result[StageOutput[object], StageError]
Does = Literal["ok", "skip", "cancel", "fail", "retryable", "raise", "no result"]
RUN_ID = UUID(int=15)
_T = TypeVar("_T")
LAW = settings(max_examples=80, deadline=None)


class PlannedError(StageError):
    by: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a stage does, after how many steps; so it is the same stage each time it is made."""

    does: Does
    suspends: int

    def made(self, name: str) -> AnyStage:
        @stage(name=name)
        async def run(inputs: StageInputs[object]) -> Given:
            for _ in range(self.suspends):
                await asyncio.sleep(0)
            return self.end(name, inputs.value)

        return run

    def end(self, name: str, value: object) -> Given:
        match self.does:
            case "ok":
                return ok((name, value))
            case "skip":
                return skip(f"{name} has nothing to do")
            case "cancel":
                return cancel(f"{name} has enough")
            case "fail" | "retryable":
                return fail(PlannedError(f"{name} broke", by=name, retryable=self.does == "retryable"))
            case "raise":
                raise ValueError(name)
            case "no result":
                return name  # type: ignore[return-value]  # what a stage must not do


def plans(*does: Does) -> st.SearchStrategy[Plan]:
    ways: tuple[Does, ...] = does or ("ok", "ok", "ok", "skip", "cancel", "fail", "retryable", "raise", "no result")
    return st.builds(Plan, st.sampled_from(ways), st.sampled_from((0, 0, 1, 3)))


class Listening:
    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, object]]] = []

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        # What a pipeline is called tells how it was written, and is no part of what it does.
        kept = {key: value for key, value in (data or {}).items() if key not in ("duration_ms", "pipeline")}
        self.events.append((type, kept))

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.try_emit(type=type, data=data)


def ended(outcome: PipelineResult[object, StageError]) -> object:
    match outcome:
        case Completed(value):
            return "completed", value
        case Failed(error):
            return "failed", error, outcome.errors
        case Skipped(reason) | Cancelled(reason):
            return type(outcome), reason


def timeless(result: StageResult) -> StageResult:
    return replace(result, started_at=None, duration_ms=0.0)


async def observed(pipeline: AnyStage, runner: Runner | None = None, value: object = "x") -> object:
    """All that can be told of a run from outside, but for times."""
    listening = Listening()
    still = PipelineTimer(clock=lambda: 0.0)  # or a slow machine would let the loop be heard, and events change places
    context = PipelineContext(run_id=RUN_ID, sink=listening, timer=still)
    outcome = await (runner or Runner()).run(pipeline, value, context=context)
    report = outcome.report
    stages = [timeless(result) for result in report.stages.values()]
    return ended(outcome), stages, report.outputs.by_name(), listening.events


def alike(*pipelines: AnyStage, runner: Callable[[], Runner] = Runner) -> None:
    async def all_observed() -> list[object]:
        return [await observed(pipeline, runner()) for pipeline in pipelines]

    first, *others = asyncio.run(all_observed())
    for other in others:
        assert other == first


def bracketed(data: st.DataObject, parts: Sequence[_T], join: Callable[[_T, _T], _T]) -> _T:
    """The parts, joined in any order of brackets, but in their own order."""
    if len(parts) == 1:
        return parts[0]
    split = data.draw(st.integers(1, len(parts) - 1))
    return join(bracketed(data, parts[:split], join), bracketed(data, parts[split:], join))


def named(made: Sequence[Plan]) -> list[AnyStage]:
    return [plan.made(f"s{number}") for number, plan in enumerate(made)]


def then(one: AnyStage, other: AnyStage) -> AnyStage:
    return one | other


# Then


@LAW
@given(data=st.data(), made=st.lists(plans(), min_size=3, max_size=7))
def test_then_is_associative(data: st.DataObject, made: list[Plan]) -> None:
    alike(reduce(then, named(made)), bracketed(data, named(made), then))


@LAW
@given(data=st.data(), made=st.lists(plans(), min_size=3, max_size=5), runs=st.integers(1, 3))
def test_then_is_associative_around_branches_too(data: st.DataObject, made: list[Plan], runs: int) -> None:
    def parts() -> list[AnyStage]:
        stages: list[AnyStage] = []
        for number, one in enumerate(named(made)):
            branches = [Plan("ok", runs).made(f"b{number}.{branch}") for branch in range(2)]
            stages += [one, (branches[0] & branches[1]).together()]
        return stages

    alike(reduce(then, parts()), bracketed(data, parts(), then))


@LAW
@given(made=st.lists(plans(), min_size=1, max_size=5), at=st.integers(0, 5))
def test_identity_changes_nothing_wherever_it_stands(made: list[Plan], at: int) -> None:
    parts = named(made)
    place = min(at, len(parts))
    alike(reduce(then, named(made)), reduce(then, [*parts[:place], identity(object), *parts[place:]]))


@LAW
@given(plan=plans())
def test_identity_then_a_stage_is_the_stage_and_so_is_the_stage_then_identity(plan: Plan) -> None:
    alike(plan.made("s"), identity(object) | plan.made("s"), plan.made("s") | identity(object))


# Branches


@LAW
@given(data=st.data(), suspends=st.lists(st.integers(0, 4), min_size=3, max_size=8))
def test_branches_keep_their_order_however_they_are_bracketed(data: st.DataObject, suspends: list[int]) -> None:
    names = [f"s{number}" for number in range(len(suspends))]

    def stages() -> list[AnyStage]:
        return [Plan("ok", count).made(name) for name, count in zip(names, suspends, strict=True)]

    def branches(parts: list[AnyStage]) -> Parallel[object, object, object, StageError]:
        """One more branch goes to the left or to the right of those there are."""
        if len(parts) == 2:
            return parts[0] & parts[1]
        if data.draw(st.booleans()):
            return parts[0] & branches(parts[1:])  # type: ignore[return-value]  # of how many is not in the type
        return branches(parts[:-1]) & parts[-1]  # type: ignore[return-value]  # the same

    flat = reduce(lambda made, one: made & one, stages()[2:], stages()[0] & stages()[1])  # type: ignore[arg-type,return-value]
    alike(flat.together(), branches(stages()).together())
    outcome = asyncio.run(branches(stages()).run("x"))
    assert isinstance(outcome, Completed)
    assert outcome.value == tuple((name, "x") for name in names)
    assert list(outcome.report.stages) == names


@LAW
@given(made=st.lists(plans("ok", "skip", "fail", "raise"), min_size=2, max_size=6))
def test_what_fails_or_is_skipped_among_branches_keeps_their_order(made: list[Plan]) -> None:
    stages = named(made)
    both = reduce(lambda left, right: left & right, stages[2:], stages[0] & stages[1])  # type: ignore[arg-type,return-value]
    outcome = asyncio.run(Runner(on_failure="finish").run(both.together(), "x"))
    assert list(outcome.report.stages) == [one.name for one in stages]
    broke = [plan.does in ("fail", "raise") for plan in made]
    if isinstance(outcome, Failed):
        blamed = [getattr(error, "by", "") or getattr(error, "stage", "") for error in outcome.errors]
        assert blamed == [one.name for one, bad in zip(stages, broke, strict=True) if bad]
    else:
        assert not any(broke)


# Wrappers that are the identity


NEUTRAL: list[Callable[[], Interceptor[StageError]]] = [
    lambda: RetryInterceptor(attempts=1),
    lambda: TimeoutInterceptor(math.inf),
    BaseInterceptor,
]
stacks = st.lists(st.sampled_from(NEUTRAL), max_size=4)


def wrapped(inner: AnyStage, stack: Sequence[Callable[[], Interceptor[StageError]]]) -> AnyStage:
    return reduce(lambda made, make: made.using(make()), stack, inner)


@LAW
@given(made=st.lists(plans(), min_size=1, max_size=4), stack=stacks)
def test_retry_once_an_infinite_timeout_and_hooks_not_overridden_are_the_identity(
    made: list[Plan], stack: list[Callable[[], Interceptor[StageError]]]
) -> None:
    alike(reduce(then, named(made)), reduce(then, [wrapped(one, stack) for one in named(made)]))


@LAW
@given(made=st.lists(plans(), min_size=1, max_size=4), stack=stacks)
def test_they_are_the_identity_around_a_pipeline_too(
    made: list[Plan], stack: list[Callable[[], Interceptor[StageError]]]
) -> None:
    async def both() -> list[object]:
        whole = reduce(then, named(made))
        found = []
        for pipeline in (whole, wrapped(reduce(then, named(made)), stack)):
            outcome = await pipeline.run("x")
            found.append((ended(outcome), [timeless(result) for result in outcome.report.stages.values()]))
        return found

    plain, in_stack = asyncio.run(both())
    assert plain == in_stack


@LAW
@given(made=st.lists(plans(), min_size=1, max_size=4), stack=stacks)
def test_they_are_the_identity_on_a_runner_too(
    made: list[Plan], stack: list[Callable[[], Interceptor[StageError]]]
) -> None:
    def runner() -> Runner[StageError]:
        return reduce(lambda made, make: made.using(make()), stack, Runner())  # type: ignore[arg-type,return-value]

    async def both() -> tuple[object, object]:
        pipeline = reduce(then, named(made))
        return await observed(pipeline), await observed(pipeline, runner())  # type: ignore[arg-type]

    plain, through = asyncio.run(both())
    assert plain == through


@given(plan=plans("ok", "skip", "cancel", "fail"))
def test_the_empty_stack_of_interceptors_is_the_identity(plan: Plan) -> None:
    async def both() -> tuple[Given, Given]:
        one = plan.made("s")
        return await one(StageInputs("x")), await run_with_interceptors(one, StageInputs("x"), ())

    direct, through = asyncio.run(both())
    assert direct == through


@given(plan=plans("raise"))
def test_what_a_stage_raises_passes_through_an_empty_stack(plan: Plan) -> None:
    async def through() -> str:
        try:
            await run_with_interceptors(plan.made("s"), StageInputs("x"), ())
        except ValueError as error:
            return str(error)
        return "swallowed"

    assert asyncio.run(through()) == "s"


def test_what_is_the_identity_gives_the_function_itself() -> None:
    async def call(inputs: StageInputs[object]) -> Given:
        return ok(inputs.value)

    for make in NEUTRAL:
        assert make().wrap(call) is call


# A breaker


@dataclass(frozen=True, slots=True)
class Call:
    does: Literal["ok", "skip", "fail", "raise"]
    suspends: int
    later: float  # seconds that pass before the next call


calls = st.builds(
    Call,
    st.sampled_from(("ok", "skip", "fail", "fail", "raise")),
    st.integers(0, 3),
    st.sampled_from((0.0, 0.0, 1.0, 10.0)),
)


@LAW
@given(
    script=st.lists(calls, min_size=1, max_size=25),
    failures=st.integers(1, 4),
    reset_after=st.sampled_from((0.0, 5.0, 10.0)),
    at_once=st.integers(1, 6),
    retries=st.sampled_from((1, 1, 3)),
)
def test_a_breaker_never_turns_a_failure_into_success(
    script: list[Call], failures: int, reset_after: float, at_once: int, retries: int
) -> None:
    now = 0.0

    @stage
    async def flaky(inputs: StageInputs[Call]) -> Result[StageOutput[str], StageError]:
        for _ in range(inputs.value.suspends):
            await asyncio.sleep(0)
        match inputs.value.does:
            case "ok":
                return ok("fine")
            case "skip":
                return skip("nothing")
            case "fail":
                return fail(PlannedError("broke", by="flaky"))
            case "raise":
                raise ValueError("broke")

    breaker = CircuitBreakerInterceptor(failures=failures, reset_after=reset_after, clock=lambda: now)
    guarded = flaky.using(breaker).using(RetryInterceptor(attempts=retries, backoff=0.0, retry_when=lambda _: True))
    expected = {"ok": Completed, "skip": Skipped, "fail": Failed, "raise": Failed}

    async def play() -> None:
        nonlocal now
        for start in range(0, len(script), at_once):
            batch = script[start : start + at_once]
            outcomes = await asyncio.gather(*(guarded.run(call) for call in batch))
            for call, outcome in zip(batch, outcomes, strict=True):
                refused = isinstance(outcome, Failed) and isinstance(outcome.error, CircuitOpenError)
                assert refused or type(outcome) is expected[call.does]
            now += sum(call.later for call in batch)

    asyncio.run(play())


# Cancellation


class Watching(BaseInterceptor[Never]):
    """Hooks that all do something, and suspend meanwhile."""

    async def before(self, context: InterceptorContext, /):
        await asyncio.sleep(0)
        return await super().before(context)

    async def after(self, context: InterceptorContext, outcome: StageResult, /) -> None:
        await asyncio.sleep(0)

    async def on_error(self, context: InterceptorContext, error: StageError, /):
        return await super().on_error(context, error)


async def handled(_: StageError) -> Result[StageOutput[object], Never]:
    return ok("handled")


def over_items(inner: AnyStage) -> AnyStage:
    return lift(lambda value: [value, value], name="split") | inner.each(limit=2)


def on_a_route(inner: AnyStage) -> AnyStage:
    return route(lift(lambda _: 1, name="which")).case(1, inner).otherwise(lift(str, name="other"))


INTERCEPTORS: list[Callable[[], Interceptor[StageError]]] = [
    lambda: TimeoutInterceptor(60.0),
    lambda: RetryInterceptor(attempts=3, backoff=0.0, retry_when=lambda _: True),
    lambda: CircuitBreakerInterceptor(failures=1),
    lambda: LimitInterceptor(1),
    LoggingInterceptor,
    Watching,
]
WRAPPERS: list[Callable[[AnyStage], AnyStage]] = [
    lambda inner: inner.optional(),
    lambda inner: inner.settled(),
    lambda inner: inner.recover(handled),
    lambda inner: inner.when(lambda _: True),
    *[lambda inner, make=make: inner.using(make()) for make in INTERCEPTORS],
]
CONTAINERS: list[Callable[[AnyStage], AnyStage]] = [over_items, on_a_route, lambda inner: inner.named("named")]
around = st.lists(st.sampled_from(WRAPPERS), max_size=5)


async def settled_tasks(turns: int = 0) -> set[asyncio.Task[object]]:
    for _ in range(turns):
        await asyncio.sleep(0)
    current = asyncio.current_task()
    return {task for task in asyncio.all_tasks() if task is not current}


async def cancelled_while_it_runs(running: Awaitable[object], entered: asyncio.Event, steps: int) -> bool:
    async def awaited() -> object:
        return await running

    task = asyncio.create_task(awaited())
    await entered.wait()
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel("stop")
    try:
        await asyncio.wait_for(task, 5)
    except asyncio.CancelledError:
        return not await settled_tasks()
    return False


@LAW
@given(inner=around, outer=around, container=st.sampled_from([None, *CONTAINERS]), steps=st.integers(0, 6))
def test_cancelling_whoever_awaits_a_run_is_never_swallowed(
    inner: list[Callable[[AnyStage], AnyStage]],
    outer: list[Callable[[AnyStage], AnyStage]],
    container: Callable[[AnyStage], AnyStage] | None,
    steps: int,
) -> None:
    async def main() -> None:
        entered, cancelled = asyncio.Event(), []

        @stage
        async def forever(inputs: StageInputs[object]) -> Given:
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(inputs.value)
                raise
            return ok(None)

        pipeline = reduce(lambda made, wrap: wrap(made), inner, forever)
        if container is not None:
            pipeline = container(pipeline)
        pipeline = reduce(lambda made, wrap: wrap(made), outer, pipeline | Plan("ok", 0).made("after"))
        listening = Listening()
        running = pipeline.run("x", context=PipelineContext(sink=listening))
        assert await cancelled_while_it_runs(running, entered, steps)
        assert cancelled
        assert listening.events[-1][0] == "pipeline.cancelled"
        assert not any(type.startswith("stage.after") for type, _ in listening.events)

    asyncio.run(main())


@LAW
@given(stack=st.lists(st.sampled_from(INTERCEPTORS), max_size=5), steps=st.integers(0, 4))
def test_interceptors_never_swallow_a_cancellation(
    stack: list[Callable[[], Interceptor[StageError]]], steps: int
) -> None:
    async def main() -> None:
        entered = asyncio.Event()

        async def forever(inputs: StageInputs[object]) -> Given:
            entered.set()
            await asyncio.Event().wait()
            return ok(None)

        running = run_with_interceptors(forever, StageInputs("x"), [make() for make in stack])
        assert await cancelled_while_it_runs(running, entered, steps)

    asyncio.run(main())


@LAW
@given(stack=st.lists(st.sampled_from(INTERCEPTORS), max_size=4), plan=plans("ok", "skip", "cancel", "fail"))
def test_interceptors_pass_on_what_a_stage_gives(
    stack: list[Callable[[], Interceptor[StageError]]], plan: Plan
) -> None:
    async def main() -> None:
        given = await run_with_interceptors(plan.made("s"), StageInputs("x"), [make() for make in stack])
        match sealed(given):
            case Success(output):
                assert ok(output.data) == plan.end("s", "x") or output.status != "ok"
                assert output.status == {"ok": "ok", "skip": "skip", "cancel": "cancel"}[plan.does]
            case Failure(error):
                assert plan.does == "fail"
                assert isinstance(error, PlannedError | CircuitOpenError)

    asyncio.run(main())
