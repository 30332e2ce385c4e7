"""One sink in front of several."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import final

from typing_extensions import override

from stageflow.ports import EventSink, ExpectingSink

_LOG = logging.getLogger(__name__)


@final
class FanOutEventSink:
    """Tells every event to each of several sinks; one that raises or waits keeps no other from its own.

    It owns the sinks: closing it closes those that can be closed.

    Args:
        sinks: where to, in order.
    """

    __slots__ = ("_sinks",)

    def __init__(self, *sinks: EventSink) -> None:
        self._sinks = sinks

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Tells each sink; what one raises is logged."""
        for sink in self._sinks:
            try:
                sink.try_emit(type=type, data=data)
            except Exception:  # noqa: BLE001  (the others have theirs to get)
                _not_taken(sink, type)

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Tells each sink, all at once, and waits for the slowest; what one raises is logged."""
        told = (_told(sink, type, data) for sink in self._sinks)
        # What a sink raises does not come here, but for a cancellation of its own making.
        for sink, raised in zip(self._sinks, await asyncio.gather(*told, return_exceptions=True), strict=True):
            if raised is not None:
                _not_taken(sink, type, raised)

    def expect(self, *, stage: str, items: int, done: Callable[[], int], data: Mapping[str, object]) -> None:
        """Tells each sink that wants to know how far an ``.each`` is."""
        for sink in self._sinks:
            if isinstance(sink, ExpectingSink):
                try:
                    sink.expect(stage=stage, items=items, done=done, data=data)
                except Exception:  # noqa: BLE001  (the others have theirs to get)
                    _not_taken(sink, f"the items of {stage}")

    async def aclose(self) -> None:
        """Closes each sink that can be closed, also where another could not.

        Raises:
            ExceptionGroup: what some raised.
        """
        failed: list[Exception] = []
        for sink in self._sinks:
            try:
                await close(sink)
            except Exception as error:  # noqa: BLE001  (it is raised when all are closed)
                failed.append(error)
        if failed:
            raise ExceptionGroup("Some sinks could not be closed", failed)

    @override
    def __repr__(self) -> str:
        return f"FanOutEventSink({', '.join(repr(sink) for sink in self._sinks)})"


async def close(sink: EventSink) -> None:
    """Closes a sink that can be closed: one that has ``aclose``."""
    closing = getattr(sink, "aclose", None)
    if closing is not None:
        await closing()


async def _told(sink: EventSink, type: str, data: Mapping[str, object] | None) -> None:
    try:
        await sink.emit(type=type, data=data)
    except Exception:  # noqa: BLE001  (the others have theirs to get)
        _not_taken(sink, type)


def _not_taken(sink: EventSink, type: str, raised: BaseException | None = None) -> None:
    _LOG.error("The sink %r did not take %s; the others got it.", sink, type, exc_info=raised or True)
