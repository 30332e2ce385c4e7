"""Stages that must not run twice: ``effects="once"``, and what a resumed run asks of those that were cut off."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest
from returns.result import Failure, Result, Success

from stageflow import (
    Cancelled,
    Completed,
    Failed,
    PipelineContext,
    RetryInterceptor,
    Runner,
    Skipped,
    StageContext,
    StageError,
    StageInputs,
    StageOutput,
    TimeoutInterceptor,
    fail,
    lift,
    ok,
    stage,
)
from stageflow.durable import Decision
from stageflow.errors import EffectsUnknownError
from stageflow.stores import MemoryRunStore


class DeclinedError(StageError): ...


charged: list[str] = []
keys: list[str] = []
hangs: list[asyncio.Event] = []  # set when a stage hangs
declines: list[str] = []


@pytest.fixture(autouse=True)
def nothing_charged():
    charged.clear()
    keys.clear()
    declines.clear()
    hangs.clear()


@stage(effects="once")
async def charge(inputs: StageInputs[str]) -> Result[StageOutput[str], DeclinedError]:
    keys.append(inputs.context.idempotency_key)
    if declines:
        return fail(DeclinedError(declines.pop(), retryable=True))
    charged.append(inputs.value)
    if inputs.value.startswith("hangs") and len(charged) == 1:
        hangs[0].set()
        await asyncio.Event().wait()
    return ok(f"receipt of {inputs.value}")


@lift
def thanks(receipt: str) -> str:
    return f"thanks: {receipt}"


always = RetryInterceptor(attempts=3, backoff=0, retry_when=lambda error: True)


async def cut_off(pipeline, value, store) -> UUID:
    """A run whose stage was cut off in the middle."""
    run_id = uuid4()
    hangs[:] = [asyncio.Event()]
    handle = Runner(store=store).start(pipeline, value, context=PipelineContext(run_id=run_id))
    await hangs[0].wait()
    handle.cancel("the process dies")
    assert isinstance(await handle, Cancelled)
    return run_id


async def test_its_start_is_in_the_journal_before_it_runs() -> None:
    store, found = MemoryRunStore(), []

    @stage(effects="once")
    async def looks(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        found.extend(await store.load(inputs.context.run_id))
        return ok("")

    await Runner(store=store).run(looks, "a")
    assert [(record.path, record.attempt, record.status) for record in found] == [("looks", 1, "started")]


async def test_a_resume_asks_before_it_repeats_one_that_was_cut_off() -> None:
    store = MemoryRunStore()
    run_id = await cut_off(charge | thanks, "hangs", store)
    with pytest.raises(EffectsUnknownError) as asked:
        await Runner(store=store).resume(charge | thanks, run_id)
    assert asked.value.stages == ("charge",)
    assert 'decisions=[Decision.of("charge").repeat()]' in str(asked.value)
    assert charged == ["hangs"]
    record = await store.get_run(run_id)
    assert record is not None
    assert record.status == "cancelled"


async def test_it_runs_again_where_that_was_decided_with_the_same_key() -> None:
    store = MemoryRunStore()
    run_id = await cut_off(charge | thanks, "hangs", store)
    outcome = await Runner(store=store).resume(charge | thanks, run_id, decisions=[Decision.of(charge).repeat()])
    assert isinstance(outcome, Completed)
    assert outcome.value == "thanks: receipt of hangs"
    assert charged == ["hangs", "hangs"]
    assert keys[0] == keys[1]
    assert outcome.report.stages["charge"].attempts == 1


async def test_what_it_gave_can_be_told_and_is_recorded() -> None:
    store = MemoryRunStore()
    run_id = await cut_off(charge | thanks, "hangs", store)
    runner = Runner(store=store)
    outcome = await runner.resume(charge | thanks, run_id, decisions=[Decision.of(charge).gave("receipt 7")])
    assert isinstance(outcome, Completed)
    assert (outcome.value, charged) == ("thanks: receipt 7", ["hangs"])
    again = await runner.resume(charge | thanks, run_id)
    assert isinstance(again, Completed)
    assert again.value == "thanks: receipt 7"


async def test_it_can_be_skipped() -> None:
    store = MemoryRunStore()
    run_id = await cut_off(charge | thanks, "hangs", store)
    decisions = [Decision.of("charge").skip("refunded by hand")]
    outcome = await Runner(store=store).resume(charge | thanks, run_id, decisions=decisions)
    assert isinstance(outcome, Skipped)
    assert (outcome.reason, charged) == ("charge: refunded by hand", ["hangs"])


async def test_of_items_each_is_decided_by_its_name_or_all_by_the_handle() -> None:
    store, pipeline = MemoryRunStore(), charge.each()
    run_id = await cut_off(pipeline, ["hangs", "hangs too"], store)
    runner = Runner(store=store)
    named = [Decision.of(charge, item="charge[0]").gave("receipt 0")]
    outcome = await runner.resume(pipeline, run_id, decisions=named)
    assert isinstance(outcome, Completed)
    assert outcome.value[0] == "receipt 0"


async def test_a_decision_is_needed_for_each_that_is_open() -> None:
    store = MemoryRunStore()
    started: list[str] = []
    both = asyncio.Event()

    @stage(effects="once")
    async def send(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        started.append(inputs.value)
        if len(started) == 2:
            both.set()
        if len(started) <= 2:
            await asyncio.Event().wait()
        return ok(inputs.value)

    handle = Runner(store=store).start(send.each(), ["a", "b"])
    await both.wait()
    handle.cancel("dies")
    await handle
    with pytest.raises(EffectsUnknownError) as asked:
        await Runner(store=store).resume(send.each(), handle.run_id, decisions=[Decision.of("send[1]").repeat()])
    assert asked.value.stages == ("send[0]",)
    outcome = await Runner(store=store).resume(send.each(), handle.run_id, decisions=[Decision.of(send).repeat()])
    assert isinstance(outcome, Completed)
    assert outcome.value == ("a", "b")


async def test_a_decision_about_what_was_not_cut_off_is_refused() -> None:
    store = MemoryRunStore()
    run_id = await cut_off(charge | thanks, "hangs", store)
    with pytest.raises(EffectsUnknownError, match=r'"thanks" needs no decision. Of the stages .* cut off: "charge"'):
        await Runner(store=store).resume(charge | thanks, run_id, decisions=[Decision.of(thanks).repeat()])


async def test_inside_wrappers_what_it_gave_is_decided_as_its_own() -> None:
    store = MemoryRunStore()

    @stage
    async def reads(inputs: StageInputs[object]) -> Result[StageOutput[str], StageError]:
        return ok(inputs[charge])

    for pipeline in (charge.settled() | reads, charge.optional() | reads):
        charged.clear()
        run_id = await cut_off(pipeline, "hangs", store)
        outcome = await Runner(store=store).resume(pipeline, run_id, decisions=[Decision.of(charge).gave("receipt 7")])
        assert isinstance(outcome, Completed)
        assert (outcome.value, charged) == ("receipt 7", ["hangs"])


async def test_one_that_ended_is_not_asked_about() -> None:
    store, broken = MemoryRunStore(), [True]

    @lift
    def after(receipt: str) -> str:
        if broken:
            raise ValueError("not yet")
        return receipt

    failed = await Runner(store=store).run(charge | after, "a")
    broken.clear()
    outcome = await Runner(store=store).resume(charge | after, failed.report.run_id)
    assert isinstance(outcome, Completed)
    assert charged == ["a"]


async def test_one_that_failed_by_itself_runs_again_with_another_key() -> None:
    store = MemoryRunStore()
    declines.append("no money")
    failed = await Runner(store=store).run(charge, "a")
    assert isinstance(failed, Failed)
    outcome = await Runner(store=store).resume(charge, failed.report.run_id)
    assert isinstance(outcome, Completed)
    assert charged == ["a"]
    assert len(set(keys)) == 2


async def test_a_retry_repeats_it_where_it_failed_by_itself() -> None:
    declines.append("busy")
    outcome = await Runner().run(charge.using(RetryInterceptor(backoff=0)), "a")
    assert isinstance(outcome, Completed)
    assert charged == ["a"]
    assert outcome.report.stages["charge"].attempts == 2


async def test_a_retry_does_not_repeat_it_where_it_was_cut_off() -> None:
    hangs[:] = [asyncio.Event()]
    pipeline = charge.using(TimeoutInterceptor(0.01)).using(always)
    outcome = await Runner().run(pipeline, "hangs")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, EffectsUnknownError)
    assert outcome.error.stages == ("charge",)
    assert charged == ["hangs"]


async def test_a_retry_does_not_repeat_it_where_an_exception_escaped_it() -> None:
    calls = []

    @lift(effects="once")
    def raises(url: str) -> str:
        calls.append(url)
        raise ConnectionError("reset")

    outcome = await Runner().run(raises.using(always), "a")
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, EffectsUnknownError)
    assert calls == ["a"]


@pytest.mark.parametrize("how", ["a timeout", "an exception"])
async def test_a_run_that_failed_since_it_was_cut_off_asks_too(how: str) -> None:
    store, run_id = MemoryRunStore(), uuid4()

    @stage(effects="once")
    async def pays(inputs: StageInputs[str]) -> Result[StageOutput[str], DeclinedError]:
        charged.append(inputs.value)
        if len(charged) == 1 and how == "a timeout":
            await asyncio.Event().wait()
        if len(charged) == 1:
            raise ConnectionError("no answer")
        return ok(f"receipt of {inputs.value}")

    pipeline = pays.using(TimeoutInterceptor(0.01)) | thanks
    assert isinstance(await Runner(store=store).run(pipeline, "a", context=PipelineContext(run_id=run_id)), Failed)
    with pytest.raises(EffectsUnknownError) as asked:
        await Runner(store=store).resume(pipeline, run_id)
    assert asked.value.stages == ("pays",)
    assert charged == ["a"]
    decided = await Runner(store=store).resume(pipeline, run_id, decisions=[Decision.of(pays).gave("receipt of a")])
    assert isinstance(decided, Completed)
    assert decided.value == "thanks: receipt of a"
    assert charged == ["a"]


async def test_where_what_is_around_it_is_tried_again_what_it_gave_stands() -> None:
    attempts = []

    @stage
    async def flaky(inputs: StageInputs[str]) -> Result[StageOutput[str], DeclinedError]:
        attempts.append(inputs.value)
        return fail(DeclinedError("busy", retryable=True)) if len(attempts) == 1 else ok(inputs.value)

    for store in (None, MemoryRunStore()):
        attempts.clear()
        charged.clear()
        outcome = await Runner(store=store).run((charge | flaky).using(RetryInterceptor(backoff=0)), "a")
        assert isinstance(outcome, Completed)
        assert (outcome.value, charged) == ("receipt of a", ["a"])


async def test_what_it_gave_in_a_former_process_stands_too_where_what_is_around_it_is_tried_again() -> None:
    attempts = []

    @stage
    async def flaky(inputs: StageInputs[str]) -> Result[StageOutput[str], DeclinedError]:
        attempts.append(inputs.value)
        return fail(DeclinedError("busy", retryable=True)) if len(attempts) < 4 else ok(inputs.value)

    pipeline = (charge | flaky).using(RetryInterceptor(attempts=2, backoff=0))
    runner = Runner(store=MemoryRunStore())
    failed = await runner.run(pipeline, "a")
    assert isinstance(failed, Failed)
    outcome = await runner.resume(pipeline, failed.report.run_id)
    assert isinstance(outcome, Completed)
    assert (outcome.value, len(attempts), charged) == ("receipt of a", 4, ["a"])


async def test_a_store_that_is_lost_as_it_is_to_start_keeps_it_from_running() -> None:
    from stageflow import RunStoreError

    store = MemoryRunStore()

    class Lost(type(store)):  # type: ignore[misc]
        async def record(self, lease, record):
            raise RunStoreError("gone")

    with pytest.raises(RunStoreError, match="gone"):
        await Runner(store=Lost()).run(charge, "a")
    assert charged == []


async def test_called_by_hand_it_is_the_plain_function() -> None:
    assert await charge(StageInputs("a", context=StageContext())) == ok("receipt of a")
    assert await charge(StageInputs("a", context=StageContext())) == ok("receipt of a")


async def test_it_keeps_what_it_says_when_it_crosses_a_pickle() -> None:
    import pickle

    again = pickle.loads(pickle.dumps(charge.named("other")))
    store = MemoryRunStore()
    run_id = await cut_off(again, "hangs", store)
    with pytest.raises(EffectsUnknownError):
        await Runner(store=store).resume(again, run_id)


def test_the_key_is_that_of_run_stage_and_attempt() -> None:
    run_id = UUID(int=7)
    key = StageContext(run_id=run_id, stage="fetch[3]", attempt=1).idempotency_key
    assert key == StageContext(run_id=run_id, stage="fetch[3]", attempt=1).idempotency_key
    others = {
        StageContext(run_id=UUID(int=8), stage="fetch[3]", attempt=1).idempotency_key,
        StageContext(run_id=run_id, stage="fetch[4]", attempt=1).idempotency_key,
        StageContext(run_id=run_id, stage="fetch[3]", attempt=2).idempotency_key,
    }
    assert len(others | {key}) == 4
    assert str(UUID(key)) == key


async def test_results_of_a_lifted_one_stand_as_well() -> None:
    calls = []

    @lift(effects="once")
    def sends(url: str) -> Result[int, DeclinedError]:
        calls.append(url)
        return Success(len(calls)) if len(calls) > 1 else Failure(DeclinedError("busy", retryable=True))

    outcome = await Runner().run(sends.using(RetryInterceptor(backoff=0)), "a")
    assert isinstance(outcome, Completed)
    assert outcome.value == 2
