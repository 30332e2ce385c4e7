"""A worker's thread: answers calls one at a time on a loop of its own, and lets others interrupt it."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections import deque
from contextvars import copy_context
from typing import Final, final

from stageflow.engines.answers import raised
from stageflow.engines.performing import perform
from stageflow.graph.errors import defect
from stageflow.placement import StageCall

LOST: Final = "the worker that ran it was lost: killed, or out of memory."


def answer(call: StageCall, token: str = "") -> bytes:
    """Answers a call in this thread, by `perform`. For workers that run plain functions.

    Args:
        call: what to run.
        token: what `interrupt` calls it; unique for each start.
    """
    with asyncio.Runner() as runner:
        return answer_on(runner, call, token)


def answer_on(runner: asyncio.Runner, call: StageCall, token: str = "") -> bytes:
    """Answers a call on a loop that is kept for the next."""
    try:
        return runner.run(_alone(call, token), context=copy_context())
    except asyncio.CancelledError as error:
        return raised(defect(call.stage, error), ())


def interrupt(token: str | None = None) -> bool:
    """Interrupts the body of this start in this process, or of every one; says whether there was any.

    A body that waits is cancelled. One that computes has `CancelledError` raised in its Python code; a call into C
    cannot be interrupted. One that has not begun will not. Calling this again reaches one that was between the two.
    """
    if token is not None:
        _NEVER.append(token)
    found = [body for name, body in tuple(_RUNNING.items()) if token in {None, name}]
    for body in found:
        body.interrupt()
    return bool(found)


@final
class _Body:
    """A body that is running."""

    __slots__ = ("_asked", "_ended", "_loop", "_raised", "_task", "_thread", "_told")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._thread = threading.get_ident()
        self._asked = self._told = self._raised = self._ended = False

    def interrupt(self) -> None:
        """Cancels it, or raises where it computes: one of the two, once, for a second time would break its cleanup."""
        with _INTERRUPTING:
            if self._ended:
                return
            if not self._asked:
                self._asked = True
                self._loop.call_soon_threadsafe(self._tell)
            if not (self._told or self._raised) and asyncio.current_task(self._loop) is not None:  # it is not heard
                self._raised = True
                _raise_in(self._thread, asyncio.CancelledError)

    def _tell(self) -> None:
        if not self._raised and self._task is not None:
            self._told = True
            self._task.cancel()

    def ended(self) -> None:
        """Lets nobody interrupt it any more, and takes what was to be raised in it and comes too late."""
        late = True
        while late:
            late = False
            try:
                with _INTERRUPTING:
                    self._ended = True
                for _ in range(2):
                    pass  # a loop is where Python raises what another thread wants raised
            except asyncio.CancelledError:
                late = True


def _raise_in(thread: int, error: type[BaseException]) -> None:
    # Never with None, to take an error back: CPython 3.11 then looks for one for ever, and hangs where it is traced.
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


async def _alone(call: StageCall, token: str) -> bytes:
    """Answers a call, and leaves nothing of it behind for the next."""
    body = _RUNNING[token] = _Body()
    try:
        if token in _NEVER:
            raise asyncio.CancelledError
        return await perform(call)
    except KeyboardInterrupt as error:  # the stage's own: what comes from outside is for the run
        return raised(defect(call.stage, error), ())
    finally:
        del _RUNNING[token]
        body.ended()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


# Held while a body is interrupted, so that none is that has ended. Reentrant: a signal may come to the very thread.
_INTERRUPTING = threading.RLock()
_RUNNING: dict[str, _Body] = {}  # what runs in this process, by token
_NEVER: deque[str] = deque(maxlen=1_000)  # the starts that were interrupted lately, of which some may still come
