"""The kit for stores: each way to be wrong that it is there for, it finds, and says in what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from stageflow import RunStoreError
from stageflow.journal import StageRecord
from stageflow.ports import RunRecord
from stageflow.stores import MemoryRunStore, RunPage
from stageflow.testing import StoreBrokenError, check_durable_store, check_run_archive, check_run_store


class Faulty:
    """A good store, but for what a subclass does worse."""

    def __init__(self) -> None:
        self.good = MemoryRunStore()

    def __getattr__(self, name: str) -> object:
        return getattr(self.good, name)

    def __repr__(self) -> str:
        return "Faulty()"


class Overwriting(Faulty):
    async def create_run(self, run_id, **metadata):
        try:
            return await self.good.create_run(run_id, **metadata)
        except RunStoreError:
            await self.good.update_status(run_id, "running", **metadata)
            return await self.good.get_run(run_id)


class RaisingItsOwn(Faulty):
    async def update_status(self, run_id, status, **data):
        try:
            await self.good.update_status(run_id, status, **data)
        except RunStoreError as error:
            raise KeyError(run_id) from error


class Silent(Faulty):
    async def update_status(self, run_id, status, **data):
        if await self.good.get_run(run_id) is not None:
            await self.good.update_status(run_id, status, **data)


class ForgettingMetadata(Faulty):
    async def update_status(self, run_id, status, **data):
        await self.good.update_status(run_id, status)


class LocalTime(Faulty):
    async def create_run(self, run_id, **metadata):
        made = await self.good.create_run(run_id, **metadata)
        return replace(made, created_at=made.created_at.astimezone(timezone(timedelta(hours=1))))


class OfAscii(Faulty):
    async def get_run(self, run_id):
        found = await self.good.get_run(run_id)
        if found is None:
            return None
        told = {
            n: v.encode("ascii", "replace").decode() if isinstance(v, str) else v for n, v in found.metadata.items()
        }
        return RunRecord(found.run_id, found.status, told, found.created_at, found.updated_at)


PLAIN: list[tuple[type[Faulty], str]] = [
    (Overwriting, "takes a second run of one id and gives RunRecord"),
    (RaisingItsOwn, "refuses the status of a run that there is not with KeyError"),
    (Silent, "takes the status of a run that there is not and gives None"),
    (ForgettingMetadata, "gives for the metadata after updates"),
    (LocalTime, "gives times that are not in UTC"),
    (OfAscii, "gives for metadata with odd texts"),
]


class Reentrant(Faulty):
    async def acquire_lease(self, run_id, owner, seconds):
        try:
            return await self.good.acquire_lease(run_id, owner, seconds)
        except RunStoreError as error:
            if f"held by {owner} until" not in str(error):
                raise
            return await self.good.begin(run_id, owner, seconds)


class Unending(Faulty):
    async def begin(self, run_id, owner, seconds, /, **metadata):
        return await self.good.begin(run_id, owner, max(seconds, 60), **metadata)


class SameToken(Faulty):
    async def acquire_lease(self, run_id, owner, seconds):
        return replace(await self.good.acquire_lease(run_id, owner, seconds), token=1)


class Unfenced(Faulty):
    async def record(self, lease, record):
        try:
            await self.good.record(lease, record)
        except RunStoreError:
            if await self.good.get_run(lease.run_id) is None:
                raise


class FreeForAll(Faulty):
    async def release(self, lease):
        await self.good.release(lease)
        self.good._connection.execute("UPDATE run SET lease_owner = NULL")


class LastWordOfAnybody(Faulty):
    async def end(self, lease, status, /, **data):
        await self.good.update_status(lease.run_id, status, **data)
        await self.good.release(lease)


class NothingIsNone(Faulty):
    async def record(self, lease, record):
        await self.good.record(lease, replace(record, payload=record.payload or None))


class Sorted(Faulty):
    async def load(self, run_id):
        return sorted(await self.good.load(run_id), key=lambda one: one.path)


class Milliseconds(Faulty):
    async def load(self, run_id):
        cut = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
        return [replace(one, started_at=one.started_at and cut) for one in await self.good.load(run_id)]


class FirstWins(Faulty):
    async def record(self, lease, record):
        if record.path not in {one.path for one in await self.good.load(lease.run_id) if one.status == "started"}:
            await self.good.record(lease, record)


class Forgetful(Faulty):
    async def record(self, lease, record: StageRecord):
        if record.path != "150":
            await self.good.record(lease, record)


DURABLE: list[tuple[type[Faulty], str]] = [
    (Overwriting, "takes a second run of one id"),
    (Reentrant, "refuses a lease that is held with RunStoreError"),
    (Unending, "raises LeaseHeldError.* is held by former until"),
    (SameToken, "gives for whether tokens grow"),
    (Unfenced, "takes a record of a former owner"),
    (FreeForAll, "takes a lease that is held and gives Lease"),
    (LastWordOfAnybody, "takes the last word of a former owner"),
    (NothingIsNone, "gives for the stage 'bytes'"),
    (Sorted, "gives for the stage 'a'"),
    (Milliseconds, "gives for the stage 'a'"),
    (FirstWins, "last attempt, in order"),
    (Forgetful, "gives for many stages at once"),
]


class OldestFirst(Faulty):
    async def runs(self, **wanted):
        page = await self.good.runs(**wanted)
        return RunPage(page.runs[::-1], page.next)


class Unfiltered(Faulty):
    async def runs(self, *, status=None, **wanted):
        return await self.good.runs(**wanted)


class OnePage(Faulty):
    async def runs(self, **wanted):
        return RunPage((await self.good.runs(**wanted)).runs)


class PruningAll(Faulty):
    async def prune(self, *, older_than, running=False):
        return await self.good.prune(older_than=older_than, running=True)


class PruningNothing(Faulty):
    async def prune(self, *, older_than, running=False):
        return 0


ARCHIVES: list[tuple[type[Faulty], str]] = [
    (OldestFirst, "the order of pages, the newest first"),
    (Unfiltered, "the completed runs"),
    (OnePage, "the order of pages"),
    (PruningAll, "has lost the run"),
    (PruningNothing, "a run that ended, after a prune"),
]


@pytest.mark.parametrize(("faulty", "said"), PLAIN, ids=lambda value: getattr(value, "__name__", None))
async def test_the_kit_finds_what_is_wrong_with_a_store(faulty, said) -> None:
    with pytest.raises(StoreBrokenError, match=rf"The store Faulty\(\) .*{said}"):
        await check_run_store(faulty)


@pytest.mark.parametrize(("faulty", "said"), DURABLE, ids=lambda value: getattr(value, "__name__", None))
async def test_the_kit_finds_what_is_wrong_with_a_durable_store(faulty, said) -> None:
    with pytest.raises(StoreBrokenError, match=rf"The store Faulty\(\) .*{said}"):
        await check_durable_store(faulty)


@pytest.mark.parametrize(("faulty", "said"), ARCHIVES, ids=lambda value: getattr(value, "__name__", None))
async def test_the_kit_finds_what_is_wrong_with_an_archive(faulty, said) -> None:
    with pytest.raises(StoreBrokenError, match=rf"The store Faulty\(\) .*{said}"):
        await check_run_archive(faulty)


async def test_the_kit_finds_a_store_that_keeps_its_runs_to_itself() -> None:
    with pytest.raises(StoreBrokenError, match=r"The store MemoryRunStore\(\) has lost the run"):
        await check_durable_store(MemoryRunStore, shared=True)


async def test_a_good_store_passes_with_the_same_double_around_it() -> None:
    await check_durable_store(Faulty)
    await check_run_archive(Faulty)
