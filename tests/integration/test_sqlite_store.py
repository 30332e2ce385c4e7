"""The SQLite store where its file, its disk or its neighbours misbehave, and what its thread does."""

from __future__ import annotations

import asyncio
import gc
import os
import pwd
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from stageflow import RunStoreError
from stageflow.errors import LeaseHeldError
from stageflow.journal import Lease, StageRecord
from stageflow.stores import SqliteRunStore
from stageflow.stores._committer import Committer
from stageflow.stores._driving import drive
from stageflow.stores._schema import MIGRATIONS, migrated

HOUR = 3_600.0
KIB = b"x" * 1_024


@pytest.fixture
async def path(tmp_path):
    return tmp_path / "runs.db"


@pytest.fixture
async def store(path):
    store = SqliteRunStore(path, busy_timeout=5)
    yield store
    await store.aclose()


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def changed(path: Path, statement: str) -> None:
    with connected(path) as connection:
        connection.execute(statement)


async def filled(store: SqliteRunStore, lease: Lease, most: int) -> tuple[int, str]:
    """How many stages of a KiB were acknowledged until the store refused, and what it said."""
    for number in range(most):
        try:
            await store.record(lease, StageRecord(f"s{number}", 1, "ok", payload=KIB))
        except RunStoreError as error:
            return number, str(error)
    return most, ""


async def whole(store: SqliteRunStore, run_id: UUID) -> list[str]:
    return [one.path for one in await store.load(run_id) if one.payload == KIB]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"this process may not mount a small disk: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Whoever is not root is held to a file's permissions anyway."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


async def test_a_full_disk_is_said_and_loses_nothing_that_was_acknowledged(tmp_path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk):
        store = SqliteRunStore(disk / "runs.db")
        lease = await store.begin(uuid4(), "me", HOUR)
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 200_000)
        kept, said = await filled(store, lease, 1_000)
        assert 0 < kept < 1_000
        assert f"The run store {disk}/runs.db has no room left on its disk. Make room, and resume the run." in said
        assert await whole(store, lease.run_id) == [f"s{number}" for number in range(kept)]
        ballast.unlink()
        await store.record(lease, StageRecord("after", 1, "ok", payload=KIB))
        await store.aclose()
        again = SqliteRunStore(disk / "runs.db")
        assert await whole(again, lease.run_id) == [*(f"s{number}" for number in range(kept)), "after"]
        await again.aclose()


