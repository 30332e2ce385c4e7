"""What SQLite could not do, as an error that says what, where and how to go on."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from stageflow.errors import RunStoreError

_SAFE: Final = "What was acknowledged is kept; nothing of this request is."

# By the primary code of the error: https://www.sqlite.org/rescode.html
_TEXTS: Final = {
    sqlite3.SQLITE_FULL: f"has no room left on its disk. Make room, and resume the run. {_SAFE}",
    sqlite3.SQLITE_IOERR: "cannot be read or written: its disk refuses, be it full, at a limit of file size, or "
    f"failing. Look after the disk, and resume the run. {_SAFE}",
    sqlite3.SQLITE_READONLY: "cannot be written: the file or its folder is read-only for this process. Make both "
    "writable, or give the path of one that is.",
    sqlite3.SQLITE_BUSY: "is held by another process for longer than busy_timeout allows. Give it more time, or find "
    f"who holds the file open in a transaction. {_SAFE}",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: see that its folder is there, and that this process may write in it.",
    sqlite3.SQLITE_NOTADB: "is no SQLite database. Give the path of another file, or of none, and it is made.",
    sqlite3.SQLITE_CORRUPT: "is damaged. Put it back from a copy, or save what can be read with "
    "`sqlite3 FILE .recover`.",
}


def fault(path: Path, error: Exception) -> RunStoreError:
    """The error for whoever uses the store."""
    code = error.sqlite_errorcode if isinstance(error, sqlite3.Error) and hasattr(error, "sqlite_errorcode") else 0
    text = _TEXTS.get(code & 0xFF, "could not do what it was asked. Its own words are all that is known.")
    return RunStoreError(f"The run store {path} {text} ({type(error).__name__}: {error})")


def gone(path: Path) -> RunStoreError:
    """The file was taken away under the open store."""
    return RunStoreError(
        f"The run store {path} is gone: the file, or its -wal, was removed or replaced while it was in use. Put back "
        "both, open the store anew, and resume the run. Nothing of this request is acknowledged."
    )


def closed(path: Path) -> RunStoreError:
    """The store was closed before it was asked."""
    return RunStoreError(f"The run store {path} is closed. Ask it before aclose(), or make another one.")


def forked(path: Path) -> RunStoreError:
    """The store's thread did not come along into this process."""
    return RunStoreError(
        f"The run store {path} was opened before this process was forked, and its thread is not in this one. Make a "
        "store in the process that uses it."
    )
