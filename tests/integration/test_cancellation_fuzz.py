"""Cancellation at every moment of a run: between any two steps of the loop, once, twice, and from all sides at once.

Each test runs a pipeline again and again, and strikes one step of the loop later each time, until the run completes
before it is struck. The loop's clock leaps to the next timer where nothing else is to be done, so that timeouts,
backoffs and deadlines cost no time. After each run nothing may be left: no task, no stage that is still inside, no
exception that nobody looked at, no warning, and the events and the stored status must tell one story.
"""

import asyncio
import gc
import selectors
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias
from uuid import UUID

import pytest
from returns.result import Result

from stageflow import (
    BaseInterceptor,
    Cancelled,
    Completed,
    InterceptorContext,
    InterceptorResult,
    LimitInterceptor,
    PipelineResult,
    RetryInterceptor,
    RunHandle,
    Runner,
    RunRecord,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    StageResult,
    TimeoutInterceptor,
    fail,
    ok,
    route,
    skip,
    stage,
)

AnyStage: TypeAlias = Stage[object, object, StageError]
MOST_STEPS = 2000  # a run that takes more than this never ends
DEADLINE = 10_000.0
LONG = 100.0  # what a stage sleeps where nobody cancels it,
SOON = 10.0  # and what is left of the longest one that swallows its cancellation
STORED = {
    "pipeline.completed": {"completed", "skipped"},
    "pipeline.failed": {"failed"},
    "pipeline.cancelled": {"cancelled"},
}
ENDS = {"completed", "failed", "skipped", "cancelled"}


class StrikingLoop(asyncio.SelectorEventLoop):
    """Counts its steps, calls `strike` after some of them, and leaps in time where it would wait."""

    def __init__(self) -> None:
        super().__init__(_LeapingSelector(self))
        self.now = 0.0
        self.steps = 0
        self.strikes: dict[int, Callable[[], object]] = {}

    def time(self) -> float:
        return self.now

    def call_soon(self, callback, *args, context=None):  # type: ignore[no-untyped-def,override]
        return super().call_soon(self._step, callback, args, context=context)

    def _step(self, callback: Callable[..., object], args: tuple[object, ...]) -> None:
        callback(*args)
        self.steps += 1
        strike = self.strikes.pop(self.steps, None)
        if strike is not None:
            strike()


