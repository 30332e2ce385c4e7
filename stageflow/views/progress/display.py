"""Where boards are shown: drawn in place on a terminal, or written a line at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, TextIO, final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text
from typing_extensions import override

from stageflow.views.progress.board import Board
from stageflow.views.progress.picture import line, picture
from stageflow.views.words import printable

_ERRORS: Final = 20  # errors that are shown of a run as they come; its outcome has all
_RUNS: Final = 8  # runs that are drawn at a time


class Display(ABC):
    """A screen on which runs are shown.

    Attributes:
        shown: whether anything of them is on it.
    """

    def __init__(self) -> None:
        self.shown: bool = False

    def draw(self, boards: Sequence[Board], now: float) -> None:
        """Shows how far runs are; one that has ended stays on the screen."""
        self.shown = True
        for board in boards:
            self._complain(board)
        self.show(boards, now)

    def leave(self) -> None:
        """Leaves the screen to others."""
        self.shown = False

    def _complain(self, board: Board) -> None:
        errors, board.errors = board.errors, []
        for number, error in enumerate(errors, board.told):
            if number < _ERRORS:
                self.complain(printable(error))
            elif number == _ERRORS:
                self.complain("more errors, which the run's outcome has")
        board.told += len(errors)

    @abstractmethod
    def show(self, boards: Sequence[Board], now: float) -> None:
        """Shows the boards."""

    @abstractmethod
    def complain(self, error: str) -> None:
        """Shows what failed."""


@final
class LiveDisplay(Display):
    """Draws in place."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._console = Console(file=stream, force_terminal=True)
        self._live: Live | None = None

    @override
    def show(self, boards: Sequence[Board], now: float) -> None:
        if self._live is None:
            self._live = Live(
                console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False, transient=True
            )
            self._live.start()
        going = [board for board in boards if not board.status]
        more = [Text(f"and {len(going) - _RUNS:,} runs more")] if len(going) > _RUNS else []
        self._live.update(Group(*[picture(board, now) for board in going[:_RUNS]], *more), refresh=True)
        ended = [board for board in boards if board.status]
        for board in ended[:_RUNS]:  # they stay on the screen, above what is drawn anew
            self._console.print(picture(board, now))
        if len(ended) > _RUNS:
            self._console.print(Text(f"and {len(ended) - _RUNS:,} runs more have ended"))

    @override
    def complain(self, error: str) -> None:
        self._console.print(Text(f"✗ {error}", style="red"))

    @override
    def leave(self) -> None:
        super().leave()
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
    def show(self, boards: Sequence[Board], now: float) -> None:
        for board in boards[:_RUNS]:
            self._stream.write(line(board, now) + "\n")
        if len(boards) > _RUNS:
            self._stream.write(f"and {len(boards) - _RUNS:,} runs more\n")
        self._stream.flush()

    @override
    def complain(self, error: str) -> None:
        self._stream.write(f"failed: {error}\n")
