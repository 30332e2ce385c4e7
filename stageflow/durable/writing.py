"""Writing the journal: each record is durable before anything goes on, whatever is cancelled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar, final

from stageflow.durable.lease import HeldLease
from stageflow.errors import RunStoreError
from stageflow.graph.stepping import outlasting
from stageflow.journal import DurableStore, StageRecord

_T = TypeVar("_T")


async def to_its_end(writing: Coroutine[object, object, _T]) -> _T:
    """Awaits to the end, however often it is cancelled meanwhile, and only then lets the cancellation through."""
    task = asyncio.get_running_loop().create_task(writing)
    cancelled = await outlasting(task)
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # looked at: whoever wrote has kept it
    raise cancelled


@final
class Writer:
    """Writes the records of one run under its lease.

    Attributes:
        lost: what was raised when the store was lost; None while it is there.
        held: the lease.
    """

    __slots__ = ("_later", "_store", "held", "lost")

    def __init__(self, store: DurableStore, held: HeldLease | None = None) -> None:
        self._store = store
        self._later: set[asyncio.Task[None]] = set()
        self.lost: RunStoreError | None = None
        self.held: HeldLease | None = held

    async def write(self, record: StageRecord) -> RunStoreError | None:
        """Writes a record, after those that were left for later; what was raised, where the store is lost."""
        await to_its_end(self._after_those(record) if self._later else self._kept(record))
        return self.lost

    def write_later(self, record: StageRecord) -> None:
        """Writes a record soon, and in any case before the next that is waited for."""
        task = asyncio.get_running_loop().create_task(self._kept(record))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def flush(self) -> None:
        """Waits for the records that were left for later."""
        while self._later:
            await asyncio.wait(tuple(self._later))

    def lose(self, error: Exception) -> RunStoreError:
        """Notes that the store is lost; the first reason counts."""
        if self.lost is None:
            lost = error if isinstance(error, RunStoreError) else None
            if lost is None:
                lost = RunStoreError(f"The run store was lost: {type(error).__name__}: {error}")
                lost.__cause__ = error
            self.lost = lost
        return self.lost

    async def _after_those(self, record: StageRecord) -> None:
        await self.flush()
        await self._kept(record)

    async def _kept(self, record: StageRecord) -> None:
        if self.lost is not None or self.held is None:
            return
        try:
            await self._store.record(self.held.lease, record)
        except Exception as error:  # noqa: BLE001  (whatever a store raises, it did not keep the record)
            self.lose(error)
