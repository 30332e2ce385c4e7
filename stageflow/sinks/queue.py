"""A bounded queue in front of a slow sink."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from contextvars import Context
from typing import Literal, TypeAlias, final

from typing_extensions import override

from stageflow.ports import EventSink
from stageflow.sinks._delivery import Delivery
from stageflow.sinks.fan_out import close

_LOG = logging.getLogger(__name__)
_BREATH = 64  # the loop is heard at least every so many events, also where the other sink never suspends
Overflow: TypeAlias = Literal["block", "drop"]
_Queued: TypeAlias = tuple[int, str, Mapping[str, object] | None]  # how many were dropped before it, and the event
_Waiting: TypeAlias = tuple[asyncio.Future[None], str, Mapping[str, object] | None]  # an `emit` that waits for room


@final
class QueueEventSink:
    """Takes events at once and passes them on in the background, in order, keeping at most so many.

    What a full queue does is ``overflow``. A run tells its events by `try_emit`, which cannot wait, and awaits `emit`
    for its last event alone; an application may await `emit` for its own.

    =============  ========================================  =====================================================
    a full queue   `try_emit`                                `emit`
    =============  ========================================  =====================================================
    ``"drop"``     drops the newest event                    drops the newest event
    ``"block"``    hands the oldest to the other sink's      waits for room, at most ``patience`` seconds, and
                   own ``try_emit`` there and then; where    drops the event after that
                   that sink is busy in its ``emit``, which
                   would break the order, drops the newest
    =============  ========================================  =====================================================

    So a run waits for a queue not at all under ``"drop"``, and under ``"block"`` for ``patience`` seconds at its end:
    never longer than the 10 that it waits for any sink's last event, and never on its way, where it only pays for the
    other sink's ``try_emit``. Under ``"block"`` nothing is lost before a sink whose ``emit`` does not suspend, such as
    a file; before one that awaits a network, give the queue a capacity for the bursts that you expect.

    Nothing is dropped in silence. `dropped` counts it, a warning says when it begins and how much it was, and once the
    queue is half empty the other sink gets ``events.dropped`` in its place after the gap (`EventsDropped`). At any
    time, what it was told is ``delivered + failed + dropped + pending``.

    It owns the other sink, and is for one event loop at a time.

    Args:
        sink: what the events are for.
        capacity: how many are kept.
        overflow: what happens where so many are kept already.
        patience: seconds for which `emit` waits for room, under ``"block"``.
        close_within: seconds for which `aclose` lets the other sink take what is left.

    Raises:
        ValueError: the capacity is less than 1, a time is negative, or the policy is neither.
    """

    __slots__ = (
        "_capacity",
        "_close_within",
        "_closed",
        "_delivery",
        "_dropped",
        "_gap",
        "_overflow",
        "_patience",
        "_queue",
        "_sink",
        "_waiting",
        "_worker",
    )

    def __init__(
        self,
        sink: EventSink,
        *,
        capacity: int = 10_000,
        overflow: Overflow,
        patience: float = 1.0,
        close_within: float = 10.0,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"QueueEventSink(capacity={capacity}) needs room for at least 1 event.")
        if overflow not in {"block", "drop"}:
            raise ValueError(f'QueueEventSink(overflow={overflow!r}) must be "block" or "drop".')
        if not (patience >= 0 and close_within >= 0):
            given = f"patience={patience}, close_within={close_within}"
            raise ValueError(f"QueueEventSink({given}) needs no negative seconds.")
        self._sink = sink
        self._capacity = capacity
        self._overflow = overflow
        self._patience = patience
        self._close_within = close_within
        self._queue: deque[_Queued] = deque()
        self._waiting: deque[_Waiting] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._closed = False
        self._delivery = Delivery(sink)
        self._dropped = 0
        self._gap = 0  # how many were dropped since that was last reported

    @property
    def delivered(self) -> int:
        """How many events the other sink has taken."""
        return self._delivery.delivered

    @property
    def failed(self) -> int:
        """How many events the other sink raised on; each is logged."""
        return self._delivery.failed

    @property
    def dropped(self) -> int:
        """How many events found no room, or came when the queue was closed."""
        return self._dropped

    @property
    def pending(self) -> int:
        """How many events are on their way: queued, waiting for room, or in the other sink's hands."""
        return len(self._queue) + len(self._waiting) + self._delivery.busy

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Takes the event without waiting; where there is no room, does as the policy says."""
        while self._full and self._overflow == "block" and not (self._delivery.busy or self._closed):
            self._hand_on_now()
        if self._full or self._closed:
            self._drop(type)
        else:
            self._take(type, data)

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Takes the event; where there is no room, waits for it as long as the policy says."""
        if self._overflow == "drop" or self._closed or not self._full:
            self.try_emit(type=type, data=data)
            return
        waiting = (asyncio.get_running_loop().create_future(), type, data)
        self._waiting.append(waiting)
        self._ensure_worker()
        try:
            async with asyncio.timeout(self._patience):
                await waiting[0]
        except TimeoutError:
            pass
        finally:  # cancelled or not: what was not let in by now is dropped
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                self._drop(type)

    async def aclose(self) -> None:
        """Passes on what is left, reports what was dropped, and closes the other sink; a second time does nothing.

        What the other sink does not take in time is dropped, and counted.
        """
        if self._closed:
            return
        self._closed = True
        try:
            await self._flush()
        finally:
            await close(self._sink)

    @property
    def _full(self) -> bool:
        return len(self._queue) >= self._capacity or bool(self._waiting)

    def _take(self, type: str, data: Mapping[str, object] | None) -> None:
        gap = 0
        if self._gap and len(self._queue) <= self._capacity // 2:  # else a full queue would report one by one
            gap, self._gap = self._gap, 0
        self._queue.append((gap, type, None if data is None else dict(data)))
        self._ensure_worker()

    def _drop(self, type: str) -> None:
        self._dropped += 1
        self._gap += 1
        if self._gap == 1:
            why = "is closed" if self._closed else f"of {self._capacity} events is full"
            _LOG.warning("The queue before %r %s: the newest events are dropped, %s first.", self._sink, why, type)

    def _next(self) -> _Queued:
        """The oldest event; its room goes to who has waited longest."""
        oldest = self._queue.popleft()
        if self._waiting:
            turn, type, data = self._waiting.popleft()
            self._take(type, data)
            if not turn.done():
                turn.set_result(None)
        return oldest

    def _hand_on_now(self) -> None:
        gap, type, data = self._next()
        if gap:
            self._delivery.offer("events.dropped", self._report(gap))
        self._delivery.now(type, data)

    def _report(self, gap: int) -> dict[str, object]:
        _LOG.warning("The queue before %r dropped %d events, %d in all.", self._sink, gap, self._dropped)
        return {"dropped": gap, "dropped_total": self._dropped, "capacity": self._capacity}

    def _ensure_worker(self) -> None:
        if self._worker is not None and not self._worker.done():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # told outside any loop: it is passed on when one runs
        # Task, not create_task: an eager task factory would pass on inside the run's call. A context of its own: what
        # the run set is not the worker's.
        self._worker = asyncio.Task(self._pass_on(), loop=loop, context=Context())

    async def _pass_on(self) -> None:
        """Hands on what is queued, and ends: no task waits for a run that may not come."""
        count = 0
        while self._queue or self._gap:
            if self._queue:
                gap, type, data = self._next()
                await self._delivery.patiently(type, data, dropped=self._report(gap) if gap else None)
            else:
                gap, self._gap = self._gap, 0
                await self._delivery.insist("events.dropped", self._report(gap))
            count += 1
            if count % _BREATH == 0:
                await asyncio.sleep(0)

    async def _flush(self) -> None:
        deadline = asyncio.get_running_loop().time() + self._close_within
        while self.pending or self._gap:
            self._ensure_worker()
            remaining = deadline - asyncio.get_running_loop().time()
            if self._worker is None or remaining <= 0:
                break
            await asyncio.wait([self._worker], timeout=remaining)
        if self.pending:
            await self._give_up()

    async def _give_up(self) -> None:
        left = len(self._queue) + len(self._waiting)
        self._queue.clear()
        while self._waiting:
            turn, _, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
        self._dropped += left
        _LOG.error("The sink %r took too long: %d events are dropped, %d in all.", self._sink, left, self._dropped)
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker], timeout=self._close_within)

    @override
    def __repr__(self) -> str:
        counts = f"{self.pending} pending, {self.delivered} delivered, {self.failed} failed, {self._dropped} dropped"
        return f"<QueueEventSink of {self._capacity} before {self._sink!r}: {counts}>"
