"""What a stage sees on a worker: what was sent along, and for all else what to do about it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import chain, count
from typing import final, overload

from typing_extensions import TypeVar, override

from stageflow.context.inputs import StageInputs
from stageflow.context.stage import StageContext
from stageflow.core.stage import Shape, StageHandle, StageKind
from stageflow.core.timer import PipelineTimer
from stageflow.errors import MissingPortError, StageExecutionError, UndeclaredDependencyError
from stageflow.placement import StageCall

_T = TypeVar("_T")


@final
class Emitted:
    """What a stage emits on a worker, kept until it goes back with what the stage gives."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, object]]] = []

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Keeps an event."""
        self.events.append((type, dict(data or {})))

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """The same."""
        self.try_emit(type=type, data=data)


@final
class SentInputs(StageInputs[object]):
    """What a stage sees on a worker.

    Args:
        value: what it works on.
        reads: what the stages that it declares to read gave, by their shapes.
        context: the run, as it was when the call was made.
    """

    __slots__ = ("_reads",)

    def __init__(self, value: object, reads: Mapping[Shape, object], context: StageContext) -> None:
        super().__init__(value, context=context)
        self._attempt = context.attempt
        self._reads = reads

    @override
    def next_attempt(self, error: object = None, *, waited: float = 0.0) -> StageInputs[object]:
        raise StageExecutionError(
            "A stage that runs on a worker cannot start an attempt: retry it with .using(RetryInterceptor(...))."
        )

    @overload
    def __getitem__(self, stage: StageHandle[_T], /) -> _T: ...
    @overload
    def __getitem__(self, name: str, /) -> object: ...
    @override
    def __getitem__(self, stage: StageHandle[object] | str, /) -> object:
        for shape, value in self._reads.items():
            if shape.label == stage if isinstance(stage, str) else shape is stage.shape:
                return value
        name = stage if isinstance(stage, str) else stage.name
        raise UndeclaredDependencyError(
            f'"{name}" was not sent to the worker: only declared reads are. '
            f"Declare it: @stage(reads=({name},)), or keep the stage in the process of the run: placement=LOCAL."
        )


@final
class _Unsent:
    """In place of configuration, which stays where the run is."""

    __slots__ = ()

    def get(self, key: str, default: object = None) -> object:  # noqa: ARG002  (there is nothing to default from)
        raise StageExecutionError(
            f'Configuration ("{key}") is not sent to workers. Read it in a stage with placement=LOCAL and pass on '
            "what is needed as a value, or keep this stage there too."
        )


def unsent_port(error: MissingPortError) -> MissingPortError:
    """What a stage that asked for a port is told on a worker."""
    return MissingPortError(
        f"{error.message} Ports are not sent to workers: declare it, @stage(requires=(...)), so that the stage stays "
        "in the process of the run."
    )


def context_of(call: StageCall, sink: Emitted) -> StageContext:
    """The run as the stage sees it."""
    return StageContext(
        run_id=call.run_id,
        stage=call.stage,
        kind=StageKind(call.kind),
        attempt=call.attempt,
        correlation=call.correlation,
        config=_Unsent() if call.configured else None,
        timer=_timer(call),
        sink=sink,
        deadline=call.deadline,
    )


def _timer(call: StageCall) -> PipelineTimer:
    """The run's clock, going on here from where it stood."""
    origin = time.monotonic() - call.elapsed
    readings = chain([0.0], (time.monotonic() - origin for _ in count()))
    return PipelineTimer(clock=readings.__next__, wall=lambda: call.started_at)
