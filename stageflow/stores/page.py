"""The runs of a store, page by page, and what an operator asks of a store beside what a runner does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, final

from stageflow.ports import RunRecord


@final
@dataclass(frozen=True, slots=True)
class RunPage:
    """Some runs of a store, the newest first.

    Attributes:
        runs: the runs.
        next: what to give as ``after`` for the page behind this one; None where this is the last.
    """

    runs: tuple[RunRecord, ...]
    next: str | None = None


class RunArchive(Protocol):
    """A store whose runs can be listed, and thrown away when they are old."""

    async def runs(
        self,
        *,
        status: str | None = None,
        pipeline: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> RunPage:
        """A page of the runs that were created since a time, of one status and one pipeline; the newest first."""
        ...

    async def prune(self, *, older_than: timedelta, running: bool = False) -> int:
        """Throws away runs, with their stages, whose status last changed longer ago; gives how many.

        Runs that are still ``running`` are kept, since they can be resumed, unless ``running`` says otherwise; one
        under a lease that has not ended is kept in any case.
        """
        ...
