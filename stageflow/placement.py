"""Where the bodies of stages run: what a stage says of it, and what a host supplies to run them elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol
from uuid import UUID

from typing_extensions import override

from stageflow.ports import CorrelationIds


def _no_resources() -> Mapping[str, float]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the body of a stage runs, where its runner has an engine: ``@stage(placement=LOCAL)``.

    Attributes:
        local: whether it stays in the process of the run.
        attempts: how often it may be started in all, where the worker that runs it is lost; 1 for what must not be
            started twice.
        resources: what of its worker it takes, by name: ``{"GPU": 1}``.
        workers: the names or addresses of workers that may run it; nothing means any.
    """

    local: bool = False
    attempts: int = 3
    resources: Mapping[str, float] = field(default_factory=_no_resources)
    workers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"Placement(attempts={self.attempts}) needs at least 1 attempt.")
        object.__setattr__(self, "resources", MappingProxyType(dict(self.resources)))

    @override
    def __hash__(self) -> int:
        return hash((self.local, self.attempts, frozenset(self.resources.items()), self.workers))

    @override
    def __reduce__(self) -> tuple[object, ...]:
        # A mapping proxy does not pickle.
        return (Placement, (self.local, self.attempts, dict(self.resources), self.workers))


LOCAL = Placement(local=True)  # in the process of the run


@dataclass(frozen=True, slots=True)
class StageCall:
    """One start of one stage's body, as plain data: what an `Engine` is given.

    Attributes:
        run_id: the run.
        stage: the stage's full name in the graph, with the numbers of items.
        kind: what the stage is for.
        attempt: which try this is, from 1.
        target: the function, as ``module:qualname``.
        lifted: whether that is a plain function of a value.
        value: what the stage works on, encoded as its declared type.
        reads: what the stages that it declares to read gave, in that order, encoded.
        started_at: when the run started, in UTC; ``elapsed`` seconds before this call was made.
        elapsed: seconds.
        deadline: seconds from the run's start after which it is cancelled; None for no end.
        timeout: seconds after which a worker ends the body by itself; a while after the coordinator would have.
        correlation: the ids that go with every event.
        carrier: the trace it belongs to, as W3C headers.
        placement: resources and workers.
        configured: whether the run has configuration, which is not sent.
    """

    run_id: UUID
    stage: str
    kind: str
    attempt: int
    target: str
    lifted: bool
    value: bytes
    reads: tuple[bytes, ...]
    started_at: datetime
    elapsed: float
    deadline: float | None
    timeout: float | None
    correlation: CorrelationIds
    carrier: tuple[tuple[str, str], ...]
    placement: Placement
    configured: bool


@dataclass(frozen=True, slots=True)
class EngineCapabilities:
    """What an engine can do.

    Attributes:
        interrupts_running: whether cancelling a call ends a body that is running.
        survives_worker_loss: whether it goes on with other workers where one is lost.
        remote: whether bodies run in other processes than the run's own.
    """

    interrupts_running: bool
    survives_worker_loss: bool
    remote: bool


class Engine(Protocol):
    """Where the bodies of stages run. All else of a run, interceptors too, stays in the process that started it."""

    @property
    def capabilities(self) -> EngineCapabilities:
        """What it can do."""
        ...

    async def call(self, call: StageCall, /) -> bytes:
        """Has `stageflow.engines.perform` answer the call somewhere, once, and gives what that gave.

        Cancelling this ends the body, and waits for its end. A worker that is lost is a `WorkerLostError`, never a
        cancellation: ``retryable`` where another start may find a worker.
        """
        ...
