"""What is in a store: its runs, their stages, and a page about one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from stageflow.cli.as_data import json_text, of_record, of_run
from stageflow.cli.exit_codes import CommandError, ExitCode
from stageflow.cli.showing import table, tell, when
from stageflow.cli.stores import Store, opened, run_of
from stageflow.codec import Codec
from stageflow.errors import StageError
from stageflow.graph.executor import AnyGraph
from stageflow.journal import StageRecord
from stageflow.ports import RunRecord
from stageflow.views.progress.picture import duration
from stageflow.views.words import printable

_T = TypeVar("_T")


def meant(given: str, where: str | None) -> UUID:
    """The id of the run that is meant.

    Args:
        given: the id, or how it begins.
        where: the store to look in; None where a runner has its own, and then the id has to be whole.
    """
    if where is not None:
        return _asked(where, lambda store: run_of(store, given)).run_id
    try:
        return UUID(given)
    except ValueError:
        whole = "Give the whole id, or the store that it is in: --store FILE."
        raise CommandError(f"{given!r} is not the id of a run. {whole}") from None


def show_runs(where: str, status: str | None, pipeline: str | None, limit: int, *, json: bool) -> ExitCode:
    """Prints the runs of a store."""
    page = _asked(where, lambda store: store.runs(status=status, pipeline=pipeline, limit=limit))
    if json:
        print(json_text([of_run(run) for run in page.runs]))
        return ExitCode.COMPLETED
    rows = [
        (str(run.run_id), str(run.metadata.get("pipeline", "")), run.status, when(run.created_at), _lasted(run))
        for run in page.runs
    ]
    table(("run", "pipeline", "status", "created", "lasted"), rows)
    if page.next is not None:
        tell(f"there are more: --limit {limit * 2}")
    return ExitCode.COMPLETED


def show_run(where: str, given: str, *, json: bool) -> ExitCode:
    """Prints the stages of a run."""
    run, records = _asked(where, lambda store: _whole(store, given))
    if json:
        print(json_text({**of_run(run), "stages": [of_record(record) for record in records if not record.contains]}))
        return ExitCode.COMPLETED
    print(f"{run.run_id}  {run.metadata.get('pipeline', '')}  {run.status}  {when(run.created_at)}  {_lasted(run)}")
    for name in ("error", "reason"):
        if run.metadata.get(name):
            print(f"{name}: {printable(str(run.metadata[name]))}")
    rows = [
        (record.path, record.status, str(record.attempt), duration(record.duration_ms / 1000), _why(record))
        for record in records
        if not record.contains
    ]
    table(("stage", "status", "attempt", "lasted", "reason"), rows)
    return ExitCode.COMPLETED


def write_report_of(where: str, given: str, html: Path, pipeline: AnyGraph | None, *, json: bool) -> ExitCode:
    """Writes a page about a run."""
    from stageflow.views.report import stored_report, write_report  # noqa: PLC0415  (with its assets, for this alone)

    run, records = _asked(where, lambda store: _whole(store, given))
    try:
        write_report(html, stored_report(run, records, pipeline, decode=_error))
    except OSError as error:
        raise CommandError(f"The report cannot be written to {html}: {error.strerror}.") from error
    if json:
        print(json_text({"run_id": str(run.run_id), "html": str(html)}))
    else:
        print(html)
    return ExitCode.COMPLETED


def _asked(where: str, ask: Callable[[Store], Awaitable[_T]]) -> _T:
    async def asked() -> _T:
        async with opened(where) as store:
            return await ask(store)

    return asyncio.run(asked())


async def _whole(store: Store, given: str) -> tuple[RunRecord, tuple[StageRecord, ...]]:
    run = await run_of(store, given)
    return run, tuple(await store.load(run.run_id))


def _error(record: StageRecord) -> StageError | None:
    """What a stage failed with; None where its class is not to be had here."""
    if record.payload is None or record.status != "fail":
        return None
    return Codec().decode_failure(record.payload).value_or(None)


def _why(record: StageRecord) -> str:
    error = _error(record)
    return record.reason if error is None else f"{type(error).__name__}: {error}"


def _lasted(run: RunRecord) -> str:
    return "" if run.status == "running" else duration((run.updated_at - run.created_at).total_seconds())
