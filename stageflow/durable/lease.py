"""The lease of a run: who goes on with it, kept alive beside it."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import final
from uuid import UUID, uuid4

from stageflow.errors import LeaseHeldError
from stageflow.journal import DurableStore, Lease

_LOG = logging.getLogger(__name__)
RENEWALS = 3  # so often within the time of a lease, so that one that is late does not lose it


def owner() -> str:
    """Who this is, for people to read: host, process and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"


@final
class HeldLease:
    """A lease that is renewed until it is given back.

    Args:
        store: whose lease it is.
        lease: as it was acquired.
        seconds: how long it is to last after each renewal.
    """

    __slots__ = ("_seconds", "_store", "_task", "lease")

    def __init__(self, store: DurableStore, lease: Lease, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None
        self.lease: Lease = lease

    @staticmethod
    async def acquired(store: DurableStore, run_id: UUID, seconds: float) -> HeldLease:
        """The lease of a run. Raises `LeaseHeldError` where another has it."""
        return HeldLease(store, await store.acquire_lease(run_id, owner(), seconds), seconds)

    def keep(self, lost: Callable[[Exception], object]) -> None:
        """Renews it from now on, in a task of its own, and tells why where it is lost."""
        renewing = self._renewing(lost)
        self._task = asyncio.get_running_loop().create_task(renewing, name=f"lease of {self.lease.run_id}")

    async def stop(self) -> None:
        """Renews it no more; a renewal under way has ended when this returns."""
        self.close()
        if self._task is not None:
            await asyncio.wait([self._task])

    def close(self) -> None:
        """Renews it no more."""
        if self._task is not None:
            self._task.cancel()

    async def release(self) -> None:
        """Gives it back; a store that cannot take it lets it run out."""
        try:
            await self._store.release(self.lease)
        except Exception:  # noqa: BLE001  (why it is given back is raised)
            _LOG.warning("The lease of run %s runs out by itself", self.lease.run_id, exc_info=True)

    async def _renewing(self, lost: Callable[[Exception], object]) -> None:
        while True:
            await asyncio.sleep(self._seconds / RENEWALS)
            try:
                self.lease = await self._store.renew(self.lease, self._seconds)
            except LeaseHeldError as error:
                lost(error)
                return
            except Exception as error:  # noqa: BLE001  (the store may be back before the lease has run out)
                if datetime.now(UTC) >= self.lease.until:
                    lost(error)
                    return
                _LOG.warning("The lease of run %s was not renewed; it is tried again", self.lease.run_id, exc_info=True)
