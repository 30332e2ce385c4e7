"""R15: the laws of interceptors, for each that is built in and for stacks of them, under drawn scripts."""

import asyncio
import logging
import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from returns.result import Failure, Result, Success
from typing_extensions import Never, override

from stageflow import (
    BaseInterceptor,
    CircuitBreakerInterceptor,
    CircuitOpenError,
    ErrorAction,
    Interceptor,
    InterceptorContext,
    LimitInterceptor,
    LoggingInterceptor,
    MetricsInterceptor,
    RetryInterceptor,
    StageError,
    StageInputs,
    StageResult,
    StageTimeoutError,
    TimeoutInterceptor,
    TracingInterceptor,
    fail,
    get_default_interceptors,
    lift,
    ok,
    stage,
)
from stageflow.interceptors.correlation import CorrelationInterceptor
from stageflow.observability.metrics import MemoryMetrics
from stageflow.testing import (
    Act,
    Ending,
    LawBrokenError,
    ScriptedStage,
    check_associativity,
    check_attachment,
    check_cancellation,
    check_failure,
    check_identity,
    check_interceptor,
    explore,
    loop_time,
    run_virtually,
)

Any = Interceptor[StageError]
FEW = settings(max_examples=40, deadline=None)
SILENT = logging.getLogger("tests.silent")
SILENT.setLevel(logging.CRITICAL)
TRACED = TracingInterceptor(TracerProvider(shutdown_on_exit=False))
MEASURED = MetricsInterceptor(MemoryMetrics())


class Hooks(BaseInterceptor[Never]):
    """Hooks that see everything and do nothing."""

    @override
    async def after(self, context: InterceptorContext, outcome: StageResult, /) -> None:
        assert outcome.name == "scripted"


class Stack(Interceptor[StageError]):
    """Several interceptors as one, the first outermost."""

    def __init__(self, *interceptors: Any) -> None:
        self.interceptors = interceptors

    @override
    def wrap(self, call, /):
        for interceptor in reversed(self.interceptors):
            call = interceptor.wrap(call)
        return call

    @override
    def __repr__(self) -> str:
        return f"Stack{self.interceptors!r}"


def breaker(failures: int = 5, reset_after: float = 30.0) -> CircuitBreakerInterceptor:
    return CircuitBreakerInterceptor(failures=failures, reset_after=reset_after, clock=loop_time)


BUILT_IN: dict[str, Any] = {
    "timeout": TimeoutInterceptor(30.0),
    "endless timeout": TimeoutInterceptor(math.inf),
    "retry": RetryInterceptor(),
    "retry of everything": RetryInterceptor(attempts=4, retry_when=lambda _: True, draw=lambda: 0.5),
    "no retry": RetryInterceptor(attempts=1),
    "breaker": breaker(),
    "quick breaker": breaker(1, 0.0),
    "limit": LimitInterceptor(1),
    "logging": LoggingInterceptor(logger=SILENT),
    "correlation": CorrelationInterceptor(),
    "tracing": TRACED,
    "tracing without an SDK": TracingInterceptor(),
    "metrics": MEASURED,
    "metrics without an SDK": MetricsInterceptor(),
    "hooks": Hooks(),
    "no hooks": BaseInterceptor(),
    "defaults": Stack(LoggingInterceptor(logger=SILENT), RetryInterceptor(), breaker(), TimeoutInterceptor(30.0)),
}

acts = st.builds(Act, st.sampled_from(Ending), after=st.sampled_from([0.0, 0.01, 1.0, 29.0, 31.0, 90.0]))
scripts = st.lists(acts, min_size=1, max_size=6)
single: st.SearchStrategy[Any] = st.one_of(
    st.builds(TimeoutInterceptor, st.sampled_from([0.5, 30.0, math.inf])),
    st.builds(
        RetryInterceptor,
        attempts=st.integers(1, 4),
        backoff=st.sampled_from([0.0, 0.1, 10.0]),
        retry_when=st.sampled_from([lambda error: error.retryable, lambda _: True]),
        draw=st.just(lambda: 0.5),
    ),
    st.builds(breaker, st.integers(1, 3), st.sampled_from([0.0, 1.0, 30.0])),
    st.builds(LimitInterceptor, st.integers(1, 2)),
    st.just(LoggingInterceptor(logger=SILENT)),
    st.sampled_from([CorrelationInterceptor(), TRACED, MEASURED]),
    st.just(Hooks()),
)
stacks: st.SearchStrategy[Any] = st.lists(single, min_size=1, max_size=4).map(lambda many: Stack(*many))


