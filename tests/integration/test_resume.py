"""Resuming: what is recorded is reused, what is not runs, and the outcome is that of a run which nothing disturbed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID, uuid4

import pytest
from returns.result import Failure, Result, Success

from stageflow import (
    Cancelled,
    Completed,
    CorrelationIds,
    Failed,
    Pipeline,
    PipelineContext,
    RecordingEventSink,
    RetryInterceptor,
    Runner,
    RunStoreError,
    Skipped,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    StageStatus,
    cancel,
    fail,
    lift,
    ok,
    route,
    skip,
    stage,
)
from stageflow.errors import GraphChangedError, LeaseHeldError, ResumeError
from stageflow.stores import MemoryRunStore, SqliteRunStore
from tests.lost_store import Losing


@dataclass(frozen=True, slots=True)
class Page:
    url: str
    text: str


class NotFoundError(StageError):
    url: str


class BrokenError(StageError): ...


ran: list[str] = []
broken: list[str] = []  # the stages that fail


@pytest.fixture(autouse=True)
def nothing_ran():
    ran.clear()
    broken.clear()


def note(name: str) -> None:
    ran.append(name)
    if name in broken:
        raise BrokenError(f"{name} is broken")


@stage
async def fetch(inputs: StageInputs[str]) -> Result[StageOutput[Page], NotFoundError]:
    note(f"fetch {inputs.value}")
    match inputs.value:
        case "nowhere":
            return fail(NotFoundError("no such page", url="nowhere"))
        case "empty":
            return skip("nothing there")
        case url:
            return ok(Page(url, "to be or not"))


@lift
def words(page: Page) -> int:
    note("words")
    return len(page.text.split())


@lift
def longest(page: Page) -> str:
    note("longest")
    return max(page.text.split(), key=len)


@stage
async def last(inputs: StageInputs[object]) -> Result[StageOutput[str], BrokenError]:
    note("last")
    return ok("done")


@lift
def size(page: Page) -> Literal["short", "long"]:
    note("size")
    return "short"


async def rescued(error: StageError) -> Result[StageOutput[Page], StageError]:
    note("rescued")
    return ok(Page("rescued", "nothing"))


async def counted(error: StageError) -> Result[StageOutput[int], StageError]:
    note("counted")
    return ok(-1)


@stage
async def reads_inside(inputs: StageInputs[Page | None]) -> Result[StageOutput[str], StageError]:
    note("reads_inside")
    return ok(inputs[fetch].text)


@lift
def tally(results: Sequence[object]) -> int:
    note("tally")
    return sum(isinstance(result, Success) for result in results)


together = (words & longest).together()

PIPELINES: dict[str, tuple[Callable[[], Stage], object]] = {
    "chain": (lambda: fetch | words | last, "home"),
    "branches": (lambda: fetch | together | last, "home"),
    "optional of a skip": (lambda: fetch.optional() | last, "empty"),
    "optional of a value": (lambda: fetch.optional() | reads_inside | last, "home"),
    "settled failure": (lambda: fetch.settled() | last, "nowhere"),
    "settled value": (lambda: fetch.settled() | last, "home"),
    "recovered": (lambda: fetch.recover(rescued) | words | last, "nowhere"),
    "cut off beside what was recovered": (lambda: fetch.each(limit=1).recover(none) | last, ["nowhere", "home"]),
    "not recovered": (lambda: fetch.recover(rescued) | words | last, "home"),
    "recovered pipeline": (lambda: (fetch | words).recover(counted) | last, "nowhere"),
    "recovered in the middle": (
        lambda: (fetch.named("first") | words.named("w") | pages | fetch).recover(counted) | last,
        "home",
    ),
    "settled pipeline": (lambda: (fetch | words).settled() | last, "nowhere"),
    "settled pipeline of a value": (lambda: (fetch | words).settled() | last, "home"),
    "optional pipeline": (lambda: (fetch | words).optional() | last, "empty"),
    "each": (lambda: fetch.each() | last, ["a", "b", "c"]),
    "each of a pipeline": (lambda: (fetch | words).each(limit=2) | last, ["a", "b", "c"]),
    "each settled": (lambda: fetch.settled().each() | tally | last, ["a", "nowhere", "c"]),
    "each of a settled pipeline": (lambda: (fetch | words).settled().each() | tally | last, ["a", "nowhere", "c"]),
    "each optional": (lambda: (fetch | words).optional().each() | last, ["a", "empty"]),
    "each in each": (lambda: fetch.each().each() | last, [["a"], ["b", "c"], []]),
    "recovered each": (lambda: fetch.each().recover(none) | last, ["a", "nowhere"]),
    "route": (lambda: fetch | route(size).case("short", words).case("long", longest).exhaustive() | last, "home"),
    "route inside settled": (
        lambda: (fetch | route(size).case("short", words).case("long", longest).exhaustive()).settled() | last,
        "home",
    ),
    "named": (lambda: (fetch | words).named("inner") | last, "home"),
    "twice": (lambda: (fetch | words).named("one") & (fetch | words).named("two") | last, "home"),
    "condition": (lambda: fetch.when(lambda inputs: False).optional() | last, "home"),
    "condition of a pipeline": (lambda: (fetch | words).when(lambda inputs: False).optional() | last, "home"),
    "wired": (
        lambda: (
            Pipeline.of(str)
            .with_stage(fetch)
            .with_stage(words, after=fetch)
            .with_stage(longest, after=fetch)
            .with_stage(last, after=(words, longest))
            .returning(last)
        ),
        "home",
    ),
    "wired inside": (
        lambda: Pipeline.of(str).with_stage(fetch).with_stage(words, after=fetch).named("inside").settled() | last,
        "home",
    ),
    "deep": (lambda: ((((fetch | words).settled() | tried).settled() | tried2).recover(counted)) | last, "nowhere"),
}


@lift
def pages(count: int) -> str:
    note("pages")
    return "nowhere"


@lift
def tried(result: Success[int] | Failure[StageError]) -> str:
    note("tried")
    return "x"


@lift
def tried2(result: Success[str] | Failure[StageError]) -> Result[int, BrokenError]:
    note("tried2")
    return Failure(BrokenError("always"))


async def none(error: StageError) -> Result[StageOutput[tuple[Page, ...]], StageError]:
    note("none")
    return ok(())


def told(outcome) -> dict[str, object]:
    """What a report says of each stage, but for times and attempts."""
    return {
        name: (result.status, result.reason, result.error, result.data)
        for name, result in outcome.report.stages.items()
    }


@pytest.mark.parametrize("name", PIPELINES)
async def test_a_resumed_run_comes_to_what_an_undisturbed_one_does(name) -> None:
    make, value = PIPELINES[name]
    pipeline, runner, run_id = make(), Runner(store=MemoryRunStore()), uuid4()
    undisturbed = await Runner().run(make(), value)
    assert isinstance(undisturbed, Completed), undisturbed
    ran.clear()
    broken.append("last")
    assert isinstance(await runner.run(pipeline, value, context=PipelineContext(run_id=run_id)), Failed)
    broken.clear()
    ran.clear()
    resumed = await runner.resume(pipeline, run_id)
    assert ran == ["last"]
    assert isinstance(resumed, Completed)
    assert resumed.value == undisturbed.value
    assert told(resumed) == told(undisturbed)
    assert list(resumed.report.stages) == list(undisturbed.report.stages)


@pytest.mark.parametrize("name", PIPELINES)
async def test_a_completed_run_gives_its_outcome_again_and_nothing_runs(name) -> None:
    make, value = PIPELINES[name]
    sink, run_id = RecordingEventSink(), uuid4()
    runner = Runner(store=MemoryRunStore(), sink=sink)
    first = await runner.run(make(), value, context=PipelineContext(run_id=run_id))
    ran.clear()
    told_first = len(sink.events)
    again = await runner.resume(make(), run_id)
    assert isinstance(again, Completed)
    assert (again.value, told(again), ran) == (first.value, told(first), [])
    assert len(sink.events) == told_first


@pytest.mark.parametrize("acknowledges", [True, False])
@pytest.mark.parametrize("name", PIPELINES)
async def test_wherever_the_store_was_lost_the_run_comes_to_what_an_undisturbed_one_does(name, acknowledges) -> None:
    make, value = PIPELINES[name]
    whole = Losing(1_000, acknowledges=True)
    undisturbed = await Runner(store=whole).run(make(), value)
    assert isinstance(undisturbed, Completed)
    for keeps in range(len(whole.recorded)):
        store, run_id = Losing(keeps, acknowledges=acknowledges), uuid4()
        with pytest.raises(RunStoreError, match="the disk is gone"):
            await Runner(store=store).run(make(), value, context=PipelineContext(run_id=run_id))
        await store.freed(run_id)
        before = set(store.recorded)
        resumed = await Runner(store=store).resume(make(), run_id)
        assert isinstance(resumed, Completed)
        assert (resumed.value, told(resumed)) == (undisturbed.value, told(undisturbed))
        again = [path for path in store.recorded[len(before) :] if path in before]
        assert again == [path for path in again if told(undisturbed)[path][0] is StageStatus.FAIL]


async def test_a_skipped_run_is_skipped_again_for_the_same_reason() -> None:
    runner, run_id = Runner(store=MemoryRunStore()), uuid4()
    first = await runner.run(fetch | words, "empty", context=PipelineContext(run_id=run_id))
    ran.clear()
    again = await runner.resume(fetch | words, run_id)
    assert isinstance(again, Skipped)
    assert (again.reason, told(again), ran) == (first.reason, told(first), [])


async def test_what_failed_runs_again_as_the_next_attempt_and_what_was_ok_keeps_its_own(tmp_path) -> None:
    async with Runner(store=SqliteRunStore(tmp_path / "runs.db")) as runner:
        run_id = uuid4()
        broken.append("words")
        await runner.run(fetch | words, "home", context=PipelineContext(run_id=run_id))
        await runner.resume(fetch | words, run_id)
        broken.clear()
        ran.clear()
        outcome = await runner.resume(fetch | words, run_id)
        assert ran == ["words"]
        assert {name: result.attempts for name, result in outcome.report.stages.items()} == {"fetch": 1, "words": 3}


async def test_a_run_keeps_its_id_and_its_correlation() -> None:
    runner, seen = Runner(store=MemoryRunStore()), []

    @stage
    async def look(inputs: StageInputs[Page]) -> Result[StageOutput[str], StageError]:
        seen.append((inputs.context.run_id, inputs.context.correlation))
        note("look")
        return ok("seen")

    ids = CorrelationIds(request_id=uuid4(), trace_id="4bf92f3577b34da6a3ce929d0e0e4736", extra={"tenant": "acme"})
    broken.append("look")
    failed = await runner.run(fetch | look, "home", context=PipelineContext(correlation=ids))
    broken.clear()
    resumed = await runner.resume(fetch | look, failed.report.run_id)
    assert seen == [(failed.report.run_id, ids)] * 2
    assert (resumed.report.run_id, resumed.report.correlation) == (failed.report.run_id, ids)


async def test_a_resumed_run_tells_that_it_goes_on_and_of_what_runs() -> None:
    sink = RecordingEventSink()
    runner = Runner(store=MemoryRunStore(), sink=sink)
    broken.append("words")
    failed = await runner.run(fetch | words | last, "home")
    broken.clear()
    before = len(sink.events)
    await runner.resume(fetch | words | last, failed.report.run_id)
    assert [event.type for event in sink.events[before:]] == [
        "pipeline.resumed",
        "stage.words.retrying",
        "stage.words.completed",
        "stage.last.started",
        "stage.last.completed",
        "pipeline.completed",
    ]


async def test_the_store_says_running_and_then_how_it_ended_without_the_former_error() -> None:
    store = MemoryRunStore()
    runner = Runner(store=store)
    statuses = []

    @lift
    async def look(page: Page) -> str:
        record = await store.get_run(run_id)
        statuses.append(record.status)
        note("look")
        return ""

    run_id = uuid4()
    broken.append("look")
    await runner.run(fetch | look, "home", context=PipelineContext(run_id=run_id))
    failed = await store.get_run(run_id)
    assert (failed.status, failed.metadata["error"]) == ("failed", 'Stage "look" raised BrokenError: look is broken')
    broken.clear()
    await runner.resume(fetch | look, run_id)
    completed = await store.get_run(run_id)
    assert statuses == ["running", "running"]
    assert (completed.status, completed.metadata["error"]) == ("completed", None)


async def test_a_skip_upstream_is_not_told_again() -> None:
    sink = RecordingEventSink()
    runner = Runner(store=MemoryRunStore(), sink=sink)
    pipeline = fetch & last | last.named("end")  # what follows the skip is skipped with it
    broken.append("last")
    outcome = await runner.run(pipeline, "empty")
    broken.clear()
    before = len(sink.events)
    await runner.resume(pipeline, outcome.report.run_id)
    told_again = [event.type for event in sink.events[before:]]
    assert "stage.fetch.skipped" not in told_again
    assert told_again.count("stage.end.skipped") <= 1


async def test_an_attempt_of_a_retry_counts_on_where_the_process_left_it() -> None:
    keys = []

    @stage
    async def flaky(inputs: StageInputs[Page]) -> Result[StageOutput[str], BrokenError]:
        keys.append((inputs.attempt, inputs.context.idempotency_key))
        note("flaky")
        return ok("x")

    pipeline = fetch | flaky.using(RetryInterceptor(attempts=3, backoff=0, retry_when=lambda error: True))
    runner, run_id = Runner(store=MemoryRunStore()), uuid4()
    broken.append("flaky")
    await runner.run(pipeline, "home", context=PipelineContext(run_id=run_id))
    broken.clear()
    outcome = await runner.resume(pipeline, run_id)
    assert [attempt for attempt, _ in keys] == [1, 2, 3, 4]
    assert len({key for _, key in keys}) == 4
    assert outcome.report.stages["flaky"].attempts == 4


async def test_what_a_retried_pipeline_recorded_before_is_not_taken_for_its_new_attempt() -> None:
    """The first attempt fetched other pages: after a resume in the second, theirs must not stand for the new ones."""
    attempts = []

    @lift
    def urls(_: str) -> list[str]:
        attempts.append(1)
        return ["a", "b"] if len(attempts) == 1 else ["c", "d"]

    @lift
    def got(page: Page) -> str:
        note(f"got {page.url}")
        return page.url

    body = (urls | (fetch | got).each()).using(RetryInterceptor(attempts=2, backoff=0, retry_when=lambda error: True))
    runner, run_id = Runner(store=MemoryRunStore()), uuid4()
    broken.extend(["got b", "got d"])
    await runner.run(body | last, "x", context=PipelineContext(run_id=run_id))
    assert ran.count("fetch c") == 1
    broken.clear()
    ran.clear()
    outcome = await runner.resume(body | last, run_id)
    assert isinstance(outcome, Completed)
    assert sorted(ran) == ["got d", "last"]
    assert {name for name in outcome.report.stages if name.startswith("got")} == {"got[0]", "got[1]"}
    assert outcome.report.stages["got[0]"].data == "c"


async def test_a_pipeline_that_is_retried_in_the_resumed_run_runs_whole_again() -> None:
    body = (fetch | words).using(RetryInterceptor(attempts=2, backoff=0, retry_when=lambda error: True))
    runner, run_id = Runner(store=MemoryRunStore()), uuid4()
    broken.append("words")
    await runner.run(body, "home", context=PipelineContext(run_id=run_id))
    ran.clear()
    await runner.resume(body, run_id)
    assert ran == ["words", "fetch home", "words"]


async def test_a_stage_that_cancelled_the_run_runs_again() -> None:
    reasons = ["not on sundays"]

    @stage
    async def picky(inputs: StageInputs[Page]) -> Result[StageOutput[str], StageError]:
        note("picky")
        return cancel(reasons.pop()) if reasons else ok(inputs.value.url)

    runner = Runner(store=MemoryRunStore())
    cancelled = await runner.run(fetch | picky, "home")
    assert isinstance(cancelled, Cancelled)
    ran.clear()
    outcome = await runner.resume(fetch | picky, cancelled.report.run_id)
    assert isinstance(outcome, Completed)
    assert (outcome.value, ran, outcome.report.stages["picky"].attempts) == ("home", ["picky"], 2)


async def test_a_run_inside_a_run_is_a_run_of_its_own() -> None:
    runner = Runner(store=MemoryRunStore())
    inner: list[UUID] = []

    @stage
    async def outer(inputs: StageInputs[str]) -> Result[StageOutput[int], StageError]:
        outcome = await runner.run(fetch | words, inputs.value)
        inner.append(outcome.report.run_id)
        note("outer")
        return ok(outcome.value if isinstance(outcome, Completed) else 0)

    broken.append("outer")
    failed = await runner.run(outer, "home")
    broken.clear()
    outcome = await runner.resume(outer, failed.report.run_id)
    assert isinstance(outcome, Completed)
    assert (outcome.value, len(set(inner))) == (4, 2)


async def test_there_is_no_run_of_that_id() -> None:
    store = MemoryRunStore()
    with pytest.raises(ResumeError, match=r"no run 0{8}-.* in MemoryRunStore\(\): it was pruned, or is kept elsewhere"):
        await Runner(store=store).resume(fetch, UUID(int=0))


async def test_a_run_that_was_not_journaled_cannot_be_resumed() -> None:
    store, run_id = MemoryRunStore(), uuid4()
    await store.create_run(run_id, pipeline="fetch")
    with pytest.raises(ResumeError, match="was not journaled"):
        await Runner(store=store).resume(fetch, run_id)


async def test_a_run_that_another_process_has_is_refused_and_says_who_has_it() -> None:
    store, run_id = MemoryRunStore(), uuid4()
    broken.append("words")
    await Runner(store=store).run(fetch | words, "home", context=PipelineContext(run_id=run_id))
    lease = await store.acquire_lease(run_id, "other:1:abc", 60)
    with pytest.raises(LeaseHeldError, match="held by other:1:abc until"):
        await Runner(store=store).resume(fetch | words, run_id)
    await store.release(lease)
    broken.clear()
    assert isinstance(await Runner(store=store).resume(fetch | words, run_id), Completed)


@lift
def words_as_text(page: Page) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Wider(Page):
    language: str = ""


CHANGES: dict[str, tuple[Stage, tuple[str, ...]]] = {
    "added": (fetch | words | last, ('"last" is new.', 'the output" follows "last"; it followed "words".')),
    "removed": (fetch, ('"words" is gone.', 'the output" follows "fetch"; it followed "words".')),
    "type": (fetch | words_as_text.named("words"), ('"words" gives str; it gave int.',)),
    "wrapper": (fetch | words.optional(), ('"words" is OrNone; it was a plain stage.',)),
    "input": (lift(lambda page: 1).named("fetch") | words, ('"fetch" gives object; it gave Page.',)),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_changed_graph_is_refused_with_what_changed(name) -> None:
    changed, expected = CHANGES[name]
    runner, run_id = Runner(store=MemoryRunStore()), uuid4()
    broken.append("words")
    await runner.run(fetch | words, "home", context=PipelineContext(run_id=run_id))
    ran.clear()
    with pytest.raises(GraphChangedError) as refused:
        await runner.resume(changed, run_id)
    assert ran == []
    text = str(refused.value)
    assert "Resume it with the code that started it" in text
    for change in expected:
        assert change in text
    assert isinstance(await runner.resume(fetch | words, run_id), Failed), "a refusal leaves the run as it was"


async def test_a_type_whose_fields_changed_is_refused_by_its_shape() -> None:
    def version(fields: dict[str, object]) -> Stage:
        model_type = dataclass(type("Model", (), {"__annotations__": fields, "__module__": __name__}))

        def model(url: str) -> object:
            raise BrokenError("later")

        model.__annotations__["return"] = model_type
        return lift(model)

    runner, run_id = Runner(store=MemoryRunStore()), uuid4()
    await runner.run(version({"a": int}), "x", context=PipelineContext(run_id=run_id))
    with pytest.raises(GraphChangedError, match='"model" gives Model, whose fields, or the types of these, are others'):
        await runner.resume(version({"a": int, "b": str}), run_id)
