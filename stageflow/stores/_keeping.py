"""The ports of a durable store over one method: keep what an operation says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

import stageflow.stores._operations as operations
from stageflow.journal import Lease, StageRecord
from stageflow.ports import RunRecord
from stageflow.stores._operations import Operation
from stageflow.stores.page import RunPage

_T = TypeVar("_T")
_AT_ONCE: Final = 200  # runs pruned in one transaction, so that others get in between


class Keeping(ABC):
    """What the stores of this package have in common: a `DurableStore` whose runs can be listed and pruned."""

    __slots__ = ("__weakref__",)

    @abstractmethod
    async def _kept(self, make: Callable[[], Operation[_T]], /, *, writes: bool, whole: bool = False) -> _T:
        """What an operation gives, once all that it changed is durable.

        Args:
            make: makes the operation anew for every attempt.
            writes: whether it changes anything.
            whole: whether it changes something in more than one statement.
        """

    async def create_run(self, run_id: UUID, **metadata: object) -> RunRecord:
        """Keeps a new run, with status ``running``.

        Args:
            run_id: the run.
            metadata: what is to be known of it; ``pipeline``, ``graph_fingerprint``, ``input`` (as bytes) and
                ``correlation`` have columns of their own.

        Raises:
            RunStoreError: there is a run of this id, or JSON has no word for a value.
        """
        return await self._kept(lambda: operations.create(run_id, metadata), writes=True)

    async def update_status(self, run_id: UUID, status: str, **data: object) -> None:
        """Changes the status of a run and adds to its metadata."""
        await self._kept(lambda: operations.update(run_id, status, data), writes=True, whole=True)

    async def get_run(self, run_id: UUID) -> RunRecord | None:
        """The run, or None where there is none of this id."""
        return await self._kept(lambda: operations.get(run_id), writes=False)

    async def begin(self, run_id: UUID, owner: str, seconds: float, /, **metadata: object) -> Lease:
        """Keeps a new run and gives its first lease, in one write; see `create_run`."""
        return await self._kept(lambda: operations.begin(run_id, owner, seconds, metadata), writes=True)

    async def end(self, lease: Lease, status: str, /, **data: object) -> None:
        """Changes the status of a run and gives its lease back, in one write.

        Raises:
            LeaseHeldError: the lease was lost.
        """
        await self._kept(lambda: operations.end(lease, status, data), writes=True, whole=True)

    async def acquire_lease(self, run_id: UUID, owner: str, seconds: float) -> Lease:
        """The right to go on with a run.

        Raises:
            LeaseHeldError: another has it, be it the same owner a second time.
        """
        return await self._kept(lambda: operations.acquire(run_id, owner, seconds), writes=True)

    async def renew(self, lease: Lease, seconds: float) -> Lease:
        """The same lease, until so many seconds from now; also where it has ended and nobody took it.

        Raises:
            LeaseHeldError: another has it by now, or it was given back.
        """
        return await self._kept(lambda: operations.renew(lease, seconds), writes=True)

    async def release(self, lease: Lease) -> None:
        """Gives the lease back; nothing where it was lost already."""
        await self._kept(lambda: operations.release(lease), writes=True)

    async def record(self, lease: Lease, record: StageRecord) -> None:
        """Keeps a record: durable when this returns.

        Raises:
            LeaseHeldError: the lease was lost.
        """
        await self._kept(lambda: operations.record(lease, record), writes=True)

    async def load(self, run_id: UUID) -> tuple[StageRecord, ...]:
        """Every record of a run, of each path the last of its last attempt, in the order in which they were kept."""
        return await self._kept(lambda: operations.load(run_id), writes=False)

    async def runs(
        self,
        *,
        status: str | None = None,
        pipeline: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> RunPage:
        """A page of runs, the newest first.

        Args:
            status: only those of this status.
            pipeline: only those of the pipeline of this name.
            since: only those created then or later.
            limit: how many at most.
            after: the `RunPage.next` of the page before.
        """
        return await self._kept(lambda: operations.page(status, pipeline, since, limit, after), writes=False)

    async def prune(self, *, older_than: timedelta, running: bool = False) -> int:
        """Throws away runs, with their stages, whose status last changed longer ago; gives how many.

        Args:
            older_than: the age from which a run goes.
            running: also runs that are ``running``: they were killed, and could be resumed. One under a lease that has
                not ended is kept in any case.
        """
        pruned, found = 0, _AT_ONCE
        while found == _AT_ONCE:
            found = await self._kept(lambda: operations.prune(older_than, _AT_ONCE, running=running), writes=True)
            pruned += found
        return pruned
