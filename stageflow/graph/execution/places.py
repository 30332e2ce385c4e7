"""How many stages of a runner may run at once, across its runs: fair, and never a deadlock.

A runner has `Places`. A stage that holds one lends it to the runs that it starts of the same runner (`Lent`), since it
waits for them: so a run inside a stage always has a place to go on with, and a limit of 1 runs any graph. Whoever waits
for something else meanwhile (a limiter, a delay) gives its place up, the lender's too, and takes one again afterwards.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar
from typing import TypeAlias, final


@final
class Places:
    """Places for running stages, given out first come, first served; to the stages of one event loop at a time."""

    __slots__ = ("_count", "_free", "_loop", "_waiting")

    def __init__(self, count: int) -> None:
        self._count = self._free = count
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def top(self) -> Places:
        """Whose places they are in the end."""
        return self

    def try_take(self) -> Place | None:
        """Takes a place if one is free, and gives what to give it back to."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._free < self._count and self._loop is not None and not self._loop.is_closed():
                raise RuntimeError(
                    "A limit on how many stages run at once (max_concurrency, LimitInterceptor) is in use on another "
                    "event loop. Make a runner, or a stage with its limit, for each loop."
                )
            self._loop, self._free = loop, self._count
            self._waiting.clear()
        if not self._free or self._waiting:
            return None
        self._free -= 1
        return self

    async def take(self) -> Place:
        """Waits for a place, and gives what to give it back to."""
        if self.try_take() is not None:
            return self
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # granted and cancelled in one tick: pass it on
                self.give_back()
            raise
        return self

    def give_back(self) -> None:
        """Gives a place back, to who has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def step_aside(self) -> None:
        """Gives a place up for a while."""
        self.give_back()


@final
class Lent:
    """The place that one stage holds, as the runs that it starts may borrow it, one stage at a time."""

    __slots__ = ("_base", "_borrowed", "_closed", "_lost", "_turns")

    def __init__(self, base: Place) -> None:
        self._base = base
        self._borrowed = False
        self._lost = False  # given up, while whoever borrowed it, or the lender, waits for something else
        self._closed = False
        self._turns: deque[asyncio.Future[bool]] = deque()

    @property
    def top(self) -> Places:
        """The runner's places."""
        return self._base.top

    def try_take(self) -> Place | None:
        """Borrows the place if it is free, else takes another of the runner's if one is."""
        if self._closed:
            return self.top.try_take()
        if self._lost or self._turns:
            return None
        if self._borrowed:
            return self.top.try_take()
        self._borrowed = True
        return self

    async def take(self) -> Place:
        """Waits to borrow the place, and gives what to give it back to."""
        while True:
            place = self.try_take()
            if place is not None or self._closed:
                return place or await self.top.take()
            if self._lost:
                place = await self._base.take()
                return self if self._regained() else place
            turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._turns.append(turn)
            try:
                if await turn:
                    return self
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled() and turn.result():
                    self.give_back()  # granted and cancelled in one tick: pass it on
                raise

    def _regained(self) -> bool:
        """Makes a place of the runner's the lender's again, where that was given up and no other has been first."""
        regained, self._lost = self._lost, False
        self._borrowed = self._borrowed or regained
        return regained

    def give_back(self) -> None:
        """Gives the borrowed place back to the lender, or to who waits to borrow it."""
        self._borrowed = self._pass_on(granted=True)

    def step_aside(self) -> None:
        """Gives the borrowed place up for a while, and so does the lender, which waits for the borrower."""
        self._borrowed = self._pass_on(granted=True)
        if not self._borrowed:
            self._lost = True
            self._base.step_aside()

    async def come_back(self) -> None:
        """Takes the lender's place again, after it stepped aside by itself."""
        if self._lost:
            await self._base.take()
            self._lost = False

    def close(self) -> None:
        """The lender has ended: its place goes back."""
        self._closed = True
        if not self._lost:
            self._base.give_back()
        while self._pass_on(granted=False):
            pass

    def _pass_on(self, *, granted: bool) -> bool:
        """Wakes who has waited longest: with the place, or to look for one elsewhere."""
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(granted)
                return True
        return False


Place: TypeAlias = Places | Lent

lent: ContextVar[Lent | None] = ContextVar("stageflow_lent_place", default=None)
