"""A bounded queue in front of a slow sink."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from contextvars import Context
from typing import Literal, TypeAlias, final

from typing_extensions import override

from stageflow.events.fan_out import close
from stageflow.ports import EventSink

__all__ = ["Overflow", "QueueEventSink"]

_LOG = logging.getLogger(__name__)
_BREATH = 64  # the loop is heard at least every so many events, also where the other sink never suspends
Overflow: TypeAlias = Literal["block", "drop"]
_Queued: TypeAlias = tuple[int, str, Mapping[str, object] | None]  # how many were dropped before it, and the event


@final
class QueueEventSink:
    """Takes events at once and passes them on in the background, in order, keeping at most so many.

    A run tells its events by `try_emit`, which never waits, and awaits `emit` for its last event alone. So a full
    queue cannot slow a run down, and ``overflow`` says what becomes of the event instead:

    - ``"drop"``: neither waits, and the newest event is dropped.
    - ``"block"``: `emit` waits for room, at most ``patience`` seconds, and drops the event after that. `try_emit`
      makes room: it hands the oldest events to the other sink's own ``try_emit``, so that the run pays for them there
      and then. Where the other sink is busy in its ``emit`` that would break the order, and the newest is dropped.

    So under ``"block"`` nothing is lost before a sink whose ``emit`` does not suspend, such as a file; before one that
    awaits a network, give the queue a capacity for the bursts that you expect.

    Nothing is dropped in silence. `dropped` counts it, a warning says when it begins and how much it was, and the
    other sink gets ``events.dropped`` where the gap is, with ``dropped`` (how many here), ``dropped_total`` and
    ``capacity``. At any time, what it was told is ``delivered + failed + dropped + pending``.

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
        "_busy",
        "_capacity",
        "_close_within",
        "_closed",
        "_delivered",
        "_dropped",
        "_failed",
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
            raise ValueError(
                f"QueueEventSink(patience={patience}, close_within={close_within}) needs no negative seconds."
            )
        self._sink = sink
        self._capacity = capacity
        self._overflow = overflow
        self._patience = patience
        self._close_within = close_within
        self._queue: deque[_Queued] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()  # of each `emit` that waits for its turn
        self._worker: asyncio.Task[None] | None = None
        self._busy = self._closed = False
        self._delivered = self._failed = self._dropped = 0
        self._gap = 0  # how many were dropped since that was last reported

    @property
    def delivered(self) -> int:
        """How many events the other sink has taken."""
        return self._delivered

    @property
    def failed(self) -> int:
        """How many events the other sink raised on; each is logged."""
        return self._failed

    @property
    def dropped(self) -> int:
        """How many events found no room, or came when the queue was closed."""
        return self._dropped

    @property
    def pending(self) -> int:
        """How many events are on their way: queued, waiting for room, or in the other sink's hands."""
        return len(self._queue) + len(self._waiting) + self._busy

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Takes the event without waiting; where there is no room, does as the policy says."""
        while self._full and self._overflow == "block" and self._queue and not (self._busy or self._closed):
            self._hand_on_now()
        if self._full or self._closed:
            self._drop(type)
        else:
            self._take(type, data)

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Takes the event; where there is no room, waits for it as long as the policy says."""
        if self._full and self._overflow == "block" and not self._closed and not await self._room():
            self._drop(type)
        else:
            self.try_emit(type=type, data=data)

    async def aclose(self) -> None:
        """Passes on what is left, reports what was dropped, and closes the other sink; a second time does nothing.

        What the other sink does not take in time is dropped, and counted.
        """
        if self._closed:
            return
        self._closed = True
        try:
            await self._flushed()
        finally:
            await close(self._sink)

    @override
    def __repr__(self) -> str:
        counts = f"{self.pending} pending, {self._delivered} delivered, {self._failed} failed, {self._dropped} dropped"
        return f"<QueueEventSink of {self._capacity} before {self._sink!r}: {counts}>"