@pytest.fixture(params=BUILT_IN.values(), ids=BUILT_IN)
def built_in(request: pytest.FixtureRequest) -> Any:
    return request.param


# --- the laws hold


def test_every_built_in_interceptor_is_held_to_every_law(built_in: Any) -> None:
    check_interceptor(built_in)


@FEW
@given(stack=stacks, script=scripts)
def test_a_stack_with_one_that_does_nothing_is_the_stack(stack: Any, script: list[Act]) -> None:
    check_identity(stack, scripts=[script])


@FEW
@given(stack=stacks, script=scripts)
def test_stacking_is_associative(stack: Any, script: list[Act]) -> None:
    check_associativity(stack, scripts=[script])


@FEW
@given(stack=stacks, script=scripts)
def test_a_stack_does_the_same_however_it_is_attached(stack: Any, script: list[Act]) -> None:
    check_attachment(stack, scripts=[script])


@FEW
@given(stack=stacks, script=scripts)
def test_a_cancellation_passes_through_every_stack(stack: Any, script: list[Act]) -> None:
    check_cancellation(stack, scripts=[script])


@FEW
@given(stack=stacks, script=scripts)
def test_no_stack_turns_a_failure_into_success(stack: Any, script: list[Act]) -> None:
    check_failure(stack, scripts=[script])


