"""What a host supplies: protocols that say what the library asks of it, and the ids it correlates by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


class ConfigProvider(Protocol):
    """Where stages read configuration."""

    def get(self, key: str, default: object = None) -> object:
        """The value of a key, or the default where it has none."""
        ...


def _no_extra() -> Mapping[str, str]:
    return MappingProxyType({})


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
