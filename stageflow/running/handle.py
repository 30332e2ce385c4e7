"""A run that was started: to be awaited, cancelled or watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from typing import Generic, cast, final
from uuid import UUID

from typing_extensions import TypeVar, override

from stageflow.core.log_ids import log_ids
from stageflow.core.output import StageEvent
from stageflow.errors import StageError
from stageflow.graph.execution.run import Run
from stageflow.graph.outcome import Outcome, PipelineResult
from stageflow.ports import EventSink

_O = TypeVar("_O", covariant=True, default=object)
_E = TypeVar("_E", covariant=True, bound=StageError, default=StageError)


@final
class RunHandle(Generic[_O, _E]):
    """A run that was started. Await it for its outcome; cancelling whoever awaits it cancels the run.

    Raises:
        RuntimeError: it is awaited by a stage of the run, or by a sink that the run tells, and has not ended.
    """

    __slots__ = ("_run", "_task", "_watch")

    def __init__(self, run: Run, task: asyncio.Task[Outcome], watch: Callable[[EventSink], None]) -> None:
        self._run = run
        self._task = task
        self._watch = watch

    @property
    def run_id(self) -> UUID:
        """The run."""
        return self._run.run_id

    @property
    def done(self) -> bool:
        """Whether the run has ended."""
        return self._task.done()

    def cancel(self, reason: str = "") -> None:
        """Ends the run as `Cancelled`: nothing starts any more, and what runs is cancelled and awaited."""
        self._run.stop(reason or "cancelled from outside")

    def events(self) -> AsyncIterator[StageEvent]:
        """The events of the run as they happen, to its last.

        Raises:
            RuntimeError: the run goes on already and nobody listens to it, so that it makes no events: call this
                right after ``runner.start(...)``, before anything is awaited.
        """
        stream = _Stream()
        self._watch(stream)
        return stream

    def __await__(self) -> Generator[object, None, PipelineResult[_O, _E]]:
        if not self.done and log_ids.get().get("run_id") == str(self.run_id):
            raise RuntimeError("A part of the run waits for the end of the run, and neither ends. Await it outside.")
        outcome = yield from self._task.__await__()
        return cast("PipelineResult[_O, _E]", outcome)

    @override
    def __repr__(self) -> str:
        return f"<RunHandle {self.run_id} {'done' if self.done else 'running'}>"


@final
class _Stream:
    """The events of one run, in order, as an iterator that ends with it."""

    __slots__ = ("_ended", "_queue")

    def __init__(self) -> None:
        self._queue: asyncio.Queue[StageEvent | None] = asyncio.Queue()
        self._ended = False

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self._queue.put_nowait(StageEvent(type, data or {}))

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.try_emit(type=type, data=data)
        self._queue.put_nowait(None)

    def __aiter__(self) -> AsyncIterator[StageEvent]:
        return self

    async def __anext__(self) -> StageEvent:
        event = None if self._ended else await self._queue.get()
        if event is None:
            self._ended = True
            raise StopAsyncIteration
        return event
