"""What is shared by everything that happens in one run."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import final
from uuid import UUID

from stageflow.context.pipeline import PipelineContext
from stageflow.context.ports import StagePorts
from stageflow.core.log_ids import ids_of
from stageflow.core.timer import PipelineTimer
from stageflow.errors import StageError
from stageflow.events.sink import NoOpEventSink
from stageflow.graph.execution.places import Place
from stageflow.graph.execution.seams import Elsewhere, Journal, Wrapping
from stageflow.graph.execution.telling import Teller
from stageflow.graph.plan import Atlas
from stageflow.graph.shape import Given
from stageflow.ports import ConfigProvider, CorrelationIds, EventSink

STAGES_PER_LISTEN = 8  # where stages wait, the run notices from time to time that the loop has been heard
STAGES_PER_BREATH = 64  # the loop is heard at least every so many stages,
SECONDS_PER_BREATH = 0.005  # and at least every so many seconds,
TURNS_AFTER_SECONDS = 3  # for so many turns: one for a timer that is due, two for who is cancelled by it to hear of it


@final
class Identities:
    """A set of errors by identity: errors are equal by value, and two that are equal may come from two places."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[int, BaseException] = {}  # kept, so that no other error gets one's id

    def add(self, error: BaseException) -> None:
        """Adds an error."""
        self._kept[id(error)] = error

    def __contains__(self, error: object) -> bool:
        return id(error) in self._kept


@dataclass(slots=True, eq=False, weakref_slot=True)
class Run:
    """The state that one run shares; every attribute that changes in a run is here or in a `Ledger`.

    Attributes:
        ids: what goes with every event and every line that is logged.
        reason: why the run is to end as cancelled; None while it is not.
        cause: what first made stages stop: of a stage that never started, the report gives this as the reason.
        streak: stages since the loop was last heard.
        breath: when the loop is to be heard again, on the run's clock.
        breathing: whether the loop is being heard, so that every worker of the run rests, for ``turns`` turns of it.
        resting: the workers that rest, each as what wakes it.
        listening: whether the loop's next turn is going to be noticed.
        lively: whether a stage that did not wait has ended since the last turn that was noticed: it may have had the
            same turn of the loop as one that waited, so that this one is no sign of the loop having been heard.
        failed: what stages failed with, in time, handled or not.
        defects: errors made from what escaped a stage; `.recover` lets them pass.
        own: under a runner's interceptors, what came from stages themselves.
        foreign: errors that a runner's interceptors added; nothing inside the run absorbs them.
        journal: where a durable run is recorded.
        once: of stages that must not run twice, what they gave; None of one that was cut off.
    """

    atlas: Atlas
    run_id: UUID
    correlation: CorrelationIds
    ports: StagePorts
    config: ConfigProvider | None
    sink: EventSink
    deadline: float | None
    timer: PipelineTimer
    pipeline: str
    finish: bool = False
    grace: float = 5.0
    limit: int = 1 << 60
    places: Place | None = None
    around: Wrapping | None = None
    elsewhere: Elsewhere | None = None
    ids: Mapping[str, object] = field(init=False)
    teller: Teller | None = field(init=False)
    halt: Callable[[], None] = field(init=False)
    reason: str | None = None
    cause: str = ""
    streak: int = 0
    breathing: bool = False
    listening: bool = False
    lively: bool = False
    turns: int = 0
    resting: deque[asyncio.Future[None]] = field(init=False)
    breath: float = 0.0
    failed: list[StageError] = field(init=False)
    defects: Identities = field(init=False)
    own: Identities = field(init=False)
    foreign: Identities = field(init=False)
    journal: Journal | None = None
    once: dict[str, Given | None] | None = None
    _context: PipelineContext | None = None

    def __post_init__(self) -> None:
        self.halt = nothing_runs
        self.resting, self.failed = deque(), []
        self.defects, self.own, self.foreign = Identities(), Identities(), Identities()
        self.ids = ids_of(self.run_id, self.correlation)
        self.teller = None if type(self.sink) is NoOpEventSink else Teller((self.sink,), self.ids)

    @property
    def context(self) -> PipelineContext:
        """What the run carries, as a value; made when first asked for."""
        if self._context is None:
            self._context = PipelineContext(
                self.run_id,
                self.correlation,
                self.ports,
                self.config,
                self.sink,
                self.deadline,
                self.timer,
                pipeline=self.pipeline,
                former_trace="" if self.journal is None else self.journal.former_trace,
            )
        return self._context

    def correlate(self, ids: CorrelationIds) -> None:
        """Gives the run other ids, before anything is told of it."""
        self.correlation, self._context = ids, None
        self.ids = ids_of(self.run_id, ids)
        if self.teller is not None:
            self.teller = Teller(self.teller.sinks, self.ids)

    def stop(self, reason: str) -> None:
        """Ends the run as cancelled: nothing starts any more, and what runs is cancelled."""
        if self.reason is None:
            self.reason = reason
            self.breathing = True  # from here on, so that no worker starts another stage
            self.cause = self.cause or reason
            while self.resting:  # they have nothing to wait for any more
                _wake(self.resting.popleft())
            if asyncio.current_task() is None:
                self._halt()
            else:  # it may be a stage of the run that asks, and is to be cancelled as any other
                asyncio.get_running_loop().call_soon(self._halt)

    def _halt(self) -> None:
        self.halt()

    def heard(self, now: float) -> None:
        """Counts anew: the loop woke a stage that waited, the first since this was last noticed.

        Stages that end before the loop comes round again may have been woken by the same turn of it.
        """
        self.streak, self.breath = 0, now + SECONDS_PER_BREATH
        self.listen()

    def breathe(self, turns: int) -> None:
        """Has the workers of the run wait until the loop has been heard, for so many turns of it."""
        self.breathing, self.turns = True, turns
        if not self.listening:
            self.listen()

    async def rest(self) -> None:
        """Waits until the loop has been heard, and for one's turn.

        One worker at a time goes on, and the next in the same turn of the loop only where no further breath is drawn:
        if all did, each stage that computes for long would wake all the others for nothing.
        """
        turn = asyncio.get_running_loop().create_future()
        self.resting.append(turn)
        await turn

    def _wake_next(self) -> None:
        if self.resting and not self.breathing:
            _wake(self.resting.popleft())
            if self.resting:
                asyncio.get_running_loop().call_soon(self._wake_next)  # once that one has run

    def listen(self) -> None:
        """Notices when the loop comes round."""
        self.listening = True
        asyncio.get_running_loop().call_soon(self.breathed)

    def breathed(self) -> None:
        """The loop has just been heard."""
        if self.breathing and self.turns > 1:
            self.turns -= 1
            self.listen()
            return
        if self.lively and not self.breathing:
            self.lively = False
            self.listen()
            return
        if self.breathing:
            self.streak, self.breath = 0, self.timer.clock() + SECONDS_PER_BREATH
        self.breathing = self.reason is not None
        self.listening = self.lively = False
        self._wake_next()


def _wake(turn: asyncio.Future[None]) -> None:
    if not turn.done():  # else it was cancelled
        turn.set_result(None)


def nothing_runs() -> None:
    """What halts a run that has not started: that it has a reason to stop is enough."""
