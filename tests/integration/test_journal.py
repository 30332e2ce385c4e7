"""The journal of a run: what is recorded and when, what cannot be, and what comes of a store that is lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from returns.result import Failure, Result, Success

from stageflow import (
    Cancelled,
    CodecError,
    Completed,
    Failed,
    Pipeline,
    PipelineContext,
    PipelineValidationError,
    Runner,
    RunStoreError,
    StageError,
    StageInputs,
    StageOutput,
    UnifiedStageSpec,
    fail,
    lift,
    ok,
    skip,
    stage,
)
from stageflow.codec import Codec, TypeHook
from stageflow.errors import LeaseHeldError
from stageflow.journal import Lease, StageRecord
from stageflow.stores import MemoryRunStore


class Watched:
    """A store in memory whose calls can be counted, held up and made to fail."""

    def __init__(self) -> None:
        self.store = MemoryRunStore()
        self.calls: list[str] = []
        self.recorded: list[StageRecord] = []
        self.fails: Exception | None = None
        self.fails_at = ""
        self.gate: asyncio.Event | None = None
        self.waiting = asyncio.Event()

    def __getattr__(self, name: str):
        async def call(*given: object, **more: object) -> object:
            self.calls.append(name)
            if name == self.fails_at and self.fails is not None:
                raise self.fails
            return await getattr(self.store, name)(*given, **more)

        return call

    async def record(self, lease: Lease, record: StageRecord) -> None:
        self.calls.append("record")
        if self.fails_at == record.path and self.fails is not None:
            raise self.fails
        if self.gate is not None:
            self.waiting.set()
            await self.gate.wait()
        await self.store.record(lease, record)
        self.recorded.append(record)


@dataclass(frozen=True, slots=True)
class Page:
    url: str


class NotFoundError(StageError):
    url: str


@lift
def fetch(url: str) -> Page:
    return Page(url)


@lift
def name(page: Page) -> str:
    return page.url


async def test_a_stage_is_recorded_before_what_follows_it_starts() -> None:
    store = Watched()

    @lift
    def follows(page: Page) -> list[str]:
        return [record.path for record in store.recorded]

    outcome = await Runner(store=store).run(fetch | follows, "a")
    assert isinstance(outcome, Completed)
    assert outcome.value == ["fetch"]


async def test_a_record_says_what_it_is_and_how_it_was_encoded() -> None:
    store = Watched()
    await Runner(store=store).run(fetch | name, "a")
    first, second = store.recorded
    assert (first.path, first.attempt, first.status, first.payload) == ("fetch", 1, "ok", b'{"url":"a"}')
    assert (first.codec, first.type, second.type, second.payload) == (Codec().name, "Page", "str", b'"a"')
    assert first.schema_hash == Codec().schema_hash(Page)
    assert first.started_at is not None
    assert first.started_at.tzinfo is UTC
    assert first.duration_ms >= 0


async def test_a_skip_and_a_failure_are_recorded_with_why() -> None:
    store = Watched()

    @stage
    async def nothing(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        return skip("nothing new")

    @stage
    async def fails(inputs: StageInputs[str]) -> Result[StageOutput[str], NotFoundError]:
        return fail(NotFoundError("no page", url=inputs.value))

    await Runner(store=store).run(nothing, "a")
    await Runner(store=store).run(fails, "a")
    skipped, failed = store.recorded
    assert (skipped.status, skipped.reason, skipped.payload) == ("skip", "nothing new", None)
    assert (failed.status, failed.reason) == ("fail", "no page")
    assert Codec().decode_failure(failed.payload or b"").unwrap() == NotFoundError("no page", url="a")


async def test_an_output_that_does_not_survive_fails_the_stage_that_made_it() -> None:
    @lift
    def lies(url: str) -> list[int]:
        return [1, url]  # type: ignore[list-item]

    outcome = await Runner(store=MemoryRunStore()).run(lies, "a")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, CodecError)
    assert outcome.error.stage == "lies"
    assert str(outcome.error).startswith(
        'What stage "lies" gave cannot be recorded. Cannot encode a value as list[int]: $[1]'
    )


async def test_what_cannot_be_recorded_is_a_defect_which_recover_lets_pass() -> None:
    @lift
    def lies(url: str) -> list[int]:
        return [url]  # type: ignore[list-item]

    async def handle(error: StageError) -> Result[StageOutput[list[int]], StageError]:
        return ok([])

    outcome = await Runner(store=MemoryRunStore()).run(lies.recover(handle), "a")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, CodecError)


async def test_stages_of_types_that_no_codec_knows_are_refused_before_anything_starts() -> None:
    ran = []

    @lift
    def connects(url: str) -> socket.socket:
        ran.append(url)
        return socket.socket()

    store = Watched()
    with pytest.raises(PipelineValidationError) as refused:
        await Runner(store=store).run((connects & connects.named("again")).together(), "a")
    assert len(refused.value.problems) == 2
    assert refused.value.problems[0].startswith(
        'Stage "connects" gives socket, which cannot be recorded: the codec does'
    )
    assert (ran, store.calls) == ([], [])


async def test_two_stages_that_would_be_recorded_as_one_are_refused() -> None:
    numbered = Pipeline.from_specs([UnifiedStageSpec("a[1]", fetch), UnifiedStageSpec("a[2]", fetch.named("b"))])
    assert isinstance(await Runner(store=MemoryRunStore()).run(numbered, "a"), Completed)
    items = (fetch.each() & fetch.named("fetch[3]").each().named("x")).together()
    assert isinstance(await Runner(store=MemoryRunStore()).run(items, ["a"]), Completed)

    @lift
    def listed(urls: list[str]) -> int:
        return len(urls)

    both = (fetch.each() & listed.named("fetch[0]")).together()
    with pytest.raises(PipelineValidationError, match=r'A stage is called "fetch\[0\]", and so may be an item'):
        await Runner(store=MemoryRunStore()).run(both, ["a"])


async def test_an_input_that_cannot_be_recorded_is_refused_before_anything_starts() -> None:
    store = Watched()
    with pytest.raises(CodecError, match='The input of "fetch" cannot be recorded'):
        await Runner(store=store).run(fetch, 3)  # type: ignore[arg-type]
    assert store.calls == []


async def test_the_types_of_an_application_are_recorded_by_its_own_codec() -> None:
    codec = Codec(hooks=(TypeHook(complex, encode=str, decode=lambda data: complex(str(data))),))

    @lift
    def turned(number: int) -> complex:
        return complex(0, number)

    runner, run_id = Runner(store=MemoryRunStore(), codec=codec), uuid4()
    await runner.run(turned, 3, context=PipelineContext(run_id=run_id))
    again = await runner.resume(turned, run_id)
    assert isinstance(again, Completed)
    assert again.value == 3j


async def test_inputs_of_every_shape_come_back() -> None:
    @lift
    def total(numbers: Sequence[int]) -> int:
        return sum(numbers)

    @lift
    def as_int(page: Page) -> int:
        return int(page.url)

    for pipeline, value in (
        (as_int.each() | total, [Page("1"), Page("2")]),
        (as_int, Page("3")),
        ((as_int & as_int.named("b")).into(lambda one, other: one + other), Page("3")),
        (as_int.optional().each().each(), [[Page("1")], []]),
        (Pipeline.of(Page).with_stage(as_int).returning(as_int), Page("1")),
    ):
        runner, run_id = Runner(store=MemoryRunStore()), uuid4()
        first = await runner.run(pipeline, value, context=PipelineContext(run_id=run_id))
        assert isinstance(first, Completed)
        again = await runner.resume(pipeline, run_id)
        assert isinstance(again, Completed)
        assert again.value == first.value


async def test_a_cancelled_run_lets_a_record_under_way_finish() -> None:
    store = Watched()
    store.gate = asyncio.Event()
    handle = Runner(store=store).start(fetch | name, "a")
    await store.waiting.wait()
    handle.cancel("enough")
    await asyncio.sleep(0)
    assert not handle.done
    store.gate.set()
    outcome = await handle
    assert isinstance(outcome, Cancelled)
    assert [record.path for record in store.recorded] == ["fetch"]
    assert isinstance(await Runner(store=store).resume(fetch | name, handle.run_id), Completed)
    assert [record.path for record in store.recorded] == ["fetch", "name"]


@pytest.mark.parametrize("lost", [OSError("the disk is full"), RunStoreError("gone"), LeaseHeldError("other has it")])
async def test_a_store_that_is_lost_in_the_middle_ends_the_run_after_cleanup_and_raises(lost) -> None:
    store = Watched()
    store.fails, store.fails_at = lost, "name"
    cleaned, started = [], asyncio.Event()

    @stage
    async def waits(inputs: StageInputs[Page]) -> Result[StageOutput[str], StageError]:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("waits")
        return ok("")

    @stage
    async def after(inputs: StageInputs[Page]) -> Result[StageOutput[str], StageError]:
        await started.wait()
        return ok(inputs.value.url)

    run_id = uuid4()
    with pytest.raises(RunStoreError) as raised:
        await Runner(store=store).run(
            fetch | (waits & after.named("name")), "a", context=PipelineContext(run_id=run_id)
        )
    assert cleaned == ["waits"]
    assert isinstance(raised.value, type(lost) if isinstance(lost, RunStoreError) else RunStoreError)
    assert str(lost) in str(raised.value)
    assert "end" not in store.calls, "how the run ends is said by whoever has it"
    record = await store.store.get_run(run_id)
    assert record is not None
    assert record.status == "running"
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_lost_store_cannot_be_settled_or_recovered_away() -> None:
    store = Watched()
    store.fails, store.fails_at = RunStoreError("gone"), "fetch"

    async def handle(error: StageError) -> Result[StageOutput[str], StageError]:
        return ok("handled")

    with pytest.raises(RunStoreError, match="gone"):
        await Runner(store=store).run((fetch | name).settled().recover(handle), "a")


async def test_a_store_that_takes_no_new_run_starts_nothing() -> None:
    store = Watched()
    store.fails, store.fails_at = RunStoreError("read-only"), "begin"
    with pytest.raises(RunStoreError, match="read-only"):
        await Runner(store=store).run(fetch, "a")
    assert store.calls == ["begin"]


async def test_the_lease_is_renewed_while_a_stage_takes_its_time() -> None:
    store = Watched()
    renewed = asyncio.Event()

    @lift
    async def slow(url: str) -> str:
        await asyncio.wait_for(renewed.wait(), 30)
        return url

    async def renew(lease: Lease, seconds: float) -> Lease:
        renewed.set()
        return await store.store.renew(lease, seconds)

    store.renew = renew
    assert isinstance(await Runner(store=store, lease_seconds=0.03).run(slow, "a"), Completed)


async def test_a_lease_that_another_process_took_ends_the_run() -> None:
    store = Watched()
    cleaned = []

    @lift
    async def slow(url: str) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("slow")
        return url

    async def renew(lease: Lease, seconds: float) -> Lease:
        raise LeaseHeldError("other:1:abc has it")

    store.renew = renew
    with pytest.raises(LeaseHeldError, match="other:1:abc has it"):
        await Runner(store=store, lease_seconds=0.03).run(slow, "a")
    assert cleaned == ["slow"]


async def test_a_renewal_that_fails_once_is_tried_again(caplog) -> None:
    store = Watched()
    attempts: list[int] = []
    renewed = asyncio.Event()

    async def renew(lease: Lease, seconds: float) -> Lease:
        attempts.append(1)
        if len(attempts) == 1:
            raise RunStoreError("busy")
        renewed.set()
        return Lease(lease.run_id, lease.owner, lease.token, datetime.now(UTC) + timedelta(minutes=1))

    @lift
    async def slow(url: str) -> str:
        await asyncio.wait_for(renewed.wait(), 30)
        return url

    store.renew = renew
    assert isinstance(await Runner(store=store, lease_seconds=0.9).run(slow, "a"), Completed)
    assert "is tried again" in caplog.text


async def test_a_resumed_run_reads_its_journal_once() -> None:
    store, run_id = Watched(), uuid4()
    broken = [True]

    @lift
    def last(pages: tuple[Page, ...]) -> int:
        if broken:
            raise ValueError("not yet")
        return len(pages)

    pipeline = fetch.each() | last
    await Runner(store=store).run(pipeline, ["a"] * 200, context=PipelineContext(run_id=run_id))
    broken.clear()
    store.calls.clear()
    outcome = await Runner(store=store).resume(pipeline, run_id)
    assert isinstance(outcome, Completed)
    assert store.calls.count("load") == 1
    assert store.calls.count("record") == 1


async def test_a_damaged_record_is_refused_by_name_and_the_run_stays_as_it_was() -> None:
    store, run_id = MemoryRunStore(), uuid4()
    await Runner(store=store).run(fetch | name, "a", context=PipelineContext(run_id=run_id))
    await store.update_status(run_id, "failed")
    lease = await store.acquire_lease(run_id, "test", 60)
    await store.record(lease, StageRecord("fetch", 2, "ok", payload=b'{"url":3}'))
    await store.release(lease)
    with pytest.raises(CodecError, match=r'The record of "fetch" in run .* is damaged'):
        await Runner(store=store).resume(fetch | name, run_id)
    record = await store.get_run(run_id)
    assert record is not None
    assert record.status == "failed"
    await store.acquire_lease(run_id, "free again", 60)


async def test_a_run_without_a_durable_store_has_no_journal() -> None:
    seen = []

    @stage
    async def look(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        seen.append(inputs.ledger.run.journal)  # type: ignore[attr-defined]
        return ok("")

    await Runner().run(look, "a")
    assert seen == [None]


async def test_settled_values_keep_the_type_of_what_went_wrong() -> None:
    @stage
    async def fails(inputs: StageInputs[str]) -> Result[StageOutput[str], NotFoundError]:
        return fail(NotFoundError("no page", url=inputs.value))

    runner, run_id = Runner(store=MemoryRunStore()), uuid4()
    first = await runner.run(fails.settled(), "a", context=PipelineContext(run_id=run_id))
    again = await runner.resume(fails.settled(), run_id)
    assert isinstance(first, Completed)
    assert isinstance(again, Completed)
    assert again.value == first.value == Failure(NotFoundError("no page", url="a"))
    assert isinstance((await runner.run(name.settled(), Page("a"))).value, Success)
