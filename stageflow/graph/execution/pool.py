"""Executing one plan: a pool of workers over the pure scheduler.

A worker takes what is ready, one stage after the other. Before it runs a stage while more are ready it makes sure that
others stand by: they are hired only if the stage waits. So stages that do not wait cost no task, and stages that do run
concurrently. Each stage is stepped inside a copy of the run's context, so that what it sets reaches nobody; what it
waits for is passed on to the worker's task.

The task that drives the pool runs stages itself while what is ready cannot wait, since nothing is awaited in its code:
so nobody can tell. A stage that can wait has a worker's task, since what it waits in (`asyncio.timeout`, a task group)
may cancel its task, and no such cancellation is to be taken for one of the run. The driver waits for the workers, again
and again however often it is cancelled: no task outlives its run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import types
from collections import deque
from collections.abc import Awaitable, Coroutine, Generator, Sequence
from contextvars import copy_context
from inspect import CORO_SUSPENDED, getcoroutinestate
from types import CoroutineType
from typing import cast

from returns.result import Success

from stageflow.context.inputs import StageInputs
from stageflow.core.output import StageOutput, ok
from stageflow.core.stage import StageKind, StageStatus
from stageflow.errors import StageError
from stageflow.graph.execution import settling
from stageflow.graph.execution.giving import given_by
from stageflow.graph.execution.inputs import RunInputs, of_run
from stageflow.graph.execution.ledger import Ledger
from stageflow.graph.execution.places import Lent, Place, lent
from stageflow.graph.execution.run import SECONDS_PER_BREATH, STAGES_PER_BREATH, STAGES_PER_LISTEN, TURNS_AFTER_SECONDS
from stageflow.graph.execution.telling import RAISED, Teller
from stageflow.graph.plan import Plan, Telling
from stageflow.graph.shape import Call, Given
from stageflow.graph.stepping import awaited

_LOG = logging.getLogger(__name__)
_OK = StageStatus.OK
_UNLIMITED = 1 << 60
_NOTHING: Given = ok(None)


class Pool:
    """The workers of one execution of one plan."""

    __slots__ = (
        "_context",
        "_crash",
        "_desk",
        "_done",
        "_ending",
        "_first",
        "_grace",
        "_halted",
        "_limit",
        "_ready",
        "_resting",
        "_standing_by",
        "_tasks",
        "_waits",
        "ledger",
    )

    def __init__(self, ledger: Ledger, *, limit: int | None = None) -> None:
        run, plan, nodes = ledger.run, ledger.plan, ledger.nodes
        kinds: Sequence[StageKind | None] = plan.kinds
        waits: Sequence[bool] = plan.waits if nodes is plan.nodes and run.places is None else ()
        if ledger.each:
            count, whole = len(ledger.states), ledger.whole_items
            call = nodes[0][0] if whole else within(plan)
            nodes = [(call, item) for item in range(count)]
            kinds = (ledger.kind(0),) * count
            waits = tuple(waits) * count if whole else ()
        told: Sequence[Telling | None] = ()
        about: dict[str, object] = {}
        if run.teller is not None and not (ledger.each or plan.templated or ledger.tried or run.journal):
            told, about = plan.told, {**run.teller.about, "stage": "", "kind": None, "attempt": 1}
        self.ledger: Ledger = ledger
        self._limit = min(limit or _UNLIMITED, run.limit)
        self._ready: deque[int] = deque()
        self._waits = waits
        self._context = copy_context()
        # fmt: off
        self._desk = (  # what a worker needs at hand for every stage
            ledger, run, run.places, self._ready, self._limit, nodes, kinds, waits,
            told, about, cast("Teller", run.teller), run.teller is not None,
            ledger.values, ledger.begun, ledger.ended, run.timer.clock, self._context.copy,
            ledger.scheduler.finished, ledger.scheduler.spoiled, self._ready.popleft, self._ready.extend,
        )
        # fmt: on
        self._tasks: set[asyncio.Task[None]] = set()
        self._resting = 0  # the workers that let the loop be heard
        self._standing_by = False  # whether workers will be hired for what is ready once the loop comes round
        self._halted = 0
        self._first: StageError | None = None
        self._crash: BaseException | None = None
        self._ending: set[asyncio.Task[None]] = set()  # workers that were cancelled before their first step
        self._done: asyncio.Future[None] | None = None
        self._grace: asyncio.TimerHandle | None = None

    async def drive(self) -> Given:
        """Runs every stage that can run, and gives the plan's output, or its first failure."""
        self._ready.extend(self.ledger.scheduler.start())
        if not self.ledger.run.breath:
            self.ledger.run.breath = self.ledger.run.timer.clock() + SECONDS_PER_BREATH
        if self._ready and self._waits:
            await self._run_here(cast("asyncio.Task[None]", asyncio.current_task()))
        if self._ready:
            await self._supervise()
        if self._halted or self.ledger.run.reason is not None:
            self.ledger.scheduler.close()
        return given_by(self.ledger, self._first)

    async def _run_here(self, task: asyncio.Task[None]) -> None:
        """Runs stages in the caller's task for as long as what is ready cannot wait."""
        try:
            await self._pump(task, here=True)
        except asyncio.CancelledError:
            self._stopped_from_outside()
            self.ledger.scheduler.close()
            raise

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        cancelled: asyncio.CancelledError | None = None
        self._hire()
        while self._tasks:
            self._done = loop.create_future()
            try:
                await self._done
            except asyncio.CancelledError as error:
                cancelled = error
                self._stopped_from_outside()
                self.halt(warn=self.ledger.above is None)  # else whatever is around this warns
        while self._ending:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(self._ending)
            self._ending = {task for task in self._ending if not task.done()}
        self._need_not_warn()
        if self._crash is not None and (
            cancelled is None or not isinstance(self._crash, KeyboardInterrupt | SystemExit)
        ):
            raise self._crash  # an interrupt has gone through the loop already, which is what cancels us then
        if cancelled is not None:
            self.ledger.scheduler.close()
            raise cancelled

    def _stopped_from_outside(self) -> None:
        above = self.ledger.above
        self.ledger.stop("the run was cancelled" if above is None else f"{above.name(self.ledger.slot)} was cancelled")

    def halt(self, *, warn: bool = True) -> None:
        """Starts nothing more, and cancels what runs; each call tells those that run again."""
        self._halted += 1
        self.ledger.scheduler.halt()
        self._ready.clear()
        current = asyncio.current_task()
        running = [task for task in self._tasks if task is not current]
        for task in running:
            if task.cancelling() < self._halted:  # else told by whoever told us: a second time would break its cleanup
                task.cancel()
            if getcoroutinestate(cast("Coroutine[object, object, None]", task.get_coro())) != CORO_SUSPENDED:
                self._ending.add(task)  # cancelled before its first step, it never takes itself out
                self._leave(task)
        if warn and running:
            self._warn_later()

    def _warn_later(self) -> None:
        if self._grace is None:
            loop = asyncio.get_running_loop()
            self._grace = loop.call_later(self.ledger.run.grace, self._warn, context=self._context)

    def _need_not_warn(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None

    def _warn(self) -> None:
        _LOG.warning(
            "The run waits for %s, cancelled %g s ago: let CancelledError through, or end the thread.",
            ", ".join(f'"{name}"' for name in self.ledger.running()) or "a stage",
            self.ledger.run.grace,
        )

    def _stand_by(self) -> None:
        """Has workers hired once the loop comes round: where the stage about to be run waits, that is at once."""
        self._standing_by = True
        asyncio.get_running_loop().call_soon(self._hire_for_all)

    def _hire_for_all(self) -> None:
        self._standing_by = False
        if not self._resting:  # else whoever rests goes on with what is ready, and stands by in its turn
            for _ in range(min(len(self._ready), self._limit - len(self._tasks))):
                self._hire()

    def _hire(self) -> None:
        # Task, not create_task: an eager task factory would run the worker's first stage here and now.
        loop = asyncio.get_running_loop()
        self._tasks.add(asyncio.Task(self._work(loop), loop=loop))

    def _leave(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _crashed(self, error: BaseException) -> None:
        self._crash = self._crash or error
        self.halt()

    async def _rest(self) -> None:
        self._resting += 1
        try:
            await self.ledger.run.rest()
        finally:
            self._resting -= 1

    async def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs what is ready until nothing is; what goes wrong here, rather than in a stage, ends the run."""
        task, run = cast("asyncio.Task[None]", asyncio.current_task(loop)), self.ledger.run
        try:
            while run.breathing and run.reason is None:
                await self._rest()
            await self._pump(task)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            self._crashed(error)
            if isinstance(error, KeyboardInterrupt | SystemExit):
                task.add_done_callback(asyncio.Task[None].exception)  # raised by the loop: not to be reported as lost
                raise
        finally:
            self._leave(task)

    @types.coroutine
    def _pump(self, task: asyncio.Task[None], *, here: bool = False) -> Generator[object, None, None]:
        """Runs what is ready until nothing is, or, ``here`` in the caller's task, up to a stage that can wait."""
        # fmt: off
        (ledger, run, places, ready, limit, nodes, kinds, waits, told, about, teller, tells,
         values, begun, ended, clock, copy, finished, spoiled, take, more) = self._desk
        # fmt: on
        cancels, alone, result = task.cancelling, here and ledger.above is None, _NOTHING
        before = cancels()
        while ready:
            if run.breathing:
                if run.reason is not None:
                    ready.clear()
                    return
                yield from self._rest().__await__()
                continue
            if here and waits[ready[0]]:
                return
            slot, waited = take(), False
            if ready and not here and not self._standing_by and len(self._tasks) < limit:
                self._stand_by()
            call, source = nodes[slot]
            inputs = RunInputs()
            inputs._value = tuple([values[one] for one in source]) if isinstance(source, tuple) else values[source]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (what `of` does)
            inputs.ledger, inputs.slot = ledger, slot
            context = copy()
            try:
                if places is not None and kinds[slot] is not None:
                    made: Awaitable[Given] = self._in_place(call, inputs)
                else:
                    begun[slot] = clock()
                    if told:
                        if (words := told[slot]) is not None:
                            data = about.copy()
                            data["stage"], data["kind"] = words[2], words[3]
                            try:
                                teller.send(type=words[0], data=data)
                            except RAISED:
                                teller.lost(words[0])
                    elif tells:
                        settling.began(ledger, slot)
                    made = call(inputs)
                coroutine = made if type(made) is CoroutineType else awaited(made)  # pyright: ignore[reportUnknownVariableType]  (narrowed by `type`)
                try:  # a coroutine is stepped by hand: `send` takes and gives what only the loop knows
                    future = context.run(coroutine.send, None)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]  (the same)
                    waited = True
                    while True:
                        try:
                            received = yield future
                        except GeneratorExit:
                            coroutine.close()
                            raise
                        except BaseException as thrown:  # noqa: BLE001  (it is passed on to the coroutine)
                            future = context.run(coroutine.throw, thrown)
                        else:
                            future = context.run(coroutine.send, received)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]  (the same)
                except StopIteration as stop:
                    result = stop.value
            except asyncio.CancelledError as error:
                if cancels() > before and not here and not self._halted:
                    yield from _flush(task).__await__()  # who cancels every task tells the driver too: it hears first
                if self._halted or (here and cancels() > before):
                    settling.stopped(ledger, slot, clock())
                    if here:
                        yield None  # where the cancellation is raised
                    return
                result = settling.escaped(ledger, slot, error)
            except Exception as error:  # noqa: BLE001  (a defect is a value)
                result = settling.escaped(ledger, slot, error)
            end = clock()
            ended[slot] = seconds = end - begun[slot]
            output: object = result._inner_value if type(result) is Success else None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportUnknownVariableType]  (unwrap costs a call)
            if type(output) is StageOutput and output._status is _OK:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportUnknownArgumentType]  (as does a property)
                values[slot] = output._data  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (the same)
                if output._artifacts or output._events:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (the same)
                    settling.rode_along(ledger, slot, output)
                if told and not ledger.attempts:
                    if (words := told[slot]) is not None:
                        data = about.copy()
                        data["stage"], data["kind"], data["duration_ms"] = words[2], words[3], seconds * 1000
                        try:
                            teller.send(type=words[1], data=data)
                        except RAISED:
                            teller.lost(words[1])
                elif tells:
                    settling.completed(ledger, slot)
                if fresh := finished(slot, _OK):
                    more(fresh)
                if spoiled:
                    settling.left_behind(ledger)
            else:
                self._ended_otherwise(slot, cast("object", result))
            if cancels() > before:  # by the stage
                if here:
                    yield None  # where it is raised: whom the caller's task was cancelled by cannot be told
                else:
                    yield from _flush(task).__await__()
                continue
            run.streak = streak = run.streak + 1
            if waited:
                if not run.listening:
                    if streak >= STAGES_PER_LISTEN or end > run.breath:
                        run.heard(end)
                elif streak >= STAGES_PER_BREATH:
                    run.breathe(1)
            elif end > run.breath:
                run.breathe(TURNS_AFTER_SECONDS)
            elif streak >= STAGES_PER_BREATH:
                run.breathe(1)
            elif not alone:
                run.lively = True
                if not run.listening:
                    run.listen()

    async def _in_place(self, call: Call, inputs: RunInputs) -> Given:
        """Runs a stage once it has one of its runner's places; in a context of the stage's own."""
        ledger, slot = inputs.ledger, inputs.slot
        places = cast("Place", ledger.run.places)
        ledger.held[slot] = mine = Lent(places.try_take() or await places.take())
        lent.set(mine)
        try:
            ledger.begun[slot] = ledger.run.timer.clock()
            settling.began(ledger, slot)
            return await call(inputs)
        finally:
            if slot in ledger.held:
                ledger.held.pop(slot).close()

    def _ended_otherwise(self, slot: int, result: object) -> None:
        run, failure = self.ledger.run, settling.ended_otherwise(self.ledger, slot, result)
        if run.reason is not None:
            self._ready.clear()
        if failure is not None:
            self._first = self._first or failure
            if not run.finish:
                self.ledger.stop(self.ledger.why(slot))
                self.halt()


def within(plan: Plan) -> Call:
    """The function of a stage that contains others: runs the plan on the stage's value."""

    async def run_within(inputs: StageInputs[object]) -> Given:
        around = of_run(inputs)
        return await Pool(Ledger(around.ledger.run, plan, inputs.value, around=around.ledger, slot=around.slot)).drive()

    return run_within


async def _flush(task: asyncio.Task[None]) -> None:
    """Lets a cancellation of the worker's task, which was meant for one stage, end there."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    while task.cancelling():
        task.uncancel()
