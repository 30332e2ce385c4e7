"""Bodies on a Dask cluster that exists: an adapter over an asynchronous ``distributed.Client``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Final, Protocol, cast, final
from uuid import uuid4

import distributed
import distributed.scheduler
from dask._task_spec import Task
from typing_extensions import override

from stageflow.engines.worker import LOST, answer, interrupt
from stageflow.errors import WorkerLostError
from stageflow.placement import EngineCapabilities, StageCall

_LOG = logging.getLogger(__name__)
_CAPABILITIES = EngineCapabilities(interrupts_running=True, survives_worker_loss=True, remote=True)
_PREFIX: Final = "stageflow-"
_AGAIN: Final = 0.5  # seconds
_NO_SCHEDULER: Final = "the Dask scheduler was lost, and with it what its workers gave."


@final
class DaskEngine:
    """Runs bodies as tasks of a Dask cluster, in the threads of its workers.

    Workers need stageflow and the application's modules. Dask starts no body a second time: a scheduler plugin, which
    concerns tasks of this engine alone, sees to that, so that a lost worker is the run's to count. A cancelled body is
    interrupted where it waits or runs Python code.

    Args:
        client: an asynchronous client, connected to the cluster; the engine does not close it.
        grace: seconds that an interrupted body has, before the run goes on without waiting for it.

    Raises:
        ValueError: the client is not asynchronous, or the grace is negative.
    """

    __slots__ = ("_client", "_grace", "_registering")

    def __init__(self, client: distributed.Client, *, grace: float = 5.0) -> None:
        if not client.asynchronous:
            raise ValueError(
                "DaskEngine needs an asynchronous client: async with Client(address, asynchronous=True) as client."
            )
        if not grace >= 0:
            raise ValueError(f"DaskEngine(grace={grace}) needs no negative seconds.")
        self._client = cast("_Client", client)
        self._grace = grace
        self._registering: asyncio.Future[object] | None = None

    @property
    def capabilities(self) -> EngineCapabilities:
        """Bodies run in other processes, are interrupted, and outlive the loss of one."""
        return _CAPABILITIES

    async def call(self, call: StageCall, /) -> bytes:
        """Answers the call on a worker that has what the stage's placement asks for."""
        client = self._client
        if client.status != "running":
            raise WorkerLostError(_NO_SCHEDULER)
        if self._registering is None:
            self._registering = asyncio.ensure_future(client.register_plugin(StartedOnce(), _PREFIX))
        await asyncio.shield(self._registering)
        token, placement = str(uuid4()), call.placement
        future = client.submit(
            answer,
            call,
            token,
            key=_PREFIX + token,  # other than the argument, which Dask would take for the result
            pure=False,
            retries=0,
            resources=dict(placement.resources) or None,
            workers=list(placement.workers) or None,
        )
        try:
            return await _answered(future)
        except asyncio.CancelledError:
            await self._interrupted(future, token)
            raise
        finally:
            future.release()

    async def _interrupted(self, future: _Future, token: str) -> None:
        """Ends a body that runs, and waits for its end; one that waits for a worker never starts."""
        client, key = self._client, _PREFIX + token
        ended = asyncio.ensure_future(future.exception())
        try:
            async with asyncio.timeout(self._grace):  # it may be on its way to any worker
                while not ended.done() and True in (await client.run(interrupt, token, on_error="ignore")).values():
                    await asyncio.wait([ended], timeout=_AGAIN)
                await client.cancel([future], force=True)
        except TimeoutError:
            _LOG.warning(
                "A body on %s goes on, %g s after it was interrupted: it is in a call into C.", key, self._grace
            )
        except Exception:  # noqa: BLE001  (the cancellation must go on its way)
            _LOG.exception("The cluster could not be told to interrupt %s", key)
        finally:
            ended.cancel()


async def _answered(future: _Future) -> bytes:
    """What a task gives. What Dask raises for a scheduler that is gone is no cancellation: it is an `Exception`."""
    try:
        data = await future
    except distributed.scheduler.KilledWorker as error:
        raise WorkerLostError(LOST, retryable=True) from error
    except CancelledError as error:
        raise WorkerLostError(_NO_SCHEDULER) from error
    if not data:
        raise WorkerLostError(LOST, retryable=True)
    return data


@final
class StartedOnce(distributed.SchedulerPlugin):
    """Keeps Dask from starting a task of this engine twice, as it does by itself where a worker is lost."""

    idempotent = True
    _scheduler: _Scheduler

    @override
    async def start(self, scheduler: object) -> None:
        """Keeps the scheduler."""
        self._scheduler = cast("_Scheduler", scheduler)

    @override
    def transition(self, key: object, start: str, finish: str, *_: object, **__: object) -> None:
        """Sees a task change its state."""
        task = self._scheduler.tasks.get(key) if str(key).startswith(_PREFIX) else None
        if task is None:
            return
        if finish == "processing":  # the first worker that is lost is the last
            task.suspicious = self._scheduler.allowed_failures
        elif finish == "released" and start in {"processing", "memory"}:  # what starts again gives nothing
            task.run_spec = Task(key, bytes)


class _Future(Protocol):
    def __await__(self) -> Generator[object, None, bytes]: ...
    async def exception(self) -> BaseException | None: ...
    def release(self) -> None: ...


class _Task(Protocol):
    suspicious: int
    run_spec: object


class _Scheduler(Protocol):
    @property
    def tasks(self) -> Mapping[object, _Task]: ...
    @property
    def allowed_failures(self) -> int: ...


class _Client(Protocol):
    """What the engine asks of a client; Dask's own methods have no types."""

    @property
    def status(self) -> str: ...
    def submit(
        self,
        func: Callable[[StageCall, str], bytes],
        call: StageCall,
        token: str,
        /,
        *,
        key: str,
        pure: bool,
        retries: int,
        resources: Mapping[str, float] | None,
        workers: Sequence[str] | None,
    ) -> _Future: ...
    async def run(self, function: Callable[[str], bool], token: str, /, *, on_error: str) -> Mapping[str, bool]: ...
    async def cancel(self, futures: Sequence[_Future], *, force: bool) -> None: ...
    async def register_plugin(self, plugin: distributed.SchedulerPlugin, name: str) -> object: ...
