"""Handing events to a sink that may raise, and counting how that went."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import final

from stageflow.ports import EventSink

_LOG = logging.getLogger(__name__)


@final
class Delivery:
    """Hands events to a sink, one at a time.

    Attributes:
        busy: whether the sink has one in its `emit` just now.
        delivered: how many it took.
        failed: how many it raised on, or was cancelled over.
    """

    __slots__ = ("_sink", "busy", "delivered", "failed")

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink
        self.busy = False
        self.delivered = self.failed = 0

    def now(self, type: str, data: Mapping[str, object] | None) -> None:
        """Hands the event to the sink's `try_emit`."""
        self._count(taken=self.offer(type, data))

    def offer(self, type: str, data: Mapping[str, object] | None) -> bool:
        """The same, for an event that does not count; gives whether the sink took it."""
        try:
            self._sink.try_emit(type=type, data=data)
        except Exception:  # noqa: BLE001  (whoever told the event is not to know)
            self._log(type)
            return False
        return True

    async def patiently(
        self, type: str, data: Mapping[str, object] | None, *, dropped: Mapping[str, object] | None
    ) -> None:
        """Hands the event to the sink's `emit`, after a word on those dropped before it, and waits until it has it."""
        taken, self.busy = False, True
        try:
            if dropped is not None:
                await self.insist("events.dropped", dropped)
            taken = await self.insist(type, data)
        finally:  # also where this is cancelled on the way
            self.busy = False
            self._count(taken=taken)

    async def insist(self, type: str, data: Mapping[str, object] | None) -> bool:
        """The same, for an event that does not count; gives whether the sink took it."""
        try:
            await self._sink.emit(type=type, data=data)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._log(type)  # of the sink's own making: the others are still to come
            return False
        except Exception:  # noqa: BLE001  (the others are still to come)
            self._log(type)
            return False
        return True

    def _count(self, *, taken: bool) -> None:
        self.delivered += taken
        self.failed += not taken

    def _log(self, type: str) -> None:
        _LOG.exception("The sink %r did not take %s.", self._sink, type)
