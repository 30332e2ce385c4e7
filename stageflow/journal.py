"""The journal of a run, as a store keeps it: what a host supplies so that a run which was killed can go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from stageflow.ports import RunStore


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

    @property
    def contains(self) -> bool:
        """Whether it is of what only contains stages, such as an ``.each``, and is no stage to show."""
        return self.path.startswith("~")


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
