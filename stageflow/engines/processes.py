"""Bodies on processes of this machine, over the standard executor: for stages that compute."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from typing import final

from typing_extensions import override

from stageflow.engines.worker import LOST, answer_on, interrupt
from stageflow.errors import WorkerLostError
from stageflow.placement import EngineCapabilities, StageCall

_CAPABILITIES = EngineCapabilities(interrupts_running=True, survives_worker_loss=True, remote=True)
_INTERRUPT = getattr(signal, "SIGUSR1", None)  # none on Windows, where a body is killed at once
_AGAIN = 0.05  # seconds
_UNSTARTABLE = (
    "a worker process ended before it could do anything; what it printed says why. Processes import the main script: "
    'it needs to be a file, with if __name__ == "__main__": around what it runs.'
)
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


@final
class ProcessEngine:
    """Runs bodies on processes, one body at a time on each.

    Each process is an executor of its own, so that one that is lost takes no other's stage along: its stage is
    started again, on a new process, up to its `Placement.attempts`. A cancelled body is interrupted, and its process
    killed where it has not ended after a while. What waits for a process counts to a stage's timeout.

    Args:
        workers: how many processes; as many as there are CPUs where not given.
        grace: seconds that an interrupted body has, before its process is killed.
        context: how processes are started; ``spawn`` where not given, since a fork of a program with threads may hang.

    Raises:
        ValueError: there is less than 1 worker, or the grace is negative.
    """

    __slots__ = ("_closed", "_context", "_grace", "_idle", "_places", "_workers")

    def __init__(self, *, workers: int | None = None, grace: float = 1.0, context: BaseContext | None = None) -> None:
        count = os.cpu_count() or 1 if workers is None else workers
        if count < 1:
            raise ValueError(f"ProcessEngine(workers={count}) needs at least 1 worker.")
        if not grace >= 0:
            raise ValueError(f"ProcessEngine(grace={grace}) needs no negative seconds.")
        self._workers = count
        self._grace = grace
        self._context = context or multiprocessing.get_context("spawn")
        self._idle: list[_Worker] = []
        self._places = asyncio.Semaphore(count)
        self._closed = False

    @property
    def capabilities(self) -> EngineCapabilities:
        """Bodies run in other processes, are interrupted, and outlive the loss of one."""
        return _CAPABILITIES

    async def call(self, call: StageCall, /) -> bytes:
        """Answers the call on a process that has nothing else to do."""
        async with self._places:
            while not self._closed:
                known = bool(self._idle)
                worker = self._idle.pop() if known else _Worker(self._context, self._grace)
                try:
                    ending = await worker.started(call)
                except BrokenProcessPool as error:
                    worker.lost = True
                    if not known:  # else it ended while it had nothing to do, and another takes its place
                        raise WorkerLostError(_UNSTARTABLE) from error
                else:
                    return await worker.ended(ending)
                finally:
                    if worker.lost or self._closed:
                        worker.discard()
                    else:
                        self._idle.append(worker)
            raise WorkerLostError("the engine was closed.")

    async def aclose(self) -> None:
        """Ends the processes."""
        self._closed = True
        workers, self._idle = self._idle, []
        for worker in workers:
            await worker.close()

    @override
    def __repr__(self) -> str:
        return f"ProcessEngine(workers={self._workers})"


@final
class _Worker:
    """One process, behind an executor of its own."""

    __slots__ = ("_executor", "_grace", "_pid", "lost")

    def __init__(self, context: BaseContext, grace: float) -> None:
        self._executor = ProcessPoolExecutor(1, context, _ready)
        self._grace = grace
        self._pid: int | None = None
        self.lost = False

    async def started(self, call: StageCall) -> asyncio.Future[bytes]:
        """Has the process answer a call; starts the process where there is none yet."""
        if self._pid is None:
            begun = await asyncio.to_thread(self._executor.submit, os.getpid)
            self._pid = await asyncio.wrap_future(begun)
        return asyncio.wrap_future(self._executor.submit(_answer, call))

    async def ended(self, ending: asyncio.Future[bytes]) -> bytes:
        """What the process answers; interrupts it where whoever waits is cancelled, and waits for that."""
        try:
            return await asyncio.shield(ending)
        except BrokenProcessPool as error:
            error.add_note(f"It was process {self._pid}.")
            self.lost = True
            raise WorkerLostError(LOST, retryable=True) from error
        except asyncio.CancelledError:
            ending.add_done_callback(_looked_at)
            await self._interrupted(ending)
            raise

    async def _interrupted(self, ending: asyncio.Future[bytes]) -> None:
        try:
            left = self._grace if _INTERRUPT is not None else 0.0
            while _INTERRUPT is not None and left > 0 and not ending.done():
                self._signal(_INTERRUPT)  # again and again: it may not have begun yet
                await asyncio.wait([ending], timeout=min(_AGAIN, left))
                left -= _AGAIN
        finally:
            if not ending.done():
                self.lost = True
                self._signal(_KILL)
        await asyncio.wait([ending])

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._pid is not None:
                os.kill(self._pid, number)

    def discard(self) -> None:
        """Lets the process end; not waited for."""
        self._executor.shutdown(wait=False)

    async def close(self) -> None:
        """Ends the process."""
        await asyncio.to_thread(self._executor.shutdown)


def _looked_at(ending: asyncio.Future[bytes]) -> None:
    if not ending.cancelled():
        ending.exception()


def _answer(call: StageCall) -> bytes:
    """Answers a call on the process's one loop."""
    if not _loop:
        _loop.append(asyncio.Runner())
    return answer_on(_loop[0], call)


_loop: list[asyncio.Runner] = []  # of a worker process, once it has answered a call


def _ready() -> None:
    """Makes a new process a worker: it can be interrupted, and ends with the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it comes to every process of a terminal: the run's own decides
    if _INTERRUPT is not None:
        signal.signal(_INTERRUPT, _interrupted)
    threading.Thread(target=_end_with_parent, name="stageflow parent watch", daemon=True).start()


def _interrupted(*_: object) -> None:
    interrupt()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
