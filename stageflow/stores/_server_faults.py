"""What PostgreSQL could not do, as an error that says what, where and how to go on."""

from __future__ import annotations

from typing import Final

from psycopg import Error, OperationalError, errors

from stageflow.errors import RunStoreError

_SAFE: Final = "What was acknowledged is kept."
_ALIVE: Final = "See that the server runs and takes this role, and resume the run."
_UNKNOWN: Final = "Whether this request was is not known."
_TEXTS: Final[tuple[tuple[type[Error], str], ...]] = (
    (errors.DiskFull, f"has no room left on the server's disk. Make room there, and resume the run. {_SAFE}"),
    (errors.ReadOnlySqlTransaction, "cannot be written: the server is read-only, as a standby is. Give the primary."),
    (errors.InsufficientPrivilege, "is refused to this role. Grant it the tables, or CREATE for the first time."),
    (errors.LockNotAvailable, f"is held by another session for longer than the timeout allows. {_SAFE}"),
    (errors.DataCorrupted, "is damaged. Put it back from a copy."),
    (OperationalError, f"cannot be reached, or was lost in the middle. {_ALIVE} {_SAFE} {_UNKNOWN}"),
)


def fault(where: str, error: Error) -> RunStoreError:
    """The error for whoever uses the store."""
    text = next((text for kind, text in _TEXTS if isinstance(error, kind)), "could not do what it was asked.")
    said = " ".join(str(error).split())
    return RunStoreError(f"The run store {where} {text} ({type(error).__name__}: {said})")


def unreachable(where: str, seconds: float, error: Exception) -> RunStoreError:
    """No connection in time."""
    return RunStoreError(
        f"The run store {where} gave no connection within {seconds:g} s. See that the server runs, and that it and the "
        f"store allow enough connections; then resume the run. {_SAFE} ({type(error).__name__}: {error})"
    )


def closed(where: str) -> RunStoreError:
    """The store was closed before it was asked."""
    return RunStoreError(f"The run store {where} is closed. Ask it before aclose(), or make another one.")


def other_loop(where: str) -> RunStoreError:
    """The store was opened in an event loop that is not this one."""
    return RunStoreError(
        f"The run store {where} was opened in another event loop, which has its connections. Make one store per loop, "
        "inside the function that asyncio.run() is given."
    )
