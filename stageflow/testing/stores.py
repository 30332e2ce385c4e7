"""What a store of runs has to be like, as a check that any implementation can be held to.

A runner counts on this: a run that was created can be found, and says what was told of it; nothing is kept over by
accident; many runs at once do not get in each other's way; what cannot be done is a `RunStoreError`. What a store of
stages promises beyond it is in `stageflow.testing.journals`.

::

    async def test_my_store(tmp_path):
        await check_run_store(lambda: MyStore(tmp_path / "runs"))
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar, cast
from uuid import UUID, uuid4

from stageflow.errors import RunStoreError
from stageflow.ports import RunRecord, RunStore
from stageflow.stores.page import RunArchive

_S = TypeVar("_S")
_T = TypeVar("_T")
_PATIENCE: Final = 60.0  # seconds
_MANY: Final = 50
ODD_TEXTS: Final = ("", "größe 漢 🌍", "a'b\"c\\u0041;--%s:x", "line\nbreak\ttab", "nul\0nul", "\ud800", "x" * 10_000)


class StoreBrokenError(AssertionError):
    """A store is not what a runner counts on; the text says in what."""


class ArchivedStore(RunStore, RunArchive, Protocol):
    """A store whose runs can be listed and pruned."""


async def check_run_store(make: Callable[[], RunStore]) -> None:
    """Holds a store to what a runner counts on.

    Args:
        make: makes the store; called for each check, inside the running loop. All may keep their runs in one place.

    Raises:
        StoreBrokenError: it does not hold.
    """
    for check in (_creates, _updates, _refuses, _keeps_metadata, _many_at_once):
        await with_a_store(make, check)


async def check_run_archive(make: Callable[[], ArchivedStore]) -> None:
    """Holds a store to what listing and pruning promise.

    Args:
        make: makes the store, in a place where nothing else keeps runs: they are pruned.

    Raises:
        StoreBrokenError: it does not hold.
    """
    await with_a_store(make, _lists)
    await with_a_store(make, _prunes)


async def with_a_store(make: Callable[[], _S], check: Callable[[_S], Awaitable[None]]) -> None:
    """Makes a store, holds it to a check within the time that anything may take, and closes it."""
    store = make()
    try:
        async with asyncio.timeout(_PATIENCE):
            await check(store)
    except TimeoutError as error:
        raise broken(store, f"does not end a check within {_PATIENCE:g} s") from error
    except RunStoreError as error:
        raise broken(store, f"raises {error!r} where it should do what it was asked") from error
    finally:
        await close(store)


async def close(store: object) -> None:
    """Closes a store that has something to close."""
    aclose = cast("Callable[[], Awaitable[object]] | None", getattr(store, "aclose", None))
    if aclose is not None:
        await aclose()


async def _creates(store: RunStore) -> None:
    run_id = uuid4()
    created = await store.create_run(run_id, pipeline="p", input=b"\0\xff", correlation={"tenant": "acme"}, number=1)
    given = {"pipeline": "p", "input": b"\0\xff", "correlation": {"tenant": "acme"}, "number": 1}
    expect(store, "the record of a run that was created", (created.run_id, created.status), (run_id, "running"))
    expect(store, "its metadata", dict(created.metadata), given)
    if created.created_at.utcoffset() != timedelta(0) or created.updated_at.utcoffset() != timedelta(0):
        raise broken(store, f"gives times that are not in UTC: {created.created_at}, {created.updated_at}")
    expect(store, "what get_run() gives", await store.get_run(run_id), created)
    expect(store, "a run that there is not", await store.get_run(uuid4()), None)


async def _updates(store: RunStore) -> None:
    run_id = uuid4()
    created = await store.create_run(run_id, pipeline="p", first=1, changed="before")
    for status in ("running", "failed", "completed"):
        expect(store, "update_status()", cast("object", await _nothing(store, run_id, status)), None)
        found = await found_in(store, run_id)
        expect(store, "the status", found.status, status)
        expect(store, "created_at after an update", found.created_at, created.created_at)
        if found.updated_at < created.updated_at:
            raise broken(store, f"was updated before it was created: {found.updated_at} < {created.updated_at}")
    metadata = {"pipeline": "p", "first": 1, "changed": "completed", "error": None}
    expect(store, "the metadata after updates", dict((await found_in(store, run_id)).metadata), metadata)


async def _nothing(store: RunStore, run_id: UUID, status: str) -> None:
    await store.update_status(run_id, status, changed=status, error=None)


async def _refuses(store: RunStore) -> None:
    run_id = uuid4()
    await store.create_run(run_id, pipeline="first")
    await refused(store, store.create_run(run_id, pipeline="second"), "a second run of one id")
    expect(store, "the run after that", (await found_in(store, run_id)).metadata.get("pipeline"), "first")
    await refused(store, store.update_status(uuid4(), "completed"), "the status of a run that there is not")


async def _keeps_metadata(store: RunStore) -> None:
    for text in ODD_TEXTS:
        run_id = uuid4()
        await store.create_run(run_id, pipeline=text, correlation={"id": text}, more=text)
        await store.update_status(run_id, "failed", error=text)
        metadata: Mapping[str, object] = (await found_in(store, run_id)).metadata
        wanted = {"pipeline": text, "correlation": {"id": text}, "more": text, "error": text}
        expect(store, "metadata with odd texts", dict(metadata), wanted)
    values = {"int": 2**70, "float": 0.1, "none": None, "bool": True, "list": [1, {"a": b"\xff"}]}
    run_id = uuid4()
    await store.create_run(run_id, **values)
    metadata = (await found_in(store, run_id)).metadata
    expect(store, "metadata that is no text", {name: metadata.get(name) for name in values}, values)


async def _many_at_once(store: RunStore) -> None:
    run_ids = [uuid4() for _ in range(_MANY)]

    async def live(number: int, run_id: UUID) -> None:
        await store.create_run(run_id, number=number)
        await store.update_status(run_id, "completed", twice=2 * number)

    await asyncio.gather(*(live(number, run_id) for number, run_id in enumerate(run_ids)))
    for number, run_id in enumerate(run_ids):
        metadata = (await found_in(store, run_id)).metadata
        expect(store, "one of many runs", (metadata["number"], metadata["twice"]), (number, 2 * number))


async def _lists(store: ArchivedStore) -> None:
    expect(store, "the runs of an empty store", (await store.runs()).runs, ())
    made = [await store.create_run(uuid4(), pipeline=f"p{number % 2}") for number in range(7)]
    for record in made[:3]:
        await store.update_status(record.run_id, "completed")
    newest = [record.run_id for record in reversed(made)]
    expect(store, "the order of pages, the newest first", await _paged(store, 3), newest)
    expect(store, "pages of one", await _paged(store, 1), newest)
    expect(store, "one page of all", (await store.runs(limit=7)).next, None)
    completed = await store.runs(status="completed")
    expect(store, "the completed runs", {one.run_id for one in completed.runs}, {one.run_id for one in made[:3]})
    both = await store.runs(status="completed", pipeline="p1")
    expect(store, "the completed runs of a pipeline", [one.run_id for one in both.runs], [made[1].run_id])
    since = await store.runs(since=made[4].created_at)
    wanted = {one.run_id for one in made if one.created_at >= made[4].created_at}
    expect(store, "the runs since a time", {one.run_id for one in since.runs}, wanted)
    await refused(store, store.runs(after="no page"), "a page after one that there is not")


async def _paged(store: ArchivedStore, limit: int) -> list[UUID]:
    found: list[UUID] = []
    after: str | None = None
    while True:
        page = await store.runs(limit=limit, after=after)
        found += [record.run_id for record in page.runs]
        if page.next is None:
            return found
        after = page.next


async def _prunes(store: ArchivedStore) -> None:
    ended, running = uuid4(), uuid4()
    await store.create_run(running)
    last = await store.create_run(ended)
    await store.update_status(ended, "completed")
    await _passed(store, last.updated_at)
    expect(store, "what a prune of the last hour keeps", await store.prune(older_than=timedelta(hours=1)), 0)
    await store.prune(older_than=timedelta(0))
    expect(store, "a run that ended, after a prune", await store.get_run(ended), None)
    await found_in(store, running)
    await store.prune(older_than=timedelta(0), running=True)
    expect(store, "a running one, after a prune of those too", await store.get_run(running), None)


async def _passed(store: RunStore, moment: datetime) -> None:
    """Until the store's clock has left that moment behind, which is what makes a run older than nothing."""
    run_id = uuid4()
    while (await store.create_run(run_id)).created_at <= moment:
        run_id = uuid4()


async def found_in(store: RunStore, run_id: UUID) -> RunRecord:
    """The run, which has to be there."""
    found = await store.get_run(run_id)
    if found is None:
        raise broken(store, f"has lost the run {run_id}")
    return found


async def refused(store: object, asked: Awaitable[_T], what: str, error: type[Exception] = RunStoreError) -> None:
    """Holds a store to refusing what it is asked, with this error."""
    try:
        given = await asked
    except error:
        return
    except Exception as other:
        raise broken(store, f"refuses {what} with {other!r}, where {error.__name__} is what a runner knows") from other
    raise broken(store, f"takes {what} and gives {given!r}, where {error.__name__} should be raised")


def expect(store: object, what: str, got: object, wanted: object) -> None:
    """Holds what a store gave to what it should have given."""
    if got != wanted:
        raise broken(store, f"gives for {what} {_short(got)}, where it should be {_short(wanted)}")


def broken(store: object, what: str) -> StoreBrokenError:
    """The error that says in what a store is broken."""
    return StoreBrokenError(f"The store {store!r} {what}.")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 500 else f"{text[:500]}…"  # noqa: PLR2004  (what still reads as one line)
