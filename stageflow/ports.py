"""What a host supplies: protocols that say what the library asks of it, and the ids it correlates by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol, runtime_checkable
from uuid import UUID

from typing_extensions import override


class EventSink(Protocol):
    """Where the events of runs go. A sink that raises or blocks never changes the outcome of a run."""

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Delivers an event for sure; awaited for a run's last event."""

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        """Takes an event on the way of a run, at once and without waiting."""


@runtime_checkable
class ExpectingSink(Protocol):
    """An `EventSink` that wants to know how far an ``.each`` is, as one that shows progress does."""

    def expect(self, *, stage: str, items: int, done: Callable[[], int], data: Mapping[str, object]) -> None:
        """Hears how many items an ``.each`` is about to go through.

        Args:
            stage: its name.
            items: how many.
            done: how many are done by now; to be asked as often as wanted, from any thread.
            data: the ids of the run.
        """


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a `RunStore` keeps of a run.

    Attributes:
        run_id: the run.
        status: ``running``, ``completed``, ``failed``, ``skipped`` or ``cancelled``.
        metadata: what was given when the run was created and at each change of status.
        created_at: when the run was created, in UTC.
        updated_at: when its status last changed, in UTC.
    """

    run_id: UUID
    status: str
    metadata: Mapping[str, object]
    created_at: datetime
    updated_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))

    @override
    def __hash__(self) -> int:
        return hash((self.run_id, self.status, self.updated_at))

    @override
    def __reduce__(self) -> tuple[object, ...]:
        # A mapping proxy does not pickle.
        return (RunRecord, (self.run_id, self.status, dict(self.metadata), self.created_at, self.updated_at))


class RunStore(Protocol):
    """Where runs and their statuses are kept."""

    async def create_run(self, run_id: UUID, **metadata: object) -> RunRecord:
        """Keeps a new run, with status ``running``."""
        ...

    async def update_status(self, run_id: UUID, status: str, **data: object) -> None:
        """Changes a run's status and adds to its metadata."""

    async def get_run(self, run_id: UUID) -> RunRecord | None:
        """The run, or None where there is none of this id."""
        ...


@dataclass(frozen=True, slots=True)
class StageRecord:
    """What a `StageJournal` keeps of one attempt of one stage.

    Attributes:
        path: the stage's full name in the graph, with the numbers of items: ``inner[0].fetch``.
        attempt: which try it was, from 1; of several records of one path and attempt, the last counts.
        status: ``started``, or how it ended: ``ok``, ``skip``, ``fail`` or ``cancel``.
        codec: what encoded the payload, with its version; empty where there is none.
        type: the declared type of what is encoded, as text.
        schema_hash: a digest of that type's shape, so that a changed type is noticed.
        payload: what the stage gave (``ok``) or failed with (``fail``), encoded.
        inside: what came from inside the wrappers of a stage that may hide it (``.optional``, ``.settled``), encoded.
        reason: why it was skipped or cancelled.
        started_at: when its first attempt began, in UTC.
        duration_ms: milliseconds from its start to its end; 0 while it has not ended.
    """

    path: str
    attempt: int
    status: str
    codec: str = ""
    type: str = ""
    schema_hash: str = ""
    payload: bytes | None = None
    inside: bytes | None = None
    reason: str = ""
    started_at: datetime | None = None
    duration_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to go on with a run, for a while: one process has it at a time.

    Attributes:
        run_id: the run.
        owner: who has it, for people to read: host, process and a random part.
        token: grows with every owner, so that a journal can refuse what a former one still sends.
        until: when it ends unless it is renewed, in UTC.
    """

    run_id: UUID
    owner: str
    token: int
    until: datetime


class StageJournal(Protocol):
    """Where the stages of a run are recorded, so that a run which was killed can go on.

    What it cannot do it raises as a `RunStoreError`.
    """

    async def acquire_lease(self, run_id: UUID, owner: str, seconds: float) -> Lease:
        """The right to go on with a run. Raises `LeaseHeldError` where another has it."""
        ...

    async def renew(self, lease: Lease, seconds: float) -> Lease:
        """The same lease, for longer. Raises `LeaseHeldError` where it ended and another has it by now."""
        ...

    async def release(self, lease: Lease) -> None:
        """Gives the lease back; nothing where it was lost already."""

    async def record(self, lease: Lease, record: StageRecord) -> None:
        """Keeps a record: durable when this returns. Raises `LeaseHeldError` where the lease was lost."""

    async def load(self, run_id: UUID) -> Sequence[StageRecord]:
        """Every record of a run, of each path the last of its last attempt, in the order in which they were kept."""
        ...


class DurableStore(RunStore, StageJournal, Protocol):
    """A store that keeps runs and their stages: what makes a run resumable."""

    async def begin(self, run_id: UUID, owner: str, seconds: float, /, **metadata: object) -> Lease:
        """Keeps a new run, with status ``running``, and gives its first lease, in one write."""
        ...

    async def end(self, lease: Lease, status: str, /, **data: object) -> None:
        """Changes the status of the run and releases its lease, in one write.

        Raises `LeaseHeldError` where the lease was lost: how the run ends is its new owner's to say.
        """


class ConfigProvider(Protocol):
    """Where stages read configuration."""

    def get(self, key: str, default: object = None) -> object:
        """The value of a key, or the default where it has none."""
        ...


def _no_extra() -> Mapping[str, str]:
    return MappingProxyType({})


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


@dataclass(frozen=True, slots=True)
class CorrelationIds:
    """The ids that tie a run to what caused it; they ride on every event and log line.

    Attributes:
        run_id: the run, where the caller chose the id.
        request_id: the request the run serves.
        trace_id: the distributed trace the run belongs to, as 32 hexadecimal digits.
        extra: ids of the application's own.

    >>> CorrelationIds(trace_id="4bf92f3577b34da6a3ce929d0e0e4736", extra={"tenant": "acme"}).as_mapping()
    {'trace_id': '4bf92f3577b34da6a3ce929d0e0e4736', 'tenant': 'acme'}
    """

    run_id: UUID | None = None
    request_id: UUID | None = None
    trace_id: str | None = None
    extra: Mapping[str, str] = field(default_factory=_no_extra)

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra", MappingProxyType(dict(self.extra)))

    def as_mapping(self) -> dict[str, object]:
        """The ids that are set, by name; a fresh dict."""
        ids: dict[str, object] = {}
        if self.run_id is not None:
            ids["run_id"] = str(self.run_id)
        if self.request_id is not None:
            ids["request_id"] = str(self.request_id)
        if self.trace_id is not None:
            ids["trace_id"] = self.trace_id
        ids.update(self.extra)
        return ids

    @override
    def __hash__(self) -> int:
        return hash((self.run_id, self.request_id, self.trace_id, frozenset(self.extra.items())))

    @override
    def __reduce__(self) -> tuple[object, ...]:
        # A mapping proxy does not pickle.
        return (_correlation, (self.run_id, self.request_id, self.trace_id, dict(self.extra)))


def _correlation(
    run_id: UUID | None, request_id: UUID | None, trace_id: str | None, extra: dict[str, str]
) -> CorrelationIds:
    return CorrelationIds(run_id=run_id, request_id=request_id, trace_id=trace_id, extra=extra)
