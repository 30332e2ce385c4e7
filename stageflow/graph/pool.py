"""Executing one plan: a pool of workers over the pure scheduler.

One worker drains the ready queue. Before it runs a stage while more are ready it makes sure that others stand by:
they are hired only if the stage suspends. So stages that do not suspend cost no task, and stages that do run
concurrently. Each stage is stepped inside a copy of the run's context, so that what it sets reaches nobody.

Where one stage alone is ready and nothing else runs, the task that drives the pool runs it itself. Otherwise it only
waits for the workers, again and again however often it is cancelled: no task outlives its run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from contextvars import ContextVar, copy_context
from types import CoroutineType
from typing import cast

from returns.result import Failure, Result, Success

from stageflow.context.inputs import StageInputs
from stageflow.core.output import StageOutput, cancel, held_by, ok, skip
from stageflow.core.stage import StageKind, StageStatus
from stageflow.errors import StageError
from stageflow.graph.errors import defect, no_result
from stageflow.graph.inputs import RunInputs, of_run
from stageflow.graph.ledger import NEVER, Ledger
from stageflow.graph.names import stages_inside
from stageflow.graph.outputs import StageOutputs
from stageflow.graph.places import Lent, lent
from stageflow.graph.plan import INPUT, Node, Plan, Telling
from stageflow.graph.run import SECONDS_PER_BREATH, STAGES_PER_BREATH, STAGES_PER_LISTEN
from stageflow.graph.shape import Call, Given
from stageflow.graph.stepping import awaited, resume
from stageflow.graph.telling import RAISED

_LOG = logging.getLogger(__name__)
_OK, _SKIP, _FAIL, _CANCEL = StageStatus.OK, StageStatus.SKIP, StageStatus.FAIL, StageStatus.CANCEL
_UNLIMITED = 1 << 60
_RUNS_AROUND: ContextVar[int] = ContextVar("runs around", default=0)
_RUNS_PER_STACK = 8  # so many runs, each started inside a stage of the one before, share a stack; the next gets its own


class Pool:
    """The workers of one execution of one plan."""

    __slots__ = (
        "_active",
        "_asked",
        "_context",
        "_crash",
        "_done",
        "_first",
        "_grace",
        "_halted",
        "_kinds",
        "_limit",
        "_lone",
        "_nodes",
        "_own_stack",
        "_ready",
        "_resting",
        "_standing_by",
        "_tasks",
        "_told",
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
        self._own_stack = False
        if ledger.above is None:
            around = _RUNS_AROUND.get() + 1
            self._context.run(_RUNS_AROUND.set, around)
            self._own_stack = around % _RUNS_PER_STACK == 0
        self._told: Sequence[Telling] = ()
        if run.teller is not None and not (ledger.each or plan.templated or ledger.tried or run.journal):
            self._told = plan.told
        self._ready: deque[int] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._active = 0
        self._resting = 0  # the workers that let the loop be heard
        self._standing_by = False  # whether workers will be hired for what is ready once the loop comes round
        self._halted = 0
        self._lone: asyncio.Task[None] | None = None  # the caller's task, while it runs a stage
        self._asked = 0  # how often we cancelled it
        self._first: StageError | None = None
        self._crash: BaseException | None = None
        self._unstarted: set[asyncio.Task[None]] = set()  # of the workers, those before their first step
        self._done: asyncio.Future[None] | None = None
        self._grace: asyncio.TimerHandle | None = None

    async def drive(self) -> Result[StageOutput[object], StageError]:
        """Runs every stage that can run, and gives the plan's output, or its first failure."""
        self._ready.extend(self.ledger.scheduler.start())
        if not self.ledger.run.breath:
            self.ledger.run.breath = self.ledger.run.timer.clock() + SECONDS_PER_BREATH
        if self._is_alone():
            await self._run_alone(cast("asyncio.Task[None]", asyncio.current_task()))
        if self._ready:
            await self._supervise()
        if self._halted or self.ledger.run.reason is not None:
            self.ledger.scheduler.close()
        return self._result()

    def _is_alone(self) -> bool:
        """Whether whatever is ready is to run one after the other, so that the caller's task will do."""
        return not self._own_stack and (len(self._ready) == 1 or (self._limit == 1 and bool(self._ready)))

    async def _run_alone(self, task: asyncio.Task[None]) -> None:
        """Runs stages in the caller's task while one alone is ready: nothing runs beside it."""
        self._lone, before = task, task.cancelling()
        self._active += 1
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await self._drain(task)
            if task.cancelling() - before > self._asked:  # though a stage may have kept it to itself
                await self._pass_on()
        finally:
            self._lone = None
            self._active -= 1
            for _ in range(self._asked):
                task.uncancel()
            self._asked = 0
            self._need_not_warn()

    async def _pass_on(self) -> None:
        """Raises the cancellation of the caller, once what is left of the run is known not to start."""
        self.ledger.run.cause = self.ledger.run.cause or "the run was cancelled"
        self.ledger.scheduler.close()
        await asyncio.sleep(0)  # raises it where it has not been raised yet
        raise asyncio.CancelledError

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        cancelled: asyncio.CancelledError | None = None
        self._hire()
        while self._active:
            self._done = loop.create_future()
            try:
                await self._done
            except asyncio.CancelledError as error:
                cancelled = error
                self.ledger.run.cause = self.ledger.run.cause or "the run was cancelled"
                self.halt(warn=self.ledger.above is None)  # else whatever is around this warns
        while self._tasks:  # cancelled before their first step: they are about to end
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(self._tasks)
            self._tasks = {task for task in self._tasks if not task.done()}
        self._need_not_warn()
        if self._crash is not None and (cancelled is None or isinstance(self._crash, Exception)):
            raise self._crash  # an interrupt has gone through the loop already, which is what cancels us then
        if cancelled is not None:
            self.ledger.scheduler.close()
            raise cancelled

    def halt(self, *, warn: bool = True) -> None:
        """Starts nothing more, and cancels what runs; each call tells those that run again."""
        self._halted += 1
        self.ledger.scheduler.halt()
        self._ready.clear()
        current = asyncio.current_task()
        running = [task for task in self._tasks if task is not current]
        if self._lone is not None and self._lone is not current:
            self._lone.cancel()
            self._asked += 1
        for task in running:
            if task.cancelling() < self._halted:  # else told by whoever told us: a second time would break its cleanup
                task.cancel()
        for _ in range(len(self._unstarted)):  # cancelled before their first step, they never count themselves out
            self._leave()
        self._unstarted.clear()
        if warn and (running or self._asked):
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
        if not self._resting:  # else it was not a stage that let the loop come round
            for _ in range(min(len(self._ready), self._limit - self._active)):
                self._hire()

    def _hire(self) -> None:
        # Task, not create_task: an eager task factory would run the worker's first stage here and now.
        task = asyncio.Task(self._work(), loop=asyncio.get_running_loop())
        self._active += 1
        self._tasks.add(task)
        self._unstarted.add(task)

    def _leave(self) -> None:
        self._active -= 1
        if not self._active and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _crashed(self, error: BaseException) -> None:
        self._crash = self._crash or error
        self.halt()

    async def _work(self) -> None:
        """Drains the ready queue; what goes wrong here, rather than in a stage, ends the run."""
        task, run = cast("asyncio.Task[None]", asyncio.current_task()), self.ledger.run
        self._unstarted.discard(task)
        try:
            while run.breathing and run.reason is None:  # noqa: ASYNC110  (one turn of the loop, and nothing to be woken by is cheaper)
                await asyncio.sleep(0)
            await self._drain(task)
        except Exception as error:  # noqa: BLE001  (the driver raises it)
            self._crashed(error)
        except (KeyboardInterrupt, SystemExit) as error:
            self._crashed(error)
            task.add_done_callback(_looked_at)  # the loop raises it: the task need not report it as lost
            raise
        finally:
            self._tasks.discard(task)
            self._leave()

    async def _drain(self, task: asyncio.Task[None]) -> None:
        ledger, ready, limit = self.ledger, self._ready, self._limit
        run, values, begun, ended = ledger.run, ledger.values, ledger.begun, ledger.ended
        nodes, kinds, teller, places, held = self._nodes, self._kinds, run.teller, run.places, ledger.held
        finished, take, more = ledger.scheduler.finished, ready.popleft, ready.extend
        clock, copy, cancels = run.timer.clock, self._context.copy, task.cancelling
        told = self._told
        before = cancels()
        lone = task is self._lone
        type_begun, type_completed = "", ""
        what: dict[str, object] = {}
        while ready:
            if run.breathing:
                if run.reason is not None:
                    ready.clear()
                    break
                self._resting += 1
                await asyncio.sleep(0)
                self._resting -= 1
                continue
            if lone and len(ready) > 1 and limit > 1:
                break
            slot = take()
            if ready and not self._standing_by and self._active < limit:
                self._stand_by()
            result: Given
            call, source = nodes[slot]
            value = tuple([values[one] for one in source]) if isinstance(source, tuple) else values[source]
            context = copy()
            begin = NEVER
            waited = False
            try:
                if places is not None and kinds[slot] is not None:
                    held[slot] = mine = Lent(places.try_take() or await places.take())
                    context.run(lent.set, mine)
                begun[slot] = begin = clock()
                if teller is not None and (kind := kinds[slot]) is not None:
                    if told:
                        type_begun, type_completed, what = told[slot]
                        try:
                            teller.send(type=type_begun, data=teller.about | what)
                        except RAISED:
                            teller.lost(type_begun)
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
                    waited = True
                    result = await resume(future, coroutine, context, self._warn_later if lone else None)  # pyright: ignore[reportUnknownArgumentType]
            except asyncio.CancelledError as error:
                if lone and cancels() - before > self._asked:
                    self._stopped(slot, begin, clock())
                    raise
                if not lone and not self._halted and cancels() > before:
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
            if isinstance(result, Success) and type(output := held_by(result)) is StageOutput and output._status is _OK:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (a property costs a call)
                values[slot] = output._data  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (the same)
                if output._artifacts or output._events:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (the same)
                    self._rode_along(slot, output)
                if teller is not None and (kind := kinds[slot]) is not None:
                    if told and not ledger.attempts:
                        data = teller.about | what
                        data["duration_ms"] = (end - begin) * 1000
                        try:
                            teller.send(type=type_completed, data=data)
                        except RAISED:
                            teller.lost(type_completed)
                    else:
                        self._completed(slot, kind)
                if fresh := finished(slot, _OK):
                    more(fresh)
            else:
                self._ended_otherwise(slot, result)
            if cancels() > before:
                if not lone:  # a stage cancelled the task it was given
                    await _flush(task)
                elif cancels() - before > self._asked:
                    ready.clear()
            run.streak = streak = run.streak + 1
            if waited and not run.listening:
                if streak >= STAGES_PER_LISTEN or end > run.breath:
                    run.heard(end)
            elif streak >= STAGES_PER_BREATH or (end > run.breath and not waited):
                run.breathe()

    def _began(self, slot: int, kind: StageKind) -> None:
        teller, name, attempt = self.ledger.run.teller, self.ledger.name(slot), self.ledger.attempt(slot)
        if teller is not None:
            teller.began(f"stage.{name}.{'started' if attempt == 1 else 'retrying'}", name, kind, attempt)

    def _completed(self, slot: int, kind: StageKind) -> None:
        ledger, name = self.ledger, self.ledger.name(slot)
        if ledger.run.teller is not None:
            how = ("completed", ledger.attempt(slot), ledger.ended[slot] * 1000)
            ledger.run.teller.ended(name, kind, how)

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
        ledger, teller = self.ledger, self.ledger.run.teller
        ledger.riders[slot] = output
        if teller is not None:
            name, kind = ledger.name(slot), self._kinds[slot] or StageKind.TRANSFORM
            for artifact in output.artifacts:
                teller.made(name, kind, ledger.attempt(slot), artifact)
            for event in output.events:
                teller.own(name, event)

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
