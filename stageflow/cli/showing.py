"""What commands print: tables for people, JSON for scripts."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stageflow.cli.as_data import json_text, of_outcome
from stageflow.cli.exit_codes import ExitCode
from stageflow.errors import StageExecutionError
from stageflow.graph.outcome import Cancelled, Completed, Failed, Outcome, Skipped
from stageflow.views.progress.picture import duration
from stageflow.views.words import printable

_STYLES = {
    "ok": "green",
    "completed": "green",
    "fail": "red",
    "failed": "red",
    "skip": "yellow",
    "skipped": "yellow",
    "cancel": "magenta",
    "cancelled": "magenta",
    "running": "cyan",
    "started": "cyan",
}


def tell(text: str) -> None:
    """Writes to standard error, which is for people also where standard output is for scripts."""
    lines = "\n".join(printable(line) for line in text.split("\n"))  # what an error says may hold codes of a terminal
    print(f"stageflow: {lines}", file=sys.stderr, flush=True)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table; the column called ``status`` in its colours. Elsewhere than on a terminal, it is not cut."""
    console = Console(markup=False, highlight=False)
    made = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        made.add_column(head, no_wrap=head != "reason", overflow="fold")
    for row in rows:
        cells = [
            Text(printable(cell), style=_STYLES.get(cell, "") if head == "status" else "")
            for head, cell in zip(heads, row, strict=True)
        ]
        made.add_row(*cells)
    if not console.is_terminal:
        console.width = 1000
    console.print(made)


def when(moment: datetime | None) -> str:
    """A time of day as it is here."""
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def show_outcome(outcome: Outcome, *, json: bool, trace: bool) -> ExitCode:
    """Prints what a run came to, and gives the code to exit with."""
    if json:
        print(json_text(of_outcome(outcome)))
    elif isinstance(outcome, Completed):
        print(_text(outcome.value))
    code, what = _told(outcome)
    report = outcome.report
    tell(f"run {report.run_id} {what} in {duration(report.duration_ms / 1000)}")
    if isinstance(outcome, Failed) and trace:
        for error in outcome.errors:
            traceback.print_exception(error.__cause__ or error)
    return code


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def _told(outcome: Outcome) -> tuple[ExitCode, str]:
    match outcome:
        case Completed():
            return ExitCode.COMPLETED, "completed"
        case Failed(error):
            code = ExitCode.DEFECT if isinstance(error, StageExecutionError) else ExitCode.FAILED
            more = f" (and {len(outcome.errors) - 1} more)" if len(outcome.errors) > 1 else ""
            return code, f"failed: {type(error).__name__}: {error}{_raised(error)}{more}"
        case Skipped(reason):
            return ExitCode.SKIPPED, f"was skipped: {reason}"
        case Cancelled(reason):
            return ExitCode.CANCELLED, f"was cancelled: {reason}"


def _raised(error: BaseException) -> str:
    """Where what caused a defect was raised."""
    frames = traceback.extract_tb(error.__cause__.__traceback__) if error.__cause__ is not None else None
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
