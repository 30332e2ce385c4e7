"""The few words in which the databases differ: every statement is written once, and spoken to each in its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final, final

_NAMED: Final = re.compile(r"(?<!:):([a-z_]+)")


@final
@dataclass(frozen=True, slots=True)
class Dialect:
    """How one database says what the statements leave open.

    Attributes:
        name: the database, for people to read.
        now: microseconds since 1970 by the clock that leases are measured on.
        blob: the type of bytes.
        serial: the type of a number that grows with every row.
        next: what gives a changed row the number of a new one.
        share: holds a row that was read until the end of the transaction.
        alone: holds a row that will be changed.
        skip: holds rows that will be deleted, and passes over those that somebody else holds.
        parameter: a named parameter, as a replacement for a regular expression.
    """

    name: str
    now: str
    blob: str
    serial: str
    next: str
    share: str
    alone: str
    skip: str
    parameter: str

    def spoken(self, statement: str) -> str:
        """A statement in this dialect."""
        return _spoken(self, statement)


@cache
def _spoken(dialect: Dialect, statement: str) -> str:
    text = _NAMED.sub(dialect.parameter, statement)
    for word in ("now", "blob", "serial", "next", "share", "alone", "skip"):
        said: str = getattr(dialect, word)
        text = text.replace(f"<{word}>", said)
    return " ".join(text.split())


SQLITE: Final = Dialect(
    name="SQLite",
    now=":now",  # the clock of the process, which every statement brings along
    blob="BLOB",
    serial="INTEGER PRIMARY KEY",
    next="(SELECT max(seq) + 1 FROM stage)",
    share="",  # a writer is alone in the file
    alone="",
    skip="",
    parameter=r":\1",
)

POSTGRES: Final = Dialect(
    name="PostgreSQL",
    now="(extract(epoch FROM statement_timestamp()) * 1000000)::bigint",  # one clock for all processes
    blob="BYTEA",
    serial="BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    next="DEFAULT",
    share="FOR SHARE",
    alone="FOR UPDATE",
    skip="FOR UPDATE SKIP LOCKED",
    parameter=r"%(\1)s",
)
