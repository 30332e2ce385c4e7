"""A sink that shows how far runs are: live on a terminal, a line now and then elsewhere.

What a run pays is counting: some tenths of a microsecond for each event. A thread of the display's own looks at the
counts a few times a second, so that it also moves while a stage holds the event loop; and it draws only once a run
lasts long enough to be looked at.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TextIO, final

from stageflow.views.progress.board import Board
from stageflow.views.progress.display import Display, LineDisplay, LiveDisplay

_BEGINS = frozenset({"pipeline.created", "pipeline.resumed"})
_ENDS = frozenset({"pipeline.completed", "pipeline.failed", "pipeline.cancelled"})
_NOTHING: Mapping[str, object] = {}


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

    __slots__ = ("_boards", "_clock", "_delay", "_display", "_ended", "_interval", "_lock", "_stop", "_thread", "_wake")

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
        self._boards: dict[object, Board] = {}  # by run
        self._ended: list[Board] = []  # runs that are over and were not drawn since
        self._lock = threading.Lock()  # held by whoever draws
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Counts an event."""
        if type[:6] == "stage." and data is not None:
            try:
                board, what = self._boards[data["run_id"]], type[-8:]
                # What is told of nearly every stage comes first, and costs no call.
                if what == ".started":
                    board.going[data["stage"]] = 1
                elif what == "ompleted":
                    del board.going[data["stage"]]
                    board.ok += 1
                else:
                    board.otherwise(type.rpartition(".")[2], data["stage"], data)
            except KeyError:  # an event of a stage's own making, or of a run that began before this sink heard of it
                return
        elif type in _BEGINS:
            self._begin(data or _NOTHING)

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Takes a run's last event; once no run is left, all that was counted is shown."""
        if type not in _ENDS:
            self.try_emit(type=type, data=data)
            return
        given = data or _NOTHING
        board = self._boards.pop(given.get("run_id"), None)
        if board is not None:
            board.status = "skipped" if given.get("status") == "skip" else type.rpartition(".")[2]
            if self._display.shown:
                self._ended.append(board)  # drawn at the next look, so that many runs at once do not draw each
            if not self._boards:
                self._wake.clear()
                self._leave()

    def expect(self, *, stage: str, items: int, done: Callable[[], int], data: Mapping[str, object]) -> None:
        """Hears how many items an ``.each`` is about to go through."""
        board = self._boards.get(data.get("run_id"))
        if board is not None:
            board.expect(stage, items, done, self._clock())

    async def aclose(self) -> None:
        """Ends the display; a second time does nothing."""
        self._stop.set()
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        with self._lock:
            self._display.leave()

    def look(self) -> None:
        """Draws what is known by now, where a run has lasted long enough."""
        with self._lock:
            boards, now = list(self._boards.values()), self._clock()
            if boards and (self._display.shown or now - boards[0].since >= self._delay):
                self._draw(boards, now)

    def _begin(self, data: Mapping[str, object]) -> None:
        self._boards[data.get("run_id")] = Board(str(data.get("pipeline", "")), self._clock())
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="stageflow progress", daemon=True)
            self._thread.start()
        self._wake.set()

    def _watch(self) -> None:
        """Looks a few times a second while there are runs; what the thread does."""
        while not self._stop.is_set():
            self._wake.wait()
            if self._stop.wait(self._interval if self._display.shown else self._delay):
                return
            self.look()

    def _draw(self, boards: list[Board], now: float) -> None:
        ended, self._ended = self._ended, []
        self._display.draw([*ended, *boards], now)

    def _leave(self) -> None:
        """Shows how the last runs ended, where they were shown at all, and leaves the screen."""
        if self._display.shown:
            with self._lock:
                self._draw([], self._clock())
                self._display.leave()
