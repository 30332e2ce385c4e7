"""The thread that has the connection: whatever is asked while it commits, it commits together next time."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias, TypeVar, final

from stageflow.errors import RunStoreError
from stageflow.stores._driving import drive
from stageflow.stores._faults import fault, gone
from stageflow.stores._operations import Operation
from stageflow.stores._request import AnyRequest
from stageflow.stores._schema import MIGRATIONS, migrated, version

_T = TypeVar("_T")
_MOST: Final = 1_000  # requests in one transaction, so that the first does not wait for thousands behind it
_Identity: TypeAlias = tuple[int, int]
Requests: TypeAlias = "SimpleQueue[AnyRequest | None]"


def commit_all(requests: Requests, path: Path, busy_timeout: float, now: Callable[[], datetime]) -> None:
    """Answers requests until there is a None; what the thread runs, and all that it knows of its store."""
    committer = Committer(path, busy_timeout, now)
    more = True
    while more:
        batch = [requests.get()]
        with contextlib.suppress(Empty):
            while len(batch) < _MOST:
                batch.append(requests.get_nowait())
        asked = [request for request in batch if request is not None]
        more = len(asked) == len(batch)
        if asked:
            committer.answer(asked)
            _deliver(asked)
    committer.close()


def _deliver(requests: Sequence[AnyRequest]) -> None:
    """Wakes each event loop once, however many of its requests are answered."""
    for loop in {request.loop for request in requests}:
        answered = [request for request in requests if request.loop is loop]
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_hand_over, answered)


def _hand_over(requests: Sequence[AnyRequest]) -> None:
    for request in requests:
        request.deliver()


@final
class Committer:
    """One connection to a SQLite file, and transactions on it.

    Args:
        path: the file.
        busy_timeout: seconds to wait for other processes.
        now: the time of day.
    """

    __slots__ = ("_busy_timeout", "_connection", "_files", "_now", "_path")

    def __init__(self, path: Path, busy_timeout: float, now: Callable[[], datetime]) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._files: tuple[_Identity, _Identity] = ((0, 0), (0, 0))

    def answer(self, requests: Sequence[AnyRequest]) -> None:
        """Does all of it in one transaction; where that fails, each in its own, so that one does not spoil the rest."""
        try:
            self._commit(requests)
        except Exception as error:  # noqa: BLE001  (it goes to whoever asked)
            if len(requests) == 1:
                requests[0].refuse(error if isinstance(error, RunStoreError) else fault(self._path, error))
                return
            for request in requests:
                self.answer((request,))

    def _commit(self, requests: Sequence[AnyRequest]) -> None:
        connection = self._connection or self._opened()
        self._still_there()
        connection.execute("BEGIN IMMEDIATE" if any(request.writes for request in requests) else "BEGIN")
        try:
            for request in requests:
                request.attempt(self._drive)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # on some errors SQLite has rolled back by itself
                connection.execute("ROLLBACK")
            raise
        self._still_there()

    def _still_there(self) -> None:
        """Looks before a commit and after it: what is written to a file that was removed is lost."""
        if self._found() != self._files:
            raise gone(self._path)

    def _found(self) -> tuple[_Identity, _Identity]:
        """Which files are where the database is, and the log of what is not in it yet."""
        return (_identity(str(self._path)), _identity(f"{self._path}-wal"))

    def _drive(self, operation: Operation[_T], /) -> _T:
        if self._connection is None:
            raise RuntimeError("an operation came before its connection")
        return drive(self._connection, operation, self._now)

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=self._busy_timeout, isolation_level=None)
        try:
            self._prepare(connection)
            self._files = self._found()
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        self._patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"))
        connection.execute("PRAGMA synchronous = FULL")  # in WAL mode a commit is on disk with this alone
        connection.execute("PRAGMA foreign_keys = ON")
        if not self._is_of_today(connection):
            connection.execute("BEGIN IMMEDIATE")
            drive(connection, migrated(str(self._path)), self._now)
            connection.execute("COMMIT")

    def _is_of_today(self, connection: sqlite3.Connection) -> bool:
        """Whether there is nothing to migrate, so that a file which cannot be written can be read."""
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'stageflow_schema'").fetchall():
            return False
        return drive(connection, version(str(self._path)), self._now) == len(MIGRATIONS)

    def _patiently(self, ask: Callable[[], object]) -> None:
        """Asks until it is answered: SQLite changes the journal's mode without waiting for other processes."""
        until = time.monotonic() + self._busy_timeout
        while True:
            try:
                ask()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.005)
            else:
                return

    def close(self) -> None:
        """Closes the connection; what was committed is in the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _identity(path: str) -> _Identity:
    """Which file is at a path, or none."""
    try:
        found = os.stat(path)  # noqa: PTH116  (on the way of every commit)
    except FileNotFoundError:
        return (0, 0)
    return (found.st_dev, found.st_ino)
