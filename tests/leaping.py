"""Running without waiting: a loop whose clock leaps to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import TypeVar

_T = TypeVar("_T")


class LeapingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock leaps to the next timer where nothing else is to be done, so that no test waits."""

    def __init__(self) -> None:
        super().__init__(_LeapingSelector(self))
        self.now = 0.0

    def time(self) -> float:
        return self.now

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  (as it is)
        await super().shutdown_default_executor()  # without its limit, which the clock would leap over


class _LeapingSelector(selectors.SelectSelector):
    def __init__(self, loop: LeapingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0 if timeout is not None else None)
        if not found and timeout is not None:
            self._loop.now += timeout
        return found


def leaping(main: Callable[[], Awaitable[_T]]) -> _T:
    """Runs to the end on such a loop."""

    async def awaited() -> _T:
        return await main()

    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(awaited())
