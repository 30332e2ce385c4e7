"""Runs kept in a SQLite file: nothing to install, nothing to operate, and it survives ``kill -9``."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar, final

from typing_extensions import override

from stageflow.stores._committer import Requests, commit_all
from stageflow.stores._faults import closed, forked
from stageflow.stores._keeping import Keeping
from stageflow.stores._operations import Operation
from stageflow.stores._request import Request

_T = TypeVar("_T")


def _utc_now() -> datetime:
    return datetime.now(UTC)


@final
class SqliteRunStore(Keeping):
    """Keeps runs and their stages in one file, so that a run which was killed can go on.

    What it acknowledges is on the disk: it writes ahead (WAL) with ``synchronous=FULL``. One thread has the
    connection, and what is asked while it commits is committed together next time (group commit), so that many runs
    at once share what a commit costs. Several processes may use the file at once, on one machine,
    each with a store of its own.

    The file is opened, and made where there is none, when the store is first asked.

    Args:
        path: the file; beside it SQLite keeps two more, ``-wal`` and ``-shm``, which belong to it.
        busy_timeout: seconds to wait while another process writes.
        now: the time of day, timezone-aware, on which leases are measured: the machine's, for all processes.
    """

    __slots__ = ("_busy_timeout", "_now", "_path", "_requests", "_thread")

    def __init__(
        self, path: str | os.PathLike[str], *, busy_timeout: float = 30.0, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self._path = Path(path).absolute()
        self._busy_timeout = busy_timeout
        self._now = now
        self._requests: Requests | None = SimpleQueue()
        self._thread: threading.Thread | None = None

    @override
    async def _kept(self, make: Callable[[], Operation[_T]], /, *, writes: bool, whole: bool = False) -> _T:
        if self._requests is None:
            raise closed(self._path)
        if self._thread is None:
            self._thread = self._started(self._requests)
        elif not self._thread.is_alive():
            raise forked(self._path)
        request = Request(make, writes=writes)
        self._requests.put(request)
        return await request.future

    def _started(self, requests: Requests) -> threading.Thread:
        # The thread knows the queue and not the store, so that a store which nobody has any more ends its thread.
        arguments = (requests, self._path, self._busy_timeout, self._now)
        thread = threading.Thread(target=commit_all, args=arguments, name=f"stageflow {self._path.name}", daemon=True)
        thread.start()
        weakref.finalize(self, requests.put, None)
        return thread

    async def aclose(self) -> None:
        """Answers what was asked by now and closes the file; a second time does nothing."""
        requests, self._requests = self._requests, None
        if requests is not None and self._thread is not None:
            requests.put(None)
            await asyncio.to_thread(self._thread.join)

    @override
    def __repr__(self) -> str:
        return f"SqliteRunStore({str(self._path)!r})"
