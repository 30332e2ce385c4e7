"""What a board looks like: live on a terminal, and as a line of text elsewhere."""

from __future__ import annotations

from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stageflow.views.progress.board import Board
from stageflow.views.words import printable

_STYLES: Final = {"ok": "green", "failed": "red", "skipped": "yellow", "cancelled": "magenta", "running": "cyan"}
_ENDS: Final = {"completed": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("-", "yellow")}
_SHOWN: Final = 5  # stages under way that are named
_WIDEST: Final = 40  # columns of a name
_BAR: Final = 30  # columns of a bar


def picture(board: Board, now: float) -> RenderableType:
    """A run as a few lines with bars."""
    head = Text()
    mark, style = _ENDS.get(board.status, ("…", "cyan")) if board.status else ("●", "cyan")
    head.append(f"{mark} {_short(board.pipeline)}", style=f"bold {style}")
    head.append(f"  {board.status or 'running'}  {duration(now - board.since)}")
    counts = Text("  ")
    for word, count in _counts(board).items():
        counts.append(f"{count:,} {word}  ", style=_STYLES.get(word, ""))
    lines: list[RenderableType] = [head, counts]
    if board.items:
        lines.append(_bars(board, now))
    return Group(*lines, *([] if board.status else _going(board, now)))


def line(board: Board, now: float) -> str:
    """A run as one line of text."""
    counts = ", ".join(f"{count} {word}" for word, count in _counts(board).items())
    items = [
        f"{printable(name)} {done}/{total} ({_pace(done, total, now - of.since)})"
        for name, of in board.items.items()
        for done, total in (of.count(),)
    ]
    told = "; ".join([part for part in (counts, *items) if part])
    how = f"{board.status or 'running'} {duration(now - board.since)}"
    return f"{printable(board.pipeline)} {how}: {told or 'nothing yet'}"


def duration(seconds: float) -> str:
    """Seconds as people read them.

    >>> duration(0.25), duration(75), duration(7325)
    ('0.2 s', '1:15', '2:02:05')
    """
    if seconds < 60:  # noqa: PLR2004  (a minute)
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _counts(board: Board) -> dict[str, int]:
    going = {} if board.status else {"running": len(board.going)}
    counts = {**going, "ok": board.ok, **board.others, "retries": board.retries}
    return {word: count for word, count in counts.items() if count}


def _bars(board: Board, now: float) -> Table:
    table = Table.grid(padding=(0, 1))
    for name, items in board.items.items():
        done, total = items.count()
        bar = ProgressBar(total=max(total, 1), completed=done, width=_BAR)
        table.add_row("  " + _short(name), bar, f"{done:,}/{total:,}", _pace(done, total, now - items.since))
    return table


def _pace(done: int, total: int, seconds: float) -> str:
    """Items a second, and how long the rest may take."""
    if not done or seconds <= 0:
        return "-"
    rate = done / seconds
    left = f", {duration((total - done) / rate)} left" if done < total else ""
    return f"{rate:,.0f}/s{left}" if rate >= 10 else f"{rate:.1f}/s{left}"  # noqa: PLR2004  (a digit is enough)


def _going(board: Board, now: float) -> list[Text]:
    lines = [
        Text(f"    {_short(name)}  {duration(seconds)}{_attempt(attempt)}", style="dim")
        for name, seconds, attempt in board.under_way(_SHOWN, now)
    ]
    more = len(board.going) - _SHOWN
    return [*lines, Text(f"    and {more:,} more", style="dim")] if more > 0 else lines


def _attempt(attempt: int) -> str:
    return f", attempt {attempt}" if attempt > 1 else ""


def _short(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= _WIDEST else f"{shown[: _WIDEST - 1]}…"
