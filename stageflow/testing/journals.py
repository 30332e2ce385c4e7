"""What a durable store has to be like beyond a plain one: its leases, and the stages that it keeps.

::

    async def test_my_store(tmp_path):
        await check_durable_store(lambda: MyStore(tmp_path / "runs"), shared=True)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from stageflow.errors import LeaseHeldError, RunStoreError
from stageflow.journal import DurableStore, Lease, StageRecord
from stageflow.testing.stores import ODD_TEXTS, check_run_store, close, expect, found_in, refused, with_a_store

_HOUR: Final = 3_600.0
_AT_ONCE: Final = 20
_MANY: Final = 200
_BIG: Final = bytes(range(256)) * 4_096  # a mebibyte

Make = Callable[[], DurableStore]


async def check_durable_store(make: Make, *, shared: bool = False) -> None:
    """Holds a store to what resuming a run counts on, and to what `check_run_store` asks.

    Args:
        make: makes the store; called for each check, inside the running loop. All may keep their runs in one place.
        shared: whether all that ``make`` gives keep their runs in one place, as a file or a server does: then what one
            kept another finds, and of two one gets the lease.

    Raises:
        StoreBrokenError: it does not hold.
    """
    await check_run_store(make)
    for check in (_begins, _holds, _expires, _renews, _releases, _ends, _races, _keeps, _orders, _many_at_once):
        await with_a_store(make, check)
    if shared:
        await _survives(make)
        await _is_one_place(make)


async def _begins(store: DurableStore) -> None:
    run_id = uuid4()
    lease = await store.begin(run_id, "first", _HOUR, pipeline="p", owner="of metadata", seconds=2)
    expect(store, "the lease of begin()", (lease.run_id, lease.owner), (run_id, "first"))
    found = await found_in(store, run_id)
    metadata = {"pipeline": "p", "owner": "of metadata", "seconds": 2}
    expect(store, "a run that was begun", (found.status, dict(found.metadata)), ("running", metadata))
    await store.record(lease, StageRecord("a", 1, "ok"))
    await refused(store, store.begin(run_id, "second", _HOUR), "a second run of one id")
    await refused(store, store.acquire_lease(run_id, "second", _HOUR), "a lease that is held", LeaseHeldError)


async def _holds(store: DurableStore) -> None:
    run_id = uuid4()
    await store.create_run(run_id)
    lease = await store.acquire_lease(run_id, "first", _HOUR)
    if lease.until - datetime.now(UTC) < timedelta(minutes=30):  # clocks of two machines may differ by less
        expect(store, "the end of a lease of an hour", lease.until, "about an hour from now")
    for owner in ("second", "first"):
        await refused(store, store.acquire_lease(run_id, owner, _HOUR), "a lease that is held", LeaseHeldError)
    await store.record(lease, StageRecord("a", 1, "ok"))
    unknown = Lease(uuid4(), "first", 1, lease.until)
    await refused(store, store.acquire_lease(unknown.run_id, "first", _HOUR), "a lease of a run that there is not")
    await refused(store, store.record(unknown, StageRecord("a", 1, "ok")), "a stage of a run that there is not")
    await refused(store, store.renew(unknown, _HOUR), "a renewal for a run that there is not")
    expect(store, "the stages of a run that there is not", list(await store.load(unknown.run_id)), [])


async def _expires(store: DurableStore) -> None:
    run_id = uuid4()
    former = await store.begin(run_id, "former", 0.0)
    lease = await store.acquire_lease(run_id, "new", _HOUR)
    expect(store, "whether tokens grow", lease.token > former.token, True)
    await _is_former(store, former)
    await store.record(lease, StageRecord("kept", 1, "ok"))
    expect(store, "what is kept of a former owner's", [one.path for one in await store.load(run_id)], ["kept"])
    expect(store, "the status that a former owner gave", (await found_in(store, run_id)).status, "running")


async def _is_former(store: DurableStore, former: Lease) -> None:
    record = StageRecord("late", 1, "ok")
    await refused(store, store.record(former, record), "a record of a former owner", LeaseHeldError)
    await refused(store, store.renew(former, _HOUR), "a renewal by a former owner", LeaseHeldError)
    await refused(store, store.end(former, "failed"), "the last word of a former owner", LeaseHeldError)
    await store.release(former)  # changes nothing
    await refused(store, store.acquire_lease(former.run_id, "third", _HOUR), "a lease that is held", LeaseHeldError)


async def _renews(store: DurableStore) -> None:
    run_id = uuid4()
    lease = await store.begin(run_id, "first", 0.0)
    renewed = await store.renew(lease, _HOUR)  # it has ended, but nobody took it
    expect(store, "a renewed lease", replace(renewed, until=lease.until), lease)
    expect(store, "whether a renewed lease ends later", renewed.until > lease.until, True)
    await refused(store, store.acquire_lease(run_id, "second", _HOUR), "a lease that was renewed", LeaseHeldError)
    await store.record(lease, StageRecord("a", 1, "ok"))  # the token counts, not the time


async def _releases(store: DurableStore) -> None:
    run_id = uuid4()
    first = await store.begin(run_id, "first", _HOUR)
    await store.release(first)
    await store.release(first)
    await refused(store, store.record(first, StageRecord("a", 1, "ok")), "a record without a lease", LeaseHeldError)
    await refused(store, store.renew(first, _HOUR), "a renewal of what was given back", LeaseHeldError)
    second = await store.acquire_lease(run_id, "first", _HOUR)
    expect(store, "whether tokens grow", second.token > first.token, True)
    await refused(store, store.record(first, StageRecord("a", 1, "ok")), "a record of a former lease", LeaseHeldError)


async def _ends(store: DurableStore) -> None:
    run_id = uuid4()
    lease = await store.begin(run_id, "first", _HOUR, pipeline="p")
    await store.end(lease, "failed", error="why")
    found = await found_in(store, run_id)
    wanted = ("failed", {"pipeline": "p", "error": "why"})
    expect(store, "a run that ended", (found.status, dict(found.metadata)), wanted)
    await store.release(await store.acquire_lease(run_id, "second", _HOUR))
    await refused(store, store.end(lease, "completed"), "a second end", LeaseHeldError)


async def _races(store: DurableStore) -> None:
    run_id = uuid4()
    await store.create_run(run_id)
    asked = (store.acquire_lease(run_id, f"owner {number}", _HOUR) for number in range(_AT_ONCE))
    given = await asyncio.gather(*asked, return_exceptions=True)
    expect(store, "the owners of one lease", sum(isinstance(one, Lease) for one in given), 1)
    expect(store, "the others", sum(isinstance(one, LeaseHeldError) for one in given), _AT_ONCE - 1)


async def _keeps(store: DurableStore) -> None:
    lease = await store.begin(uuid4(), "first", _HOUR)
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    full = StageRecord("a", 1, "ok", "json/1", "list[int]", "abc", b"[1]", b"\0", "why", moment, 0.1)
    others = [StageRecord("empty", 3, "skip"), StageRecord("bytes", 1, "ok", payload=b"", inside=_BIG)]
    odd = [StageRecord(f"{number}{text}", 1, "fail", reason=text, type=text) for number, text in enumerate(ODD_TEXTS)]
    records = [full, *others, *odd]
    for record in records:
        await store.record(lease, record)
    for got, wanted in zip(await store.load(lease.run_id), records, strict=False):
        expect(store, f"the stage {wanted.path[:20]!r}", got, wanted)
    expect(store, "the number of stages", len(await store.load(lease.run_id)), len(records))


async def _orders(store: DurableStore) -> None:
    lease = await store.begin(uuid4(), "first", _HOUR)
    for path, attempt, status in (
        ("b", 1, "started"),
        ("a", 1, "started"),
        ("c", 1, "ok"),
        ("a", 1, "fail"),
        ("b", 1, "ok"),
        ("a", 2, "started"),
        ("a", 2, "ok"),
        ("a", 1, "fail"),
    ):
        await store.record(lease, StageRecord(path, attempt, status, reason=f"{path}{attempt}{status}"))
    loaded = [(one.path, one.attempt, one.status, one.reason) for one in await store.load(lease.run_id)]
    wanted = [("c", 1, "ok", "c1ok"), ("b", 1, "ok", "b1ok"), ("a", 2, "ok", "a2ok")]
    expect(store, "of each path the last record of its last attempt, in order", loaded, wanted)


async def _many_at_once(store: DurableStore) -> None:
    leases = [await store.begin(uuid4(), "first", _HOUR) for _ in range(2)]
    await asyncio.gather(*(_recorded(store, leases[number % 2], number) for number in range(_MANY)))
    for at, lease in enumerate(leases):
        found = sorted(int(one.path) for one in await store.load(lease.run_id))
        expect(store, "many stages at once", found, list(range(at, _MANY, 2)))


async def _recorded(store: DurableStore, lease: Lease, number: int) -> None:
    await store.record(lease, StageRecord(str(number), 1, "started"))
    await store.record(lease, StageRecord(str(number), 1, "ok", payload=b"%d" % number))


async def _survives(make: Make) -> None:
    kept: list[UUID] = []

    async def keep(store: DurableStore) -> None:
        lease = await store.begin(uuid4(), "first", 0.0, pipeline="p")
        await store.record(lease, StageRecord("a", 1, "ok", payload=b"1"))
        kept.append(lease.run_id)

    async def find(store: DurableStore) -> None:
        expect(store, "a run of before", (await found_in(store, kept[0])).metadata.get("pipeline"), "p")
        wanted = [StageRecord("a", 1, "ok", payload=b"1")]
        expect(store, "the stages of before", list(await store.load(kept[0])), wanted)
        lease = await store.acquire_lease(kept[0], "second", _HOUR)
        expect(store, "whether the token of before grew", lease.token > 1, True)

    await with_a_store(make, keep)
    await with_a_store(make, find)


async def _is_one_place(make: Make) -> None:
    other = make()

    async def share(store: DurableStore) -> None:
        former = await store.begin(uuid4(), "first", _HOUR)
        taken = other.acquire_lease(former.run_id, "second", _HOUR)
        await refused(other, taken, "a lease that another store holds", LeaseHeldError)
        await store.renew(former, 0.0)
        lease = await other.acquire_lease(former.run_id, "second", _HOUR)
        await refused(store, store.record(former, StageRecord("a", 1, "ok")), "what it lost", LeaseHeldError)
        await asyncio.gather(*(_recorded(other, lease, number) for number in range(_AT_ONCE)))
        expect(store, "the stages that another store kept", len(await store.load(lease.run_id)), _AT_ONCE)
        run_id = uuid4()
        both = (one.begin(run_id, "one", _HOUR) for one in (store, other))
        given = await asyncio.gather(*both, return_exceptions=True)
        expect(store, "the stores that begin one run", sum(isinstance(one, RunStoreError) for one in given), 1)

    try:
        await with_a_store(make, share)
    finally:
        await close(other)