class _LeapingSelector(selectors.SelectSelector):
    def __init__(self, loop: StrikingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "the run waits for what never comes"
        self._loop.now += timeout
        return super().select(0)


@dataclass
class Witness:
    """What happened in one run, as its stages, sink and store saw it.

    Attributes:
        events: what the sink took; `interrupted`, what it was cancelled at, taking it.
        statuses: what the store kept; `asked`, whether there was a store at all.
        inside: how often each stage is in its body at the moment.
    """

    events: list[str] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    asked: bool = False
    inside: Counter[str] = field(default_factory=Counter)

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.events.append(type)

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.interrupted.append(type)
            raise
        self.events.append(type)

    async def create_run(self, run_id: UUID, **metadata: object) -> RunRecord:
        self.asked = True
        await asyncio.sleep(0)
        self.statuses.append("running")
        now = datetime.now(UTC)
        return RunRecord(run_id, "running", {}, now, now)

    async def update_status(self, run_id: UUID, status: str, **data: object) -> None:
        await asyncio.sleep(0)
        self.statuses.append(status)

    async def get_run(self, run_id: UUID) -> RunRecord | None:
        return None

    def stage(self, name: str, body: Callable[[object], object]) -> AnyStage:
        """A stage that is counted while it is inside its body."""

        @stage(name=name)
        async def counted(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
            self.inside[name] += 1
            try:
                return await body(inputs.value)  # type: ignore[misc,no-any-return]
            finally:
                self.inside[name] -= 1

        return counted

    def quick(self, name: str) -> AnyStage:
        async def body(value: object) -> Result[StageOutput[object], StageError]:
            return ok(value)

        return self.stage(name, body)

    def pausing(self, name: str) -> AnyStage:
        async def body(value: object) -> Result[StageOutput[object], StageError]:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return ok(value)

        return self.stage(name, body)

    def cleaning(self, name: str) -> AnyStage:
        async def body(value: object) -> Result[StageOutput[object], StageError]:
            try:
                await asyncio.sleep(LONG)
            finally:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            return ok(value)

        return self.stage(name, body)

    def swallowing(self, name: str) -> AnyStage:
        async def body(value: object) -> Result[StageOutput[object], StageError]:
            for _ in range(3):
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    continue
            return ok(value)

        return self.stage(name, body)

    def failing_when_cancelled(self, name: str) -> AnyStage:
        async def body(value: object) -> Result[StageOutput[object], StageError]:
            try:
                await asyncio.sleep(LONG)
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                raise ValueError("while cleaning up") from None
            return ok(value)

        return self.stage(name, body)

    def failing(self, name: str) -> AnyStage:
        async def body(value: object) -> Result[StageOutput[object], StageError]:
            await asyncio.sleep(0)
            return fail(StageError("no", retryable=True))

        return self.stage(name, body)

    def endless(self, name: str) -> AnyStage:
        async def body(value: object) -> Result[StageOutput[object], StageError]:
            await asyncio.Event().wait()
            return ok(value)

        return self.stage(name, body)


class Hooked(BaseInterceptor[StageError]):
    async def before(self, context: InterceptorContext, /) -> InterceptorResult[StageError]:
        await asyncio.sleep(0)
        return InterceptorResult.proceed()

    async def after(self, context: InterceptorContext, outcome: StageResult, /) -> None:
        await asyncio.sleep(0)


async def handled(error: StageError) -> Result[StageOutput[object], StageError]:
    await asyncio.sleep(0)
    return ok([1])


def chain(see: Witness) -> AnyStage:
    return see.quick("a") | see.pausing("b") | see.quick("c") | see.cleaning("d")


def fan(see: Witness) -> AnyStage:
    return (see.pausing("a") & see.cleaning("b") & see.quick("c") & see.swallowing("d")) | see.pausing("joined")


def nested_each(see: Witness) -> AnyStage:
    inner = see.pausing("a") | see.cleaning("b")
    return see.quick("split") | (inner.each(limit=2) | see.quick("join")).each() | see.pausing("last")


def recovering(see: Witness) -> AnyStage:
    return (see.quick("a") | see.failing("b")).recover(handled) | see.failing("c").recover(handled) | see.pausing("d")


def timing_out(see: Witness) -> AnyStage:
    one = see.endless("a").using(TimeoutInterceptor(1.0)).settled()
    two = see.swallowing("b").using(TimeoutInterceptor(1.5)).settled()
    return (one & two & see.cleaning("c")).together() | see.pausing("d")


def retrying(see: Witness) -> AnyStage:
    again = RetryInterceptor(attempts=3, backoff=1.0, draw=lambda: 1.0)
    one, two = see.failing("a").using(again).settled(), see.failing("b").using(again).recover(handled)
    return (one & two).together() | see.pausing("c")


def routing(see: Witness) -> AnyStage:
    chosen = route(see.stage("which", _which)).case("a", see.pausing("b") | see.cleaning("c")).otherwise(see.quick("d"))
    return see.quick("a") | chosen | see.pausing("e")


async def _which(value: object) -> Result[StageOutput[object], StageError]:
    await asyncio.sleep(0)
    return ok("a")


def skipping(see: Witness) -> AnyStage:
    async def absent(value: object) -> Result[StageOutput[object], StageError]:
        await asyncio.sleep(0)
        return skip("nothing new")

    return (see.quick("a") | see.stage("b", absent) | see.quick("c")).optional() | see.pausing("d")


def hooked(see: Witness) -> AnyStage:
    return (see.pausing("a").using(Hooked()) & see.cleaning("b").using(Hooked())).together() | see.quick("c")


def limited(see: Witness) -> AnyStage:
    return see.cleaning("a").using(LimitInterceptor(1)).each() | see.pausing("b")


def fragile(see: Witness) -> AnyStage:
    return (see.failing_when_cancelled("a") & see.swallowing("b") & see.pausing("c")).together() | see.cleaning("d")


def settled_whole(see: Witness) -> AnyStage:
    broken = see.pausing("a") | (see.failing("b") & see.cleaning("c")).together()
    return (see.quick("first") | broken).settled() | see.cleaning("last")


SHAPES = [
    chain,
    fan,
    nested_each,
    recovering,
    timing_out,
    retrying,
    routing,
    skipping,
    hooked,
    limited,
    fragile,
    settled_whole,
]


def failing_fan(see: Witness) -> AnyStage:
    """Fails by itself, so that strikes also fall into the cleanup after a failure."""
    siblings = see.cleaning("a") & see.swallowing("b") & see.failing_when_cancelled("c")
    return (siblings & (see.pausing("d") | see.failing("e")).named("inner")).together() | see.quick("never")


@dataclass
class Target:
    """What there is to strike: the task that awaits the run, and the run's handle once there is one."""

    loop: StrikingLoop
    task: asyncio.Task[object] | None = None
    handle: RunHandle[object, StageError] | None = None


Strike: TypeAlias = Callable[[Target], None]


def cancel_the_task(target: Target) -> None:
    assert target.task is not None
    target.task.cancel()


def cancel_the_handle(target: Target) -> None:
    if target.handle is not None:
        target.handle.cancel("from outside")


def pass_the_deadline(target: Target) -> None:
    target.loop.now += DEADLINE


def strike_from_all_sides(target: Target) -> None:
    pass_the_deadline(target)
    cancel_the_task(target)
    cancel_the_handle(target)


def strike_from_both(target: Target) -> None:
    pass_the_deadline(target)
    cancel_the_handle(target)


def cancel_every_task(target: Target) -> None:
    """As ``asyncio.run`` does on its way out."""
    for task in asyncio.all_tasks(target.loop):
        if task.get_name() != "the watching":
            task.cancel()


@dataclass
class Ended:
    """How a run ended that was struck, or not reached by any strike."""

    see: Witness
    struck: bool = False
    struck_at: float = 0.0
    cancelled: bool = False
    outcome: PipelineResult[object, StageError] | None = None


Shape: TypeAlias = Callable[[Witness], AnyStage]
MakeRunner: TypeAlias = Callable[[Witness], Runner]
Awaits: TypeAlias = Callable[[Runner, AnyStage, Target], Awaitable[object]]


async def by_run(runner: Runner, pipeline: AnyStage, target: Target) -> object:
    return await runner.run(pipeline, [[1, 2, 3], [4]])


async def by_handle(runner: Runner, pipeline: AnyStage, target: Target) -> object:
    target.handle = runner.start(pipeline, [[1, 2, 3], [4]])
    return await target.handle


def struck(shape: Shape, plan: Mapping[int, Strike], runner: MakeRunner, awaits: Awaits) -> Ended:
    """Runs once on a loop of its own, strikes after so many steps, and checks that nothing is left."""
    see, troubles = Witness(), list[object]()
    loop = StrikingLoop()
    loop.set_exception_handler(lambda _, context: troubles.append(context))
    unraisable, sys.unraisablehook = sys.unraisablehook, lambda raised: troubles.append(raised.exc_value)
    target = Target(loop)
    ended = Ended(see)
    try:
        watching = loop.create_task(
            _watched(awaits(runner(see), shape(see), target), target, ended, plan), name="the watching"
        )
        loop.run_until_complete(watching)
        left = asyncio.all_tasks(loop)
        assert not left, left
        gc.collect()
    finally:
        sys.unraisablehook = unraisable
        loop.close()
    assert not troubles, troubles
    check_story(ended, forced=cancel_every_task in plan.values())
    return ended


async def _watched(run: Awaitable[object], target: Target, ended: Ended, plan: Mapping[int, Strike]) -> None:
    task = target.task = asyncio.ensure_future(run)
    first = target.loop.steps + 1

    def strike_if_running(strike: Strike) -> None:
        if not task.done():
            ended.struck = True
            strike(target)
            ended.struck_at = target.loop.now

    for step, strike in plan.items():
        target.loop.strikes[first + step] = partial(strike_if_running, strike)
    await asyncio.wait([task])
    inside = +ended.see.inside
    assert not inside, f"the run returned while inside: {inside}"
    ended.cancelled = task.cancelled()
    ended.outcome = None if task.cancelled() else task.result()  # type: ignore[assignment]
    if ended.cancelled or isinstance(ended.outcome, Cancelled):
        assert target.loop.now - ended.struck_at < SOON, "the run went on after it was cancelled"


def check_story(ended: Ended, *, forced: bool) -> None:
    """The events are well formed, whatever happened, and the store tells the same."""
    types = ended.see.events
    if forced and types[-1:] != ended.see.interrupted[-1:]:
        types = [*types, *ended.see.interrupted]  # the very task that told was cancelled: once begun, it counts as told
    else:
        assert not ended.see.interrupted or forced, ended.see.interrupted
    if not types and ended.cancelled:
        return  # struck before its first step: it never began
    of_run = [type for type in types if type.startswith("pipeline.")]
    assert of_run[0] == types[0] == "pipeline.created", types
    assert of_run[1:-1] in ([], ["pipeline.started"]), types
    assert of_run[-1] == types[-1], types
    assert types[-1] in STORED, types
    if ended.outcome is not None:
        assert types[-1] == f"pipeline.{type(ended.outcome).__name__.lower()}", (types[-1], ended.outcome)
    check_stages(types)
    statuses = ended.see.statuses
    assert bool(statuses) is ended.see.asked
    assert statuses[:-1] in ([], ["running"]), statuses
    assert not statuses or statuses[-1] in STORED[types[-1]], (statuses, types)


def check_stages(types: list[str]) -> None:
    """Each stage is told of from one start to one end, or as skipped, or not at all."""
    stages: dict[str, list[str]] = {}
    for type in types:
        if type.startswith("stage."):
            name, _, what = type.removeprefix("stage.").rpartition(".")
            stages.setdefault(name, []).append(what)
    for name, told in stages.items():
        assert told == ["skipped"] or (told[0] == "started" and told[-1] in ENDS), (name, told)
        assert all(what == "retrying" for what in told[1:-1]), (name, told)


def plain(see: Witness) -> Runner:
    return Runner(sink=see, store=see, deadline=DEADLINE)


def sparse(see: Witness) -> Runner:
    """Without a store, with one place, and going on after failures."""
    return Runner(sink=see, deadline=DEADLINE, max_concurrency=1, on_failure="finish")


def intercepted(see: Witness) -> Runner:
    return Runner(sink=see, store=see, deadline=DEADLINE).using(Hooked()).using(TimeoutInterceptor(5_000.0))  # type: ignore[return-value]


RUNNERS = [plain, sparse, intercepted]


@pytest.fixture(autouse=True)
def quick_collections() -> Iterator[None]:
    """Keeps what is there already out of the collector's sight, so that looking for leaks after each run is cheap."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def moments(
    shape: Shape, runner: MakeRunner, plan_of: Callable[[int], Mapping[int, Strike]], awaits: Awaits = by_handle
) -> Iterator[Ended]:
    """The run, struck at each moment in turn, until it ends before it is struck."""
    for moment in range(MOST_STEPS):
        try:
            ended = struck(shape, plan_of(moment), runner, awaits)
        except BaseException as error:
            error.add_note(
                f"struck after step {moment} of {shape.__name__} on {runner.__name__}, awaited {awaits.__name__}"
            )
            raise
        if not ended.struck:
            assert moment > 3, "it was never struck"
            return
        yield ended
    raise AssertionError(f"{shape.__name__} never ends by itself")


@pytest.mark.parametrize("awaits", [by_run, by_handle])
@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_task_cancelled_at_any_moment_is_cancelled_and_leaves_nothing(
    shape: Shape, runner: MakeRunner, awaits: Awaits
) -> None:
    for ended in moments(shape, runner, lambda moment: {moment: cancel_the_task}, awaits):
        assert ended.cancelled, ended.outcome


@pytest.mark.parametrize("gap", [1, 2, 5, 9])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_task_cancelled_twice_is_cancelled_and_leaves_nothing(shape: Shape, gap: int) -> None:
    for ended in moments(shape, plain, lambda moment: {moment: cancel_the_task, moment + gap: cancel_the_task}):
        assert ended.cancelled, ended.outcome


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_handle_cancelled_at_any_moment_gives_an_outcome_and_leaves_nothing(shape: Shape, runner: MakeRunner) -> None:
    cancelled = 0
    for ended in moments(shape, runner, lambda moment: {moment: cancel_the_handle}):
        assert not ended.cancelled
        if isinstance(ended.outcome, Cancelled):
            cancelled += 1
            assert ended.outcome.reason == "from outside"
        else:  # it had its outcome, and was telling the store and the sink
            assert isinstance(ended.outcome, Completed), ended.outcome
    assert cancelled


@pytest.mark.parametrize("shape", SHAPES)
def test_a_deadline_that_passes_at_any_moment_leaves_nothing(shape: Shape) -> None:
    cancelled = 0
    for ended in moments(shape, plain, lambda moment: {moment: pass_the_deadline}):
        assert not ended.cancelled
        assert isinstance(ended.outcome, Cancelled | Completed), ended.outcome
        cancelled += isinstance(ended.outcome, Cancelled) and "deadline" in ended.outcome.reason
    assert cancelled


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_run_struck_from_all_sides_at_once_is_cancelled_and_leaves_nothing(shape: Shape, runner: MakeRunner) -> None:
    for ended in moments(shape, runner, lambda moment: {moment: strike_from_all_sides}):
        assert ended.cancelled, ended.outcome


@pytest.mark.parametrize("shape", SHAPES)
def test_a_deadline_and_a_cancel_from_outside_at_once_leave_nothing(shape: Shape) -> None:
    for ended in moments(shape, plain, lambda moment: {moment: strike_from_both}):
        assert not ended.cancelled
        assert isinstance(ended.outcome, Cancelled | Completed), ended.outcome


@pytest.mark.parametrize("first", [cancel_the_handle, pass_the_deadline], ids=["the handle", "the deadline"])
@pytest.mark.parametrize("gap", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_task_cancelled_while_its_run_is_being_cancelled_leaves_nothing(
    shape: Shape, gap: int, first: Strike
) -> None:
    for ended in moments(shape, plain, lambda moment: {moment: first, moment + gap: cancel_the_task}):
        if ended.outcome is not None:  # the run was over before the second strike
            assert isinstance(ended.outcome, Cancelled | Completed), ended.outcome


@pytest.mark.parametrize("strike", [cancel_the_task, cancel_the_handle, pass_the_deadline, strike_from_all_sides])
@pytest.mark.parametrize("runner", RUNNERS)
def test_a_run_that_fails_is_struck_at_any_moment_of_its_cleanup_and_leaves_nothing(
    runner: MakeRunner, strike: Strike
) -> None:
    kinds: Counter[str] = Counter()
    for ended in moments(failing_fan, runner, lambda moment: {moment: strike}):
        kinds["raised" if ended.cancelled else type(ended.outcome).__name__] += 1
    if strike in {cancel_the_task, strike_from_all_sides}:
        assert set(kinds) == {"raised"}, kinds
    else:
        assert set(kinds) == {"Cancelled", "Failed"}, kinds


@pytest.mark.parametrize("awaits", [by_run, by_handle])
@pytest.mark.parametrize("shape", [*SHAPES, failing_fan])
def test_a_loop_that_cancels_every_task_at_any_moment_is_left_with_nothing(shape: Shape, awaits: Awaits) -> None:
    for ended in moments(shape, plain, lambda moment: {moment: cancel_every_task}, awaits):
        assert ended.cancelled, ended.outcome
