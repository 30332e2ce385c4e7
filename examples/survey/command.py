"""The command line: what was asked for, one run, and what its outcome means to a shell."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from examples.survey.form import FORM, Form
from examples.survey.pipeline import report
from examples.survey.progress import Progress
from stageflow import Cancelled, Completed, Failed, Runner, Skipped, StageExecutionError, StagePorts
from stageflow.sinks.fan_out import FanOutEventSink
from stageflow.sinks.recording import RecordingEventSink
from stageflow.views.report import outcome_report, write_report

OK, REFUSED, DEFECT, INTERRUPTED = 0, 1, 70, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Surveys a folder, prints the result, and gives the exit code."""
    options = _parser().parse_args(arguments)
    root: Path = options.path
    form: Form = options.format
    page: Path | None = options.report
    try:
        return asyncio.run(_survey(root, form, page))
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)


async def _survey(root: Path, form: Form, page: Path | None) -> int:
    progress, heard = Progress(sys.stderr), RecordingEventSink()
    sink = progress if page is None else FanOutEventSink(progress, heard)
    async with Runner(sink=sink, ports=StagePorts().provide(FORM, form)) as runner:
        outcome = await runner.run(report, root)
    if page is not None:
        write_report(page, outcome_report(outcome, report, heard.events))
    match outcome:
        case Completed(text):
            print(text)
            return OK
        case Failed(StageExecutionError() as defect):
            return _complain(f"a defect of the survey itself: {defect}", DEFECT)
        case Failed(error):
            return _complain(str(error), REFUSED)
        case Skipped(reason) | Cancelled(reason):
            return _complain(reason, REFUSED)


def _complain(what: str, code: int) -> int:
    print(f"survey: {what}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="survey", description="Surveys a folder of Python source.")
    parser.add_argument("path", type=Path, help="the folder")
    parser.add_argument("--format", choices=get_args(Form), default="text", help="how to print it (default: text)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write how the run went to a page for a browser")
    return parser
