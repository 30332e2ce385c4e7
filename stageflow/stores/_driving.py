"""Sending the statements of an operation to SQLite, on whatever thread has the connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar, cast

from stageflow.stores._dialect import SQLITE
from stageflow.stores._operations import Operation
from stageflow.stores._rows import Row, Value, micros

_T = TypeVar("_T")


def drive(connection: sqlite3.Connection, operation: Operation[_T], now: Callable[[], datetime]) -> _T:
    """What an operation gives, on this connection; the transaction around it is the caller's.

    Raises:
        RunStoreError: the operation refused; it has changed nothing.
        sqlite3.Error: the database could not do it.
    """
    try:
        statement, values = next(operation)
        while True:
            statement, values = operation.send(_rows(connection, statement, values, now))
    except StopIteration as ended:
        return cast("_T", ended.value)


def _rows(
    connection: sqlite3.Connection, statement: str, values: Mapping[str, Value], now: Callable[[], datetime]
) -> Sequence[Row]:
    cursor = connection.execute(SQLITE.spoken(statement), {**values, "now": micros(now())})
    return cursor.fetchall()
