"""Runs kept in memory: for tests, with the very statements that the other stores use."""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar, final

from typing_extensions import override

from stageflow.stores._driving import drive
from stageflow.stores._keeping import Keeping
from stageflow.stores._operations import Operation
from stageflow.stores._schema import migrated

_T = TypeVar("_T")
_WHERE: Final = "in memory"


def _utc_now() -> datetime:
    return datetime.now(UTC)


@final
class MemoryRunStore(Keeping):
    """Keeps runs and their stages for as long as it lives: durable within one process, which is what tests need.

    It is a SQLite database without a file, so that a test sees what an application will: the same leases, the same
    refusals, the same pages. Runners in one event loop may share it.

    Args:
        now: the time of day, timezone-aware, on which leases are measured.
    """

    __slots__ = ("_connection", "_now")

    def __init__(self, *, now: Callable[[], datetime] = _utc_now) -> None:
        self._now = now
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA foreign_keys = ON")
        weakref.finalize(self, self._connection.close)
        drive(self._connection, migrated(_WHERE), now)

    @override
    async def _kept(self, make: Callable[[], Operation[_T]], /, *, writes: bool, whole: bool = False) -> _T:
        return drive(self._connection, make(), self._now)

    async def aclose(self) -> None:
        """Does nothing: what it keeps can still be read, as a file could."""

    @override
    def __repr__(self) -> str:
        return "MemoryRunStore()"
