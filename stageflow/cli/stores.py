"""The store that ``--store`` stands for, and runs in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from uuid import UUID

from stageflow.cli.exit_codes import CommandError, ExitCode
from stageflow.errors import RunStoreError
from stageflow.journal import DurableStore
from stageflow.ports import RunRecord
from stageflow.stores import RunArchive, SqliteRunStore

_LOOKED_AT = 1000  # runs among which the start of an id is looked for


class Store(DurableStore, RunArchive, Protocol):
    """A store as the command line needs it: of runs that can be listed, resumed and closed."""

    async def aclose(self) -> None:
        """Closes it."""


def store_at(where: str, *, make: bool = False) -> Store:
    """The store at a place: a file, or a PostgreSQL server's ``postgresql://`` address.

    Args:
        where: the place.
        make: whether a file is made where there is none.

    Raises:
        CommandError: there is no such file, or the server needs an extra that is not installed.
    """
    if where.startswith(("postgresql://", "postgres://")):
        return _on_server(where)
    if not make and not Path(where).exists():
        raise CommandError(f"There is no store at {where}. Give the file that a run was started with: --store FILE.")
    if not Path(where).absolute().parent.is_dir():
        raise CommandError(f"The store {where} cannot be made: there is no folder {Path(where).parent}.")
    return SqliteRunStore(where)


def _on_server(dsn: str) -> Store:
    try:
        from stageflow.stores import PostgresRunStore  # noqa: PLC0415  (it needs an extra that few have)
    except ImportError as error:
        raise CommandError(str(error)) from error
    return PostgresRunStore(dsn)


@asynccontextmanager
async def opened(where: str) -> AsyncGenerator[Store]:
    """The store at a place, closed in the end.

    Raises:
        CommandError: there is none, or it cannot be read.
    """
    store = store_at(where)
    try:
        yield store
    except RunStoreError as error:
        raise CommandError(f"The store {where} cannot be used: {error}", ExitCode.STORE) from error
    finally:
        await store.aclose()


async def run_of(store: Store, given: str) -> RunRecord:
    """The run of an id, or of the start of one.

    Raises:
        CommandError: there is none, or there are several.
    """
    try:
        found = await store.get_run(UUID(given))
    except ValueError:
        page = await store.runs(limit=_LOOKED_AT)
        matching = [run for run in page.runs if str(run.run_id).startswith(given.lower())]
        if len(matching) > 1:
            ids = ", ".join(str(run.run_id) for run in matching[:3])
            raise CommandError(f"{len(matching)} runs begin with {given!r}: {ids}... Give more of the id.") from None
        found = matching[0] if matching else None
    if found is None:
        raise CommandError(f"There is no run {given!r} in {store!r}. `stageflow runs` lists them.")
    return found
