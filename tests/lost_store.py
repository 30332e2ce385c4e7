"""A store that is lost in the middle of a run, and comes back."""

from __future__ import annotations

from uuid import UUID

from stageflow.journal import Lease, StageRecord
from stageflow.stores import MemoryRunStore


class Losing:
    """A store in memory that is lost before or after it has kept so many records, and comes back.

    Attributes:
        recorded: the paths that it kept.
        left: how many records it still keeps until it is lost.
    """

    def __init__(self, keeps: int, *, acknowledges: bool) -> None:
        self.store = MemoryRunStore()
        self.recorded: list[str] = []
        self.left = keeps
        self._acknowledges = acknowledges

    def __getattr__(self, name: str):
        return getattr(self.store, name)

    async def record(self, lease: Lease, record: StageRecord) -> None:
        self.left -= 1
        if self.left == -1 and not self._acknowledges:
            raise OSError("the disk is gone")
        await self.store.record(lease, record)
        self.recorded.append(record.path)
        if self.left == -1:
            raise OSError("the disk is gone, and took the record")

    async def freed(self, run_id: UUID) -> None:
        """Lets the lease go that a lost run could not give back."""
        await self.store._kept(lambda: _released(run_id), writes=True)


def _released(run_id: UUID):
    yield "UPDATE run SET lease_owner = NULL, lease_until = 0 WHERE id = :id", {"id": str(run_id)}
