"""A request on its way from the event loop that waits for it to the thread that answers it, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar, cast, final

from stageflow.errors import RunStoreError
from stageflow.stores._operations import Operation

_T = TypeVar("_T")


class Drive(Protocol):
    """Sends an operation to a database."""

    def __call__(self, operation: Operation[_T], /) -> _T:
        """What the operation gives."""
        ...


class AnyRequest(Protocol):
    """A request of whatever it is that is asked."""

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that waits for it."""
        ...

    def attempt(self, drive: Drive) -> None:
        """Does it, to be delivered later; a refusal of its own is its answer."""

    def refuse(self, error: BaseException) -> None:
        """Gives it this error for an answer."""

    def deliver(self) -> None:
        """Hands the answer over; on its event loop."""


@final
class Request(Generic[_T]):
    """One operation that somebody waits for.

    Args:
        make: makes the operation anew for every attempt.
        writes: whether it changes anything.
    """

    __slots__ = ("_answer", "_error", "_make", "future", "loop", "writes")

    def __init__(self, make: Callable[[], Operation[_T]], *, writes: bool) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[_T] = self.loop.create_future()
        self.writes = writes
        self._make = make
        self._answer: _T | None = None
        self._error: BaseException | None = None

    def attempt(self, drive: Drive) -> None:
        """Does it; see `AnyRequest`."""
        self._error = None
        try:
            self._answer = drive(self._make())
        except RunStoreError as error:
            self._error = error

    def refuse(self, error: BaseException) -> None:
        """Gives it this error for an answer."""
        self._error = error

    def deliver(self) -> None:
        """Hands the answer over; on its event loop."""
        if self.future.done():  # cancelled by now
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(cast("_T", self._answer))