async def test_a_file_at_its_limit_is_said_and_loses_nothing_that_was_acknowledged(path, store) -> None:
    lease = await store.begin(uuid4(), "me", HOUR)
    with largest_file(400_000):
        kept, said = await filled(store, lease, 2_000)
    assert 0 < kept < 2_000
    assert f"The run store {path} cannot be read or written: its disk refuses, be it full, at a limit" in said
    assert await whole(store, lease.run_id) == [f"s{number}" for number in range(kept)]
    await store.record(lease, StageRecord("after", 1, "ok", payload=KIB))
    await store.aclose()
    with connected(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM stage").fetchall() == [(kept + 1,)]


async def test_where_one_of_many_at_once_does_not_fit_the_others_are_kept(path, store) -> None:
    leases = [await store.begin(uuid4(), "me", HOUR) for _ in range(4)]
    huge = StageRecord("huge", 1, "ok", payload=b"x" * 2_000_000)
    asked = [store.record(lease, StageRecord("a", 1, "ok", payload=KIB)) for lease in leases]
    with largest_file(1_000_000):
        given = await asyncio.gather(*asked[:2], store.record(leases[0], huge), *asked[2:], return_exceptions=True)
    assert [type(one) for one in given] == [type(None), type(None), RunStoreError, type(None), type(None)]
    assert [await whole(store, lease.run_id) for lease in leases] == [["a"]] * 4


async def test_a_read_only_file_is_read_and_says_that_it_cannot_be_written(tmp_path, path, store) -> None:
    run_id = uuid4()
    await store.create_run(run_id, pipeline="p")
    await store.aclose()
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    path.chmod(0o444)
    tmp_path.chmod(0o777)  # the -shm beside it is made
    with as_nobody():
        reader = SqliteRunStore(path)
        assert (await reader.get_run(run_id)).metadata["pipeline"] == "p"
        with pytest.raises(RunStoreError, match=r"runs\.db cannot be written: the file or its folder is read-only"):
            await reader.update_status(run_id, "failed")
        await reader.aclose()


async def test_a_folder_that_may_not_be_written_is_said(tmp_path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    with as_nobody(), pytest.raises(RunStoreError, match=r"cannot be opened: see that its folder is there"):
        await SqliteRunStore(tmp_path / "runs.db").get_run(uuid4())


async def test_a_folder_that_is_not_there_is_said(tmp_path) -> None:
    with pytest.raises(RunStoreError, match=r"no/runs\.db cannot be opened: see that its folder is there"):
        await SqliteRunStore(tmp_path / "no" / "runs.db").create_run(uuid4())


async def test_what_is_no_database_is_said_and_left_as_it_is(path, store) -> None:
    path.write_text("my notes\n" * 200)
    with pytest.raises(RunStoreError, match=r"runs\.db is no SQLite database\. Give the path of another file"):
        await store.create_run(uuid4())
    assert path.read_text() == "my notes\n" * 200


async def test_the_tables_of_another_application_are_left_alone(path, store) -> None:
    changed(path, "CREATE TABLE run (miles INTEGER)")
    with pytest.raises(RunStoreError, match=r"runs\.db could not do what it was asked.*table run already exists"):
        await store.create_run(uuid4())
    with connected(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("run",)]


async def test_a_file_that_another_process_holds_is_said_and_used_once_it_is_free(path) -> None:
    store = SqliteRunStore(path, busy_timeout=0.05)
    run_id = uuid4()
    await store.create_run(run_id)
    with connected(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunStoreError, match=r"runs\.db is held by another process for longer than busy_timeout"):
            await store.update_status(run_id, "failed")
        assert (await store.get_run(run_id)).status == "running"  # who reads waits for nobody
    await store.update_status(run_id, "failed")
    assert (await store.get_run(run_id)).status == "failed"
    await store.aclose()


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
@pytest.mark.parametrize("name", ["runs.db", "runs.db-wal"])
async def test_a_file_that_goes_away_in_the_middle_acknowledges_nothing_more(path, store, name, replaced) -> None:
    lease = await store.begin(uuid4(), "me", HOUR)
    file = path.with_name(name)
    file.rename(path.with_name("elsewhere"))
    if replaced:
        file.touch()
    asked = (store.record(lease, StageRecord(name, 1, "ok")) for name in "abc")
    for given in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(given, RunStoreError)
        assert "runs.db is gone: the file, or its -wal, was removed or replaced while it was in use" in str(given)
    path.with_name("elsewhere").rename(file)
    await store.record(lease, StageRecord("d", 1, "ok"))
    assert [one.path for one in await store.load(lease.run_id)] == ["d"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("payload = x'00'", "its payload is not what was written"),
        ("payload = 'a text'", "where bytes should be, there is 'a text'"),
        ("duration_ms = 'long'", "where a number should be, there is 'long'"),
        ("started_at = 9e18", "date value out of range"),
        ("attempt = 'one'", "where a whole number should be, there is 'one'"),
    ],
)
async def test_a_damaged_row_of_a_stage_is_said_with_the_way_out(path, store, damage, said) -> None:
    lease = await store.begin(uuid4(), "me", HOUR)
    for name in ("fine", "hurt"):
        await store.record(lease, StageRecord(name, 1, "ok", payload=KIB, started_at=datetime.now(UTC)))
    changed(path, f"UPDATE stage SET {damage} WHERE path = 'hurt'")
    with pytest.raises(RunStoreError, match=f"The row of stage 'hurt' in run {lease.run_id} is damaged: .*{said}"):
        await store.load(lease.run_id)
    changed(path, "DELETE FROM stage WHERE path = 'hurt'")
    assert [one.path for one in await store.load(lease.run_id)] == ["fine"]


@pytest.mark.parametrize("damage", ["metadata = '{'", "metadata = '[]'", "created_at = 'now'", "correlation = x'00'"])
async def test_a_damaged_row_of_a_run_is_said(path, store, damage) -> None:
    run_id = uuid4()
    await store.create_run(run_id)
    changed(path, f"UPDATE run SET {damage}")
    with pytest.raises(RunStoreError, match=f"The row of run '{run_id}' is damaged: "):
        await store.get_run(run_id)


async def test_a_damaged_file_is_said(path, store) -> None:
    lease = await store.begin(uuid4(), "me", HOUR)
    await filled(store, lease, 100)
    await store.aclose()
    with path.open("r+b") as file:
        file.seek(4_096 * 2)
        file.write(b"\xff" * 4_096 * 30)
    again = SqliteRunStore(path)
    with pytest.raises(RunStoreError, match=r"runs\.db is damaged\. Put it back from a copy, or save what can be read"):
        await again.load(lease.run_id)
    await again.aclose()


async def test_a_file_of_a_newer_schema_is_refused_and_left_as_it_is(path, store) -> None:
    await store.create_run(uuid4())
    await store.aclose()
    changed(path, "INSERT INTO stageflow_schema VALUES (99)")
    again = SqliteRunStore(path)
    for _ in range(2):
        with pytest.raises(RunStoreError, match="has schema 99, which a newer stageflow made; this one knows up to"):
            await again.create_run(uuid4())
    await again.aclose()
    with connected(path) as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchall() == [(1,)]


async def test_many_that_come_to_a_new_file_at_once_make_it_once(tmp_path) -> None:
    for number in range(10):
        stores = [SqliteRunStore(tmp_path / f"{number}.db") for _ in range(10)]
        await asyncio.gather(*(store.create_run(uuid4()) for store in stores))
        assert len((await stores[0].runs()).runs) == 10
        await asyncio.gather(*(store.aclose() for store in stores))


def of_code(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("its own words")
    error.sqlite_errorcode = code
    return error


async def test_what_sqlite_does_not_wait_for_by_itself_is_asked_again_until_it_is_free(path) -> None:
    """It changes the journal's mode at once or not at all, which one of thousands of new files runs into."""
    answers = [of_code(sqlite3.SQLITE_BUSY), of_code(sqlite3.SQLITE_BUSY_RECOVERY), None, of_code(sqlite3.SQLITE_FULL)]

    def ask() -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    Committer(path, 60, Wall())._patiently(ask)
    with pytest.raises(sqlite3.OperationalError):
        Committer(path, 60, Wall())._patiently(ask)
    answers.append(of_code(sqlite3.SQLITE_BUSY))
    with pytest.raises(sqlite3.OperationalError):
        Committer(path, 0, Wall())._patiently(ask)
    assert answers == []


def commits_in(wal: Path) -> int:
    """The commits that a write-ahead log has: its frames that say how large the database is after them."""
    data = wal.read_bytes()
    size = int.from_bytes(data[8:12], "big")
    frames = range(32, len(data), size + 24)
    return sum(data[at + 4 : at + 8] != b"\0\0\0\0" for at in frames)


async def test_what_is_asked_while_a_commit_is_under_way_is_committed_together(path, store) -> None:
    leases = [await store.begin(uuid4(), "me", HOUR) for _ in range(50)]
    before = commits_in(path.with_name("runs.db-wal"))
    with connected(path) as other:
        other.execute("BEGIN IMMEDIATE")  # it holds up the first commit
        asked = [asyncio.create_task(store.record(lease, StageRecord("a", 1, "ok"))) for lease in leases]
        await asyncio.sleep(0)
        assert not any(task.done() for task in asked)
        other.execute("ROLLBACK")
    await asyncio.gather(*asked)
    assert 1 <= commits_in(path.with_name("runs.db-wal")) - before <= 2


async def test_another_process_that_comes_and_goes_takes_nothing_away(path, store) -> None:
    lease = await store.begin(uuid4(), "me", HOUR)
    for number in range(5):
        other = SqliteRunStore(path)
        await other.create_run(uuid4())
        await other.aclose()
        await store.record(lease, StageRecord(str(number), 1, "ok"))
    with connected(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    await store.record(lease, StageRecord("last", 1, "ok"))
    assert len(await store.load(lease.run_id)) == 6


async def test_one_request_is_one_commit(path, store) -> None:
    lease = await store.begin(uuid4(), "me", HOUR)
    before = commits_in(path.with_name("runs.db-wal"))
    for number in range(5):
        await store.record(lease, StageRecord(str(number), 1, "ok"))
    await store.end(lease, "completed")
    assert commits_in(path.with_name("runs.db-wal")) - before == 6


async def test_every_commit_waits_for_the_disk(path, store) -> None:
    """Which only a power cut could show: so the very setting is read, on the connection that has it."""
    await store.create_run(uuid4())

    def settings():
        mode = yield "PRAGMA journal_mode", {}
        synchronous = yield "PRAGMA synchronous", {}
        return mode[0][0], synchronous[0][0]

    assert await store._kept(settings, writes=False) == ("wal", 2)  # 2 is FULL


async def test_a_closed_store_says_so_and_closes_once(path, store) -> None:
    await store.create_run(uuid4())
    await store.aclose()
    await store.aclose()
    with pytest.raises(RunStoreError, match=r"runs\.db is closed\. Ask it before aclose\(\), or make another one"):
        await store.create_run(uuid4())
    assert not path.with_name("runs.db-wal").exists()


async def test_closing_answers_first_what_was_asked_before(store) -> None:
    asked = [asyncio.create_task(store.create_run(uuid4())) for _ in range(20)]
    await asyncio.sleep(0)
    await store.aclose()
    assert len(await asyncio.gather(*asked)) == 20


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("stageflow ")}


def test_a_store_that_nobody_has_any_more_ends_its_thread(path) -> None:
    before = threads()

    async def use() -> None:
        await SqliteRunStore(path).create_run(uuid4())

    asyncio.run(use())
    gc.collect()
    for thread in threads() - before:
        thread.join(timeout=60)
        assert not thread.is_alive()


def test_a_store_is_used_from_one_event_loop_after_another(path) -> None:
    store, run_id = SqliteRunStore(path), uuid4()
    asyncio.run(_closed_after(store.create_run(run_id)))
    assert asyncio.run(_closed_after(store.get_run(run_id))).run_id == run_id
    asyncio.run(store.aclose())


async def _closed_after(asked):
    return await asked


async def test_a_request_whose_task_was_cancelled_holds_up_nobody(path, store) -> None:
    lease = await store.begin(uuid4(), "me", HOUR)
    with connected(path) as other:
        other.execute("BEGIN IMMEDIATE")
        cancelled = asyncio.create_task(store.record(lease, StageRecord("a", 1, "ok")))
        waiting = asyncio.create_task(store.record(lease, StageRecord("b", 1, "ok")))
        await asyncio.sleep(0)
        cancelled.cancel()
        other.execute("ROLLBACK")
    await waiting
    assert cancelled.cancelled() or cancelled.cancelling()
    assert "b" in {one.path for one in await store.load(lease.run_id)}


def test_a_store_that_was_forked_says_so_and_does_not_wait_for_ever(path) -> None:
    script = f"""if True:
        import asyncio, os, uuid
        from stageflow.stores import SqliteRunStore
        store = SqliteRunStore({str(path)!r})
        asyncio.run(store.create_run(uuid.uuid4()))
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(store.create_run(uuid.uuid4()))
            except Exception as error:
                print(error, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        asyncio.run(store.aclose())
    """
    ours = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-W", "ignore", "-c", script]
    ended = subprocess.run(command, env=ours, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.startswith(f"The run store {path} was opened before this process was forked")


async def test_a_file_of_an_older_schema_is_brought_to_todays_and_keeps_what_it_has(path, store) -> None:
    run_id = uuid4()
    await store.create_run(run_id, pipeline="p")
    await store.aclose()
    newer = (*MIGRATIONS, ("ALTER TABLE run ADD COLUMN colour <blob>", "UPDATE run SET colour = x'00'"))
    with connected(path) as connection:
        for _ in range(2):
            drive(connection, migrated(str(path), newer), Wall())
        assert connection.execute("SELECT id, pipeline, colour FROM run").fetchall() == [(str(run_id), "p", b"\0")]
        found = connection.execute("SELECT version FROM stageflow_schema ORDER BY version").fetchall()
        assert found == [(number,) for number in range(1, len(newer) + 1)]


class Wall:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def test_a_lease_ends_by_the_clock_and_not_before(path) -> None:
    wall = Wall()
    store = SqliteRunStore(path, now=wall)
    lease = await store.begin(uuid4(), "first", 30)
    assert lease.until == wall.now + timedelta(seconds=30)
    wall.now += timedelta(seconds=29.999)
    with pytest.raises(LeaseHeldError, match=f"The run {lease.run_id} is held by first until 2026-01-01T00:00:30"):
        await store.acquire_lease(lease.run_id, "second", 30)
    lease = await store.renew(lease, 30)
    wall.now = lease.until
    assert (await store.acquire_lease(lease.run_id, "second", 30)).token == lease.token + 1
    await store.aclose()


async def test_what_was_pruned_takes_its_stages_along_and_leaves_the_held_ones(path) -> None:
    wall = Wall()
    store = SqliteRunStore(path, now=wall)
    ended, held = [await store.begin(uuid4(), "me", HOUR * number) for number in (1, 100)]
    for lease in (ended, held):
        await store.record(lease, StageRecord("a", 1, "ok"))
    await store.end(ended, "completed")
    wall.now += timedelta(days=1)
    assert await store.prune(older_than=timedelta(hours=23), running=True) == 1
    assert (len(await store.load(ended.run_id)), len(await store.load(held.run_id))) == (0, 1)
    wall.now += timedelta(days=10)
    assert await store.prune(older_than=timedelta(days=1)) == 0
    assert await store.prune(older_than=timedelta(days=1), running=True) == 1
    with connected(path) as connection:
        assert connection.execute("SELECT count(*) FROM stage").fetchall() == [(0,)]
    await store.aclose()


async def test_many_are_pruned_in_several_goes(store) -> None:
    runs = [uuid4() for _ in range(450)]
    await asyncio.gather(*(store.create_run(run_id) for run_id in runs))
    assert await store.prune(older_than=timedelta(0), running=True) == 450


UNKEPT: list[tuple[object, str]] = [
    (object(), "object is nothing that JSON has a word for"),
    ({1, 2}, "set is nothing that JSON has a word for"),
    (float("nan"), "not JSON compliant"),
    ({1: "a"}, "1 is no key that JSON can have here"),
    ([{"$bytes": "AAAA"}], "'.bytes' is no key"),
    (datetime(2026, 1, 1, tzinfo=UTC), "datetime is nothing that JSON has a word for"),
]


@pytest.mark.parametrize(("value", "said"), UNKEPT)
async def test_metadata_that_has_no_json_is_refused_by_name_and_changes_nothing(store, value, said) -> None:
    run_id = uuid4()
    with pytest.raises(RunStoreError, match=f"The metadata 'mine' of a run cannot be kept: .*{said}"):
        await store.create_run(run_id, mine=value)
    await store.create_run(run_id)
    with pytest.raises(RunStoreError, match="The metadata 'mine' of a run cannot be kept: "):
        await store.update_status(run_id, "failed", mine=value)
    assert (await store.get_run(run_id)).status == "running"


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
async def test_a_lease_of_no_time_at_all_is_refused(store, seconds) -> None:
    with pytest.raises(RunStoreError, match=r"A lease of .* seconds is none\. Give 0 or more"):
        await store.begin(uuid4(), "me", seconds)


ASKED: list[tuple[Callable[[SqliteRunStore], object], str]] = [
    (lambda store: store.runs(limit=0), "A page of 0 runs has no place for one"),
    (lambda store: store.runs(after="x:y"), "There is no page after 'x:y'"),
    (lambda store: store.runs(since=datetime(2026, 1, 1)), "has no time zone, so that it is no moment"),  # noqa: DTZ001
    (
        lambda store: store.record(Lease(uuid4(), "me", 1, datetime.now(UTC)), StageRecord("a", 2**70, "ok")),
        "too large",
    ),
]


@pytest.mark.parametrize(("ask", "said"), ASKED)
async def test_what_makes_no_sense_is_refused(store, ask, said) -> None:
    with pytest.raises(RunStoreError, match=said):
        await ask(store)
