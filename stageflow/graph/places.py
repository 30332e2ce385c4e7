"""How many stages of a runner may run at once, across its runs."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar


class Places:
    """Places for running stages, given out first come, first served.

    A stage that starts a run of the same runner lends that run its own place: ``Places(1, above=...)``. So a run
    inside a stage always has a place to go on with, and a limit of 1 runs any graph.
    """

    __slots__ = ("_above", "_free", "_waiting", "top")

    def __init__(self, count: int, *, above: Places | None = None) -> None:
        self._free = count
        self._above = above
        self._waiting: deque[asyncio.Future[Places]] = deque()
        self.top: Places = above.top if above else self

    def try_take(self) -> Places | None:
        """Takes a place if one is free, and gives whose it is: what is to be called to give it back."""
        if self._free and not self._waiting:
            self._free -= 1
            return self
        return self._above.try_take() if self._above else None

    async def take(self) -> Places:
        """Waits for a place, and gives whose it is."""
        free = self.try_take()
        if free is not None:
            return free
        turn: asyncio.Future[Places] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # granted and cancelled in one tick: pass it on
                turn.result().give_back()
            raise

    def give_back(self) -> None:
        """Gives a place back, to who has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(self)
                return
        self._free += 1


lent: ContextVar[Places | None] = ContextVar("stageflow_lent_place", default=None)