def test_each_default_interceptor_is_held_to_every_law(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    for interceptor in get_default_interceptors():
        if isinstance(interceptor, CircuitBreakerInterceptor):
            continue  # its clock is the machine's: held to them above with the loop's
        check_interceptor(interceptor)


@FEW
@given(script=scripts)
def test_one_attempt_no_limit_and_no_hook_are_the_identity(script: list[Act]) -> None:
    call = ScriptedStage(*script)
    for interceptor in (RetryInterceptor(attempts=1), TimeoutInterceptor(math.inf), BaseInterceptor[Never]()):
        assert interceptor.wrap(call) is call


# --- the kit finds those that break them


class Swallows(Interceptor[Never]):
    """Swallows a cancellation."""

    @override
    def wrap(self, call, /):
        async def run(inputs):
            try:
                return await call(inputs)
            except asyncio.CancelledError:
                return ok("nothing happened")

        return run


class Translates(Interceptor[Never]):
    """Makes a failure of a cancellation."""

    @override
    def wrap(self, call, /):
        async def run(inputs):
            try:
                return await call(inputs)
            except asyncio.CancelledError:
                return fail("cancelled")

        return run


class Detaches(Interceptor[Never]):
    """Lets the stage go on when it is cancelled itself."""

    @override
    def wrap(self, call, /):
        async def run(inputs):
            return await asyncio.shield(asyncio.ensure_future(call(inputs)))

        return run


class Absorbs(Interceptor[Never]):
    """Gives something where the stage failed."""

    @override
    def wrap(self, call, /):
        async def run(inputs):
            result = await call(inputs)
            return result if isinstance(result, Success) else ok("a default")

        return run


class FallsBack(BaseInterceptor[Never]):
    """Turns failures into skips."""

    @override
    async def on_error(self, context: InterceptorContext, error: StageError, /) -> ErrorAction:
        return ErrorAction.FALLBACK


class SharesState(Interceptor[Never]):
    """Counts in itself and not where it is wrapped: it lets so many calls through in all."""

    def __init__(self) -> None:
        self.calls = 0

    @override
    def wrap(self, call, /):
        async def run(inputs):
            self.calls += 1
            return await call(inputs) if self.calls < 12 else fail("no more")

        return run


class LooksInside(Interceptor[Never]):
    """Does something else where it wraps a stage itself than where it wraps another interceptor."""

    @override
    def wrap(self, call, /):
        bare = isinstance(call, ScriptedStage)

        async def run(inputs):
            return await call(inputs) if bare else fail("wrapped twice")

        return run


class NeedsOutside(Interceptor[Never]):
    """Works as a decorator alone."""

    @override
    def wrap(self, call, /):
        return call

    @override
    def __call__(self, stage, /):
        return Absorbs()(stage)


@pytest.mark.parametrize(
    ("make", "law"),
    [
        (Swallows, "cancellation"),
        (Translates, "cancellation"),
        (Detaches, "cancellation"),
        (Absorbs, "failure"),
        (FallsBack, "failure"),
        (SharesState, "identity"),
        (LooksInside, "identity"),
        (NeedsOutside, "attachment"),
    ],
)
def test_the_kit_names_the_law_that_is_broken(make: Callable[[], Any], law: str) -> None:
    with pytest.raises(LawBrokenError, match=rf"{make.__name__}.* breaks the law of {law}: .*The stage's script: "):
        check_interceptor(make())


@pytest.mark.parametrize("make", [Absorbs, FallsBack])
def test_one_that_declares_that_it_absorbs_failures_is_not_held_to_the_law_of_failure(make: Callable[[], Any]) -> None:
    check_interceptor(make(), absorbs_failures=True)


def test_the_law_of_associativity_is_broken_by_one_that_is_not_made_anew_for_each_place() -> None:
    with pytest.raises(LawBrokenError, match="breaks the law of associativity: at place 0 of three"):
        check_associativity(SharesState())


# --- the breaker


@FEW
@given(failures=st.integers(1, 7), ending=st.sampled_from([Ending.FAIL, Ending.FAIL_RETRYABLE, Ending.RAISE]))
def test_exactly_as_many_calls_reach_the_stage_as_failures_are_configured(failures: int, ending: Ending) -> None:
    async def calls() -> tuple[int, int]:
        script, refused = ScriptedStage(Act(ending)), 0
        call = breaker(failures).wrap(script)
        for _ in range(20):
            try:
                result = await call(StageInputs("value"))
            except RuntimeError:
                continue
            refused += isinstance(result.failure(), CircuitOpenError)
        return len(script.calls), refused

    assert run_virtually(calls()) == (failures, 20 - failures)


async def test_five_failures_configured_means_that_exactly_five_runs_reach_the_stage() -> None:
    reached = 0

    @stage
    async def failing(inputs: StageInputs[int]) -> Result[int, StageError]:
        nonlocal reached
        reached += 1
        return fail("down")

    protected = failing.using(CircuitBreakerInterceptor(failures=5))
    outcomes = [await protected.run(number) for number in range(12)]
    assert reached == 5
    assert [isinstance(outcome.error, CircuitOpenError) for outcome in outcomes] == [False] * 5 + [True] * 7


@pytest.mark.parametrize(("probe", "after"), [(Ending.OK, "closed"), (Ending.FAIL, "open"), (Ending.RAISE, "open")])
def test_of_1000_concurrent_calls_while_half_open_exactly_one_gets_through(probe: Ending, after: str) -> None:
    async def calls() -> tuple[int, int, int]:
        script = ScriptedStage(Act(Ending.FAIL), Act(probe, after=5.0), Act(Ending.OK))
        call = breaker(1, 30.0).wrap(script)
        await call(StageInputs("the one that opens it"))
        await asyncio.sleep(30)
        results = await asyncio.gather(*(call(StageInputs(number)) for number in range(1000)), return_exceptions=True)
        refused = sum(isinstance(one, Failure) and isinstance(one.failure(), CircuitOpenError) for one in results)
        reached = len(script.calls) - 1
        later = await call(StageInputs("later"))
        return reached, refused, int(isinstance(later, Success))

    assert run_virtually(calls()) == (1, 999, int(after == "closed"))


def test_1000_concurrent_runs_while_half_open_let_exactly_one_through() -> None:
    async def runs() -> tuple[int, int]:
        reached = 0

        async def probe(value: int) -> int:
            nonlocal reached
            reached += 1
            await asyncio.sleep(1)
            if reached == 1:
                raise ConnectionError("down")
            return value

        protected = lift(probe).using(breaker(1, 30.0))
        await protected.run(0)
        await asyncio.sleep(30)
        outcomes = await asyncio.gather(*(protected.run(number) for number in range(1000)))
        return reached - 1, sum(type(outcome).__name__ == "Completed" for outcome in outcomes)

    assert run_virtually(runs()) == (1, 1)


def test_under_every_schedule_one_probe_gets_through_and_no_failure_becomes_a_success() -> None:
    async def calls() -> int:
        script = ScriptedStage(Act(Ending.FAIL), Act(Ending.FAIL), Act(Ending.OK))
        call = breaker(2, 30.0).wrap(script)
        gone_wrong: list[object] = []

        async def caller(number: int) -> None:
            before = len(script.endings)
            result = await call(StageInputs(number))
            reached = number in script.calls
            if isinstance(result, Success):
                assert reached, "a call that the stage never saw succeeded"
                assert result.unwrap().data == number
                assert Ending.OK in script.endings[before:]
            elif reached:
                gone_wrong.append(result)

        await asyncio.gather(*(caller(number) for number in range(6)))
        first_wave = len(script.calls)
        await asyncio.sleep(30)
        await asyncio.gather(*(caller(number) for number in range(100, 120)))
        successes = script.endings.count(Ending.OK)
        assert len(gone_wrong) == script.endings.count(Ending.FAIL)
        return first_wave + successes

    explore(calls, seeds=100)


def test_under_every_schedule_a_probe_that_is_cancelled_makes_way_for_one_other() -> None:
    async def calls() -> tuple[int, int]:
        script = ScriptedStage(Act(Ending.FAIL), Act(Ending.OK, after=5.0))
        call = breaker(1, 30.0).wrap(script)
        await call(StageInputs("the one that opens it"))
        await asyncio.sleep(30)
        probes = [asyncio.ensure_future(call(StageInputs(number))) for number in range(10)]
        await asyncio.sleep(1)
        admitted = [probe for probe in probes if not probe.done()]
        assert len(admitted) == 1
        admitted[0].cancel()
        await asyncio.wait(probes)
        others = await asyncio.gather(*(call(StageInputs(number)) for number in range(10)))
        return len(script.calls), sum(isinstance(result, Success) for result in others)

    assert set(explore(calls, seeds=50).values()) == {(3, 1)}


@FEW
@given(script=scripts, failures=st.integers(1, 3), seed=st.integers(0, 1000))
def test_no_schedule_turns_a_failure_into_success(script: list[Act], failures: int, seed: int) -> None:
    async def calls() -> None:
        scripted = ScriptedStage(*script)
        call = Stack(RetryInterceptor(attempts=2), breaker(failures, 1.0), TimeoutInterceptor(30.0)).wrap(scripted)

        async def caller(number: int) -> bool:
            await asyncio.sleep(number % 3)
            try:
                result = await call(StageInputs(number))
            except RuntimeError:
                return False
            return isinstance(result, Success)

        succeeded = sum(await asyncio.gather(*(caller(number) for number in range(12))))
        fine = sum(ending in {Ending.OK, Ending.SKIP, Ending.CANCEL} for ending in scripted.endings)
        assert succeeded == fine

    explore(calls, seeds=[seed])


def test_a_timed_out_stage_that_succeeds_all_the_same_has_timed_out() -> None:
    async def stubborn(inputs: StageInputs[object]) -> Result[object, StageError]:
        try:
            await asyncio.sleep(90)
        except asyncio.CancelledError:
            return ok("done all the same")
        return ok("in time")

    result = run_virtually(TimeoutInterceptor(30.0).wrap(stubborn)(StageInputs("value")))
    assert isinstance(result, Failure)
    assert isinstance(result.failure(), StageTimeoutError)
