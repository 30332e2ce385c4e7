"""Time that a test controls: a clock moved by hand, and an event loop in which waiting takes no time."""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar, final

from typing_extensions import TypeVarTuple, Unpack, override

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
_FOREIGN_SECONDS: Final = 10.0  # for how long another thread may leave a loop without anything to do


@final
class ManualClock:
    """A clock that moves when a test says so: ``PipelineTimer(clock=clock, wall=clock.wall)``.

    Args:
        seconds: what it shows first.
        start: the time of day at which it shows 0, timezone-aware.

    >>> clock = ManualClock()
    >>> clock.advance(1.5)
    >>> clock()
    1.5
    """

    __slots__ = ("_seconds", "_start")

    def __init__(self, seconds: float = 0.0, *, start: datetime = _EPOCH) -> None:
        self._seconds = seconds
        self._start = start

    def __call__(self) -> float:
        """Seconds on the clock."""
        return self._seconds

    def wall(self) -> datetime:
        """The time of day by this clock."""
        return self._start + timedelta(seconds=self._seconds)

    def advance(self, seconds: float) -> None:
        """Moves the clock on.

        Raises:
            ValueError: the seconds are negative: a monotonic clock does not go back.
        """
        if not seconds >= 0:
            raise ValueError(f"A clock does not go back: advance({seconds}).")
        self._seconds += seconds

    @override
    def __repr__(self) -> str:
        return f"<ManualClock at {self._seconds:g} s>"


class DeadlockError(RuntimeError):
    """Every task waits, and nothing is left that could wake one: no timer, no thread, no socket."""


@final
class _Leaping(selectors.DefaultSelector):
    """A selector that moves its time on where a loop would wait for its next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.threads = 0  # how many calls a thread works on just now; time stands still for them
        self.stuck: Callable[[], str] = str

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:  # type: ignore[explicit-any]  # SelectorKey has one
        if self.threads and (timeout is None or timeout > 0):
            return super().select(None)
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is not None:
            # At least one step of the float: beyond some million seconds a short timeout would add nothing.
            self.now = max(self.now + timeout, math.nextafter(self.now, math.inf))
            return []
        if len(self.get_map()) > 1 or threading.active_count() > 1:  # more than the loop's own pipe
            ready = super().select(_FOREIGN_SECONDS)
        if not ready:
            raise DeadlockError(self.stuck())
        return ready


class VirtualEventLoop(asyncio.SelectorEventLoop):
    """An event loop whose time starts at 0 and jumps to the next timer whenever nothing is ready.

    `asyncio.sleep`, `asyncio.timeout` and ``call_later`` take no time, and their order is that of their times. While a
    thread of an executor works, time stands still. Sockets and subprocesses are not waited for while a timer is set.
    """

    def __init__(self) -> None:
        self._leaping = _Leaping()
        self._leaping.stuck = self._describe
        super().__init__(self._leaping)

    @override
    def time(self) -> float:
        now = self._leaping.now
        self._clock_resolution = max(1e-9, math.ulp(now))  # a timer is due within it: at least one step of the float
        return now

    @override
    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[_Ts]], _T], *args: Unpack[_Ts]
    ) -> asyncio.Future[_T]:
        future = super().run_in_executor(executor, func, *args)
        self._leaping.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    @override
    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        # Joining its threads takes real time: a limit in virtual time would be over at once.
        self._leaping.threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._leaping.threads -= 1

    def _thread_ended(self, _: Awaitable[object]) -> None:
        self._leaping.threads -= 1

    def _describe(self) -> str:
        waiting = sorted(f"{task.get_name()} in {_place(task)}" for task in asyncio.all_tasks(self))
        return f"Nothing can go on any more. These tasks wait: {', '.join(waiting) or 'none'}."


def _place(task: asyncio.Task[object]) -> str:
    stack = task.get_stack(limit=1)
    if not stack:
        return "C code"
    code = stack[-1].f_code
    return f"{code.co_qualname} ({code.co_filename}:{stack[-1].f_lineno})"


def loop_time() -> float:
    """The time of the running event loop, in seconds: ``CircuitBreakerInterceptor(clock=loop_time)``."""
    return asyncio.get_running_loop().time()


def run_virtually(main: Coroutine[object, object, _T], /) -> _T:
    """Runs a coroutine to its end in a `VirtualEventLoop`, and gives what it returns.

    Runs that are started inside take their time from that loop too, so that their deadlines, durations and the
    remaining time that stages see agree.

    Raises:
        DeadlockError: it waits for what can never happen; the text says which task waits where.
        RuntimeError: an event loop is running already.

    >>> async def wait_a_day() -> float:
    ...     await asyncio.sleep(24 * 60 * 60)
    ...     return loop_time()
    >>> run_virtually(wait_a_day())
    86400.0
    """
    return run_in(VirtualEventLoop, main)


def run_in(make: Callable[[], VirtualEventLoop], main: Coroutine[object, object, _T]) -> _T:
    """Runs a coroutine in a virtual loop of a kind; see `run_virtually`."""
    try:
        need_no_loop()
    except RuntimeError:
        main.close()
        raise
    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(main)


def need_no_loop() -> None:
    """Refuses to go on inside a running event loop.

    Raises:
        RuntimeError: one is running.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("An event loop of its own is needed: call this in a plain `def` test, not an `async` one.")
