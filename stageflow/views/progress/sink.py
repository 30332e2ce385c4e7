"""A sink that shows how far runs are: live on a terminal, a line now and then elsewhere.

What a run pays is one append to a queue for each event. A thread of the display's own counts what came a few times a
second, so that it also moves while a stage holds the event loop; and it is there only once a run lasts long enough to
be looked at.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TextIO, TypeAlias, final

from stageflow.views.progress.display import Display, LineDisplay, LiveDisplay

_Event: TypeAlias = tuple[str, Mapping[str, object]]
_ENDS = frozenset({"pipeline.completed", "pipeline.failed", "pipeline.cancelled"})
_MOST = 100_000  # events that may wait for the display; beyond, a run counts them itself


@final
class ProgressSink:
    """Shows the runs of a runner while they last: ``Runner(sink=ProgressSink())``.

    On a terminal it shows stages by state, what is under way, a bar for each ``.each`` with its pace and an estimate,
    and errors as they come; elsewhere a line every few seconds, and the errors. A run that is over before the first
    look (`delay`) is not shown. When the last run has ended, what is shown stays, and the terminal is free again.

    Args:
        stream: where to; standard error by default.
        live: whether it is a terminal that can be drawn on; None asks the stream.
        delay: seconds after which a run is shown.
        interval: seconds from one line to the next where there is no terminal.
        clock: a monotonic clock, in seconds.
    """

    __slots__ = ("_active", "_clock", "_delay", "_display", "_interval", "_lock", "_queue", "_stop", "_thread", "_wake")

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        live: bool | None = None,
        delay: float = 0.2,
        interval: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        to = sys.stderr if stream is None else stream
        drawn = to.isatty() if live is None else live
        self._display: Display = LiveDisplay(to) if drawn else LineDisplay(to)
        self._interval = 0.125 if drawn else interval
        self._delay = delay
        self._clock = clock
        self._queue: deque[_Event] = deque()
        self._active: dict[object, float] = {}  # by run, since when
        self._lock = threading.Lock()  # held by whoever counts and draws
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Takes an event."""
        self._queue.append((type, data or {}))
        if type == "pipeline.created":
            self._begin(data or {})
        elif len(self._queue) > _MOST:
            with self._lock:
                self._take()

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Takes a run's last event; once no run is left, all that was told is shown."""
        self._queue.append((type, data or {}))
        if type in _ENDS:
            self._active.pop((data or {}).get("run_id"), None)
        if not self._active:
            self._wake.clear()
            self._finish()

    def expect(self, *, stage: str, items: int, done: Callable[[], int], data: Mapping[str, object]) -> None:
        """Hears how many items an ``.each`` is about to go through."""
        self._queue.append(("expect", {**data, "stage": stage, "items": items, "done": done, "at": self._clock()}))

    async def aclose(self) -> None:
        """Shows what is left and ends the display; a second time does nothing."""
        self._stop.set()
        self._wake.set()
        self._finish()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def look(self) -> None:
        """Counts what came since the last look, and draws it where a run has lasted long enough."""
        with self._lock:
            self._take()
            now, oldest = self._clock(), next(iter(tuple(self._active.values())), None)
            if self._display.shown or (oldest is not None and now - oldest >= self._delay):
                self._display.draw(now)
            else:
                self._display.sweep()

    def _begin(self, data: Mapping[str, object]) -> None:
        self._active[data.get("run_id")] = self._clock()
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="stageflow progress", daemon=True)
            self._thread.start()
        self._wake.set()

    def _watch(self) -> None:
        """Looks a few times a second while there are runs; what the thread does."""
        while not self._stop.is_set():
            self._wake.wait()
            if self._stop.wait(self._delay if not self._display.shown else self._interval):
                return
            self.look()

    def _take(self) -> None:
        queue, now = self._queue, self._clock()
        while queue:
            type, data = queue.popleft()
            self._display.hear(type, data, self._active.get(data.get("run_id"), now), now)

    def _finish(self) -> None:
        """Shows how the runs ended, where they were shown at all."""
        with self._lock:
            if self._display.shown:
                self._take()
                self._display.finish(self._clock())
            else:
                self._queue.clear()
                self._display.forget()
