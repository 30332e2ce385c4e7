"""Executing one plan: a pool of workers over the pure scheduler.

One worker drains the ready queue. Before it runs a stage while more are ready it makes sure that a spare worker
stands by; the spare starts only if the stage suspends. So stages that do not suspend cost no task, and stages that
do run concurrently. Each stage is stepped inside a copy of the run's context, so that what it sets reaches nobody.

The task that drives a pool never runs a stage itself, so cancelling stages never touches the caller. It waits for
the workers, again and again however often it is cancelled: no task outlives its run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from contextvars import copy_context
from types import CoroutineType
from typing import cast

from returns.result import Failure, Result, Success

from stageflow.context.inputs import StageInputs
from stageflow.core.output import StageOutput, cancel, ok, skip
from stageflow.core.stage import StageKind, StageStatus
from stageflow.errors import StageError
from stageflow.graph.errors import defect, no_result
from stageflow.graph.inputs import RunInputs, of_run
from stageflow.graph.ledger import NEVER, Ledger
from stageflow.graph.names import stages_inside
from stageflow.graph.outputs import StageOutputs
from stageflow.graph.places import Lent, lent
from stageflow.graph.plan import INPUT, Node, Plan
from stageflow.graph.run import STAGES_PER_BREATH
from stageflow.graph.shape import Call, Given
from stageflow.graph.stepping import awaited, resume

_LOG = logging.getLogger(__name__)
_OK, _SKIP, _FAIL, _CANCEL = StageStatus.OK, StageStatus.SKIP, StageStatus.FAIL, StageStatus.CANCEL
_UNLIMITED = 1 << 60


class Pool:
    """The workers of one execution of one plan."""

    __slots__ = (
        "_active",
        "_context",
        "_crash",
        "_done",
        "_first",
        "_grace",
        "_halted",
        "_inline",
        "_kinds",
        "_limit",
        "_nodes",
        "_ready",
        "_spares",
        "_tasks",
        "_unstarted",
        "ledger",
    )

    def __init__(self, ledger: Ledger, *, limit: int | None = None) -> None:
        run, plan, nodes = ledger.run, ledger.plan, ledger.nodes
        kinds: Sequence[StageKind | None] = plan.kinds
        if ledger.each:
            count = len(ledger.states)
            call = nodes[0][0] if ledger.whole_items else within(plan)
            nodes = [(call, item) for item in range(count)]
            kinds = (ledger.kind(0),) * count
        self.ledger: Ledger = ledger
        self._nodes: Sequence[Node] = nodes
        self._kinds = kinds
        self._limit = min(limit or _UNLIMITED, run.limit)
        self._context = copy_context()
        self._ready: deque[int] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._active = 0
        self._spares = 0
        self._halted = 0
        self._inline = False
        self._first: StageError | None = None
        self._crash: BaseException | None = None
        self._unstarted: set[asyncio.Task[None]] = set()  # of the workers, those before their first step
        self._done: asyncio.Future[None] | None = None
        self._grace: asyncio.TimerHandle | None = None

    async def drive(self) -> Result[StageOutput[object], StageError]:
        """Runs every stage that can run, and gives the plan's output, or its first failure."""
        self._ready.extend(self.ledger.scheduler.start())
        if len(self._nodes) == 1 and self.ledger.above is not None:
            self._inline = True  # one stage, inside another: the task of that one will do
            try:
                await self._drain(cast("asyncio.Task[None]", asyncio.current_task()), spare=False)
            except asyncio.CancelledError:
                self.ledger.scheduler.close()
                raise
        elif self._ready:
            await self._supervise()
        if self._halted or self.ledger.run.reason is not None:
            self.ledger.scheduler.close()
        return self._result()

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        cancelled: asyncio.CancelledError | None = None
        self._hire(spare=False)
        while self._active:
            self._done = loop.create_future()
            try:
                await self._done
            except asyncio.CancelledError as error:
                cancelled = error
                self.ledger.run.cause = self.ledger.run.cause or "the run was cancelled"
                self.halt()
        while self._tasks:  # cancelled before their first step: they are about to end
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(self._tasks)
            self._tasks = {task for task in self._tasks if not task.done()}
        if self._grace is not None:
            self._grace.cancel()
        if self._crash is not None and (cancelled is None or isinstance(self._crash, Exception)):
            raise self._crash  # an interrupt has gone through the loop already, which is what cancels us then
        if cancelled is not None:
            self.ledger.scheduler.close()
            raise cancelled

    def halt(self) -> None:
        """Starts nothing more, and cancels what runs; each call tells those that run again."""
        self._halted += 1
        self.ledger.scheduler.halt()
        self._ready.clear()
        current = asyncio.current_task()
        running = [task for task in self._tasks if task is not current]
        for task in running:
            if task.cancelling() < self._halted:  # else told by whoever told us: a second time would break its cleanup
                task.cancel()
        for _ in range(len(self._unstarted)):  # cancelled before their first step, they never count themselves out
            self._leave()
        self._unstarted.clear()
        if running and self._grace is None:
            loop = asyncio.get_running_loop()
            self._grace = loop.call_later(self.ledger.run.grace, self._warn, context=self._context)

    def _warn(self) -> None:
        ledger = self.ledger
        running = [slot for slot, begun in enumerate(ledger.begun) if begun > NEVER and ledger.states[slot] is None]
        _LOG.warning(
            "The run waits for %s, cancelled %g s ago: let CancelledError through, or end the thread.",
            ", ".join(f'"{ledger.name(slot)}"' for slot in running) or "a stage",
            ledger.run.grace,
        )

    def _hire(self, *, spare: bool = True) -> None:
        # Task, not create_task: an eager task factory would run the spare before the stage it stands by for.
        task = asyncio.Task(self._work(spare=spare), loop=asyncio.get_running_loop())
        self._active += 1
        self._tasks.add(task)
        self._unstarted.add(task)
        self._spares += spare

    def _leave(self) -> None:
        self._active -= 1
        if not self._active and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _crashed(self, error: BaseException) -> None:
        self._crash = self._crash or error
        self.halt()

    async def _work(self, *, spare: bool) -> None:
        """Drains the ready queue; what goes wrong here, rather than in a stage, ends the run."""
        task, run = cast("asyncio.Task[None]", asyncio.current_task()), self.ledger.run
        self._unstarted.discard(task)
        if not run.breath:
            run.breathed()
        try:
            while run.breathing and run.reason is None:  # noqa: ASYNC110  (one turn of the loop, and nothing to be woken by is cheaper)
                await asyncio.sleep(0)
            await self._drain(task, spare=spare)
        except Exception as error:  # noqa: BLE001  (the driver raises it)
            self._crashed(error)
        except (KeyboardInterrupt, SystemExit) as error:
            self._crashed(error)
            task.add_done_callback(_looked_at)  # the loop raises it: the task need not report it as lost
            raise
        finally:
            self._tasks.discard(task)
            self._leave()

    async def _drain(self, task: asyncio.Task[None], *, spare: bool) -> None:
        ledger, ready, limit = self.ledger, self._ready, self._limit
        run, values, begun, ended = ledger.run, ledger.values, ledger.begun, ledger.ended
        nodes, kinds, teller, places, held = self._nodes, self._kinds, run.teller, run.places, ledger.held
        finished, take, more = ledger.scheduler.finished, ready.popleft, ready.extend
        clock, copy = run.timer.clock, self._context.copy
        names = ledger.plan.names
        started: Sequence[str] = ()
        completed: Sequence[str] = ()
        if teller is not None and not (ledger.each or ledger.plan.templated or ledger.tried):
            started, completed = ledger.plan.told("started"), ledger.plan.told("completed")
        cancels = task.cancelling
        before = cancels()
        if spare:
            self._spares -= 1
            while self._spares < len(ready) - 1 and self._active < limit:
                self._hire()
        while ready:
            if run.breathing:
                if run.reason is not None:
                    ready.clear()
                    break
                await asyncio.sleep(0)
                continue
            slot = take()
            if ready and not self._spares and self._active < limit:
                self._hire()
            result: Given
            call, source = nodes[slot]
            value = tuple([values[one] for one in source]) if isinstance(source, tuple) else values[source]
            context = copy()
            begin = NEVER
            try:
                if places is not None and kinds[slot] is not None:
                    held[slot] = mine = Lent(places.try_take() or await places.take())
                    context.run(lent.set, mine)
                begun[slot] = begin = clock()
                if teller is not None and (kind := kinds[slot]) is not None:
                    if started:
                        teller.began(started[slot], names[slot], kind, 1)
                    else:
                        self._began(slot, kind)
                coroutine = call(RunInputs(value, ledger, slot))
                if type(coroutine) is not CoroutineType:
                    coroutine = awaited(coroutine)
                try:  # a coroutine is stepped by hand: `send` takes and gives what only the loop knows
                    future = context.run(coroutine.send, None)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
                except StopIteration as stop:
                    result = stop.value
                else:
                    result = await resume(future, coroutine, context)  # pyright: ignore[reportUnknownArgumentType]
            except asyncio.CancelledError as error:
                if self._inline and cancels() > before:
                    self._stopped(slot, begin, clock())
                    raise
                if not self._halted and cancels() > before:
                    await _flush(task)  # whoever cancels every task has told the pool's driver too: let it hear first
                if self._halted:
                    self._stopped(slot, begin, clock())
                    return
                result = Failure(self._escaped(slot, error))
            except Exception as error:  # noqa: BLE001  (a defect is a value)
                result = Failure(self._escaped(slot, error))
            finally:
                if held and slot in held:
                    held.pop(slot).close()
            end = clock()
            ended[slot] = end - begin
            if isinstance(result, Success) and type(output := result.unwrap()) is StageOutput and output.status is _OK:
                values[slot] = output.data
                if output.artifacts or output.events:
                    self._rode_along(slot, output)
                if teller is not None and (kind := kinds[slot]) is not None:
                    if started and not ledger.attempts:
                        teller.completed(completed[slot], names[slot], kind, 1, (end - begin) * 1000)
                    else:
                        self._completed(slot, kind)
                if fresh := finished(slot, _OK):
                    more(fresh)
            else:
                self._ended_otherwise(slot, result)
            if cancels() > before and not self._inline:  # a stage cancelled the task it was given
                await _flush(task)
            run.streak = streak = run.streak + 1
            if (streak >= STAGES_PER_BREATH or end > run.breath) and not run.breathing:
                run.breathe()

    def _began(self, slot: int, kind: StageKind) -> None:
        teller, name, attempt = self.ledger.run.teller, self.ledger.name(slot), self.ledger.attempt(slot)
        if teller is not None:
            teller.began(f"stage.{name}.{'started' if attempt == 1 else 'retrying'}", name, kind, attempt)

    def _completed(self, slot: int, kind: StageKind) -> None:
        ledger, name = self.ledger, self.ledger.name(slot)
        if ledger.run.teller is not None:
            took = ledger.ended[slot] * 1000
            ledger.run.teller.completed(f"stage.{name}.completed", name, kind, ledger.attempt(slot), took)

    def _escaped(self, slot: int, error: BaseException) -> StageError:
        made = defect(self.ledger.name(slot), error)
        self.ledger.run.defects.add(made)
        return made

    def _stopped(self, slot: int, begin: float, end: float) -> None:
        ledger = self.ledger
        ledger.scheduler.finished(slot, _CANCEL)
        ledger.notes[slot] = ledger.run.cause
        kind = self._kinds[slot]
        if begin == NEVER:
            return
        ledger.ended[slot] = end - begin
        if ledger.run.teller is not None and kind is not None:
            how = ("cancelled", ledger.attempt(slot), (end - begin) * 1000)
            ledger.run.teller.ended(ledger.name(slot), kind, how, reason=ledger.run.cause)

    def _rode_along(self, slot: int, output: StageOutput[object]) -> None:
        self.ledger.riders[slot] = output
        if self.ledger.run.teller is not None:
            for event in output.events:
                self.ledger.run.teller.own(self.ledger.name(slot), event)

    def _ended_otherwise(self, slot: int, result: object) -> None:
        match cast("Success[object] | Failure[object] | None", result):
            case Success(output) if isinstance(output, StageOutput):
                self._left_out(slot, cast("StageOutput[object]", output))
            case Failure(StageError() as error):
                self._failed(slot, error)
            case _:
                made = no_result(self.ledger.name(slot), result)
                self.ledger.run.defects.add(made)
                self._failed(slot, made)
        for skipped in self.ledger.scheduler.settled():
            if self.ledger.states[skipped] is _SKIP:
                self._tell_skipped(skipped)

    def _left_out(self, slot: int, output: StageOutput[object]) -> None:
        """A stage skipped, or cancelled the run."""
        ledger = self.ledger
        ledger.notes[slot] = output.reason
        if output.artifacts or output.events:
            self._rode_along(slot, output)
        ledger.scheduler.finished(slot, output.status)
        kind = self._kinds[slot]
        if ledger.run.teller is not None and kind is not None:
            what = "skipped" if output.status is _SKIP else "cancelled"
            how = (what, ledger.attempt(slot), ledger.ended[slot] * 1000)
            ledger.run.teller.ended(ledger.name(slot), kind, how, reason=output.reason)
        elif kind is None and output.status is _SKIP:
            self._tell_skipped(slot)
        if output.status is _CANCEL:
            ledger.scheduler.halt()
            self._ready.clear()
            ledger.run.stop(ledger.why(slot))

    def _failed(self, slot: int, error: StageError) -> None:
        ledger, run = self.ledger, self.ledger.run
        ledger.notes[slot] = error
        ledger.scheduler.finished(slot, _FAIL)
        run.failed.append(error)
        kind = self._kinds[slot]
        if run.teller is not None and kind is not None:
            how = ("failed", ledger.attempt(slot), ledger.ended[slot] * 1000)
            run.teller.ended(ledger.name(slot), kind, how, error=str(error), error_type=type(error).__name__)
        if self._first is None:
            self._first = error
        if not run.finish:
            run.cause = run.cause or ledger.why(slot)
            self.halt()

    def _tell_skipped(self, slot: int) -> None:
        """Tells of a stage that was skipped without having started, or of those inside it."""
        ledger, teller = self.ledger, self.ledger.run.teller
        if teller is None:
            return
        kind, reason = self._kinds[slot], ledger.why(slot)
        if kind is not None:
            teller.ended(ledger.name(slot), kind, ("skipped", 0, 0.0), reason=reason)
        elif not any(at == slot for at, _ in ledger.children):
            for inner in () if ledger.each else ledger.plan.inner.get(slot, ()):
                for name, kind_inside in stages_inside(inner, ledger.items):
                    teller.ended(name, kind_inside, ("skipped", 0, 0.0), reason=reason)

    def _result(self) -> Result[StageOutput[object], StageError]:
        ledger, output = self.ledger, self.ledger.plan.output
        if self._first is not None:
            return Failure(self._first)
        if ledger.each:
            return self._all_items()
        if output is None:
            return self._all_outputs()
        if isinstance(output, tuple):
            left_out = next((slot for slot in output if slot >= 0 and ledger.states[slot] is not _OK), None)
            values = tuple([ledger.values[slot] for slot in output])
            return ok(values) if left_out is None else self._settled(left_out, None)
        if output == INPUT:
            return ok(ledger.values[INPUT])
        return self._settled(output, ledger.values[output])

    def _settled(self, slot: int, value: object) -> Result[StageOutput[object], StageError]:
        match self.ledger.states[slot]:
            case StageStatus.OK:
                return ok(value)
            case StageStatus.SKIP:
                return skip(self.ledger.why(slot))
            case _:
                return cancel(self.ledger.run.cause or "cancelled")

    def _all_items(self) -> Result[StageOutput[object], StageError]:
        for slot, state in enumerate(self.ledger.states):
            if state is not _OK:
                return self._settled(slot, None)
        return ok(tuple(self.ledger.values[:-1]))

    def _all_outputs(self) -> Result[StageOutput[object], StageError]:
        ledger, sinks = self.ledger, self.ledger.plan.sinks
        left_out = [slot for slot in sinks if ledger.states[slot] is not _OK]
        if any(ledger.states[slot] is not _SKIP for slot in left_out) or len(left_out) == len(sinks):
            return self._settled(left_out[0], None)
        return ok(StageOutputs(ledger=ledger))


def within(plan: Plan) -> Call:
    """The function of a stage that contains others: runs the plan on the stage's value."""

    async def run_within(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        around = of_run(inputs)
        return await Pool(Ledger(around.ledger.run, plan, inputs.value, above=around.ledger, slot=around.slot)).drive()

    return run_within


def _looked_at(task: asyncio.Task[None]) -> None:
    task.exception()


async def _flush(task: asyncio.Task[None]) -> None:
    """Lets a cancellation of the worker's task, which was meant for one stage, end there."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    while task.cancelling():
        task.uncancel()
