"""Where boards are shown: drawn in place on a terminal, or written a line at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TextIO, cast, final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text
from typing_extensions import override

from stageflow.views.progress.board import Board
from stageflow.views.progress.picture import line, picture
from stageflow.views.words import printable

_ERRORS = 20  # errors that are shown of a run as they come; its outcome has all
_RUNS = 8  # runs that are drawn at a time


class Display(ABC):
    """The boards of the runs that are shown.

    Attributes:
        shown: whether anything of them is on the screen.
    """

    def __init__(self) -> None:
        self.boards: dict[object, Board] = {}
        self.shown: bool = False

    def hear(self, type: str, data: Mapping[str, object], since: float, now: float) -> None:
        """Takes an event of a run that began at a time."""
        run_id = data.get("run_id")
        board = self.boards.get(run_id)
        if board is None:
            board = self.boards[run_id] = Board(str(data.get("pipeline", "a run")), since)
        if type == "expect":
            done = cast("Callable[[], int]", data["done"])
            board.expect(str(data["stage"]), cast("int", data["items"]), done, cast("float", data["at"]))
        else:
            board.hear(type, data, now)

    def draw(self, now: float) -> None:
        """Shows what is known by now."""
        self.shown = True
        for board in self.boards.values():
            for number, error in enumerate(board.errors, board.told):
                if number < _ERRORS:
                    self.complain(printable(error))
                elif number == _ERRORS:
                    self.complain("more errors, which the run's outcome has")
            board.told += len(board.errors)
            board.errors.clear()
        self.show(now)
        self.sweep()

    def sweep(self) -> None:
        """Forgets the runs that have ended."""
        for run_id in [run_id for run_id, board in self.boards.items() if board.status]:
            del self.boards[run_id]

    def finish(self, now: float) -> None:
        """Shows the last of it, and leaves the screen."""
        self.draw(now)
        self.leave()
        self.forget()

    def forget(self) -> None:
        """Forgets the runs."""
        self.boards.clear()
        self.shown = False

    @abstractmethod
    def show(self, now: float) -> None:
        """Shows the boards."""

    @abstractmethod
    def complain(self, error: str) -> None:
        """Shows what failed."""

    @abstractmethod
    def leave(self) -> None:
        """Leaves the screen to others."""


@final
class LiveDisplay(Display):
    """Draws in place."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._console = Console(file=stream, force_terminal=True)
        self._live: Live | None = None

    @override
    def show(self, now: float) -> None:
        if self._live is None:
            self._live = Live(
                console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False, transient=True
            )
            self._live.start()
        going = [board for board in self.boards.values() if not board.status]
        more = [Text(f"and {len(going) - _RUNS:,} runs more")] if len(going) > _RUNS else []
        self._live.update(Group(*[picture(board, now) for board in going[:_RUNS]], *more), refresh=True)
        for board in self.boards.values():
            if board.status:  # it stays on the screen, above what is drawn anew
                self._console.print(picture(board, now))

    @override
    def complain(self, error: str) -> None:
        self._console.print(Text(f"✗ {error}", style="red"))

    @override
    def leave(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


@final
class LineDisplay(Display):
    """Writes a line a time."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    @override
    def show(self, now: float) -> None:
        for board in self.boards.values():
            self._stream.write(line(board, now) + "\n")
        self._stream.flush()

    @override
    def complain(self, error: str) -> None:
        self._stream.write(f"failed: {error}\n")

    @override
    def leave(self) -> None:
        self._stream.flush()
