"""The taxonomy: what runs tell, as typed records that a sink can match on."""

import asyncio
import json
import pickle
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import assert_never
from uuid import UUID

import pytest
from returns.result import Result, Success

from stageflow import (
    CorrelationIds,
    Pipeline,
    PipelineContext,
    RetryInterceptor,
    Runner,
    Stage,
    StageArtifact,
    StageError,
    StageEvent,
    StageInputs,
    StageKind,
    StageOutput,
    StageStatus,
    cancel,
    fail,
    lift,
    ok,
    skip,
    stage,
)
from stageflow.observability.taxonomy import (
    EventsDropped,
    LifecycleEvent,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunResumed,
    RunStarted,
    StageCancelled,
    StageCompleted,
    StageFailed,
    StageMade,
    StageRetrying,
    StageSkipped,
    StageStarted,
    parse,
)
from stageflow.sinks.recording import RecordingEventSink

RUN = UUID(int=7)
REQUEST = UUID(int=8)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
IDS = CorrelationIds(request_id=REQUEST, trace_id=TRACE, extra={"tenant": "acme"})
IDS_OF_RUN = CorrelationIds(run_id=RUN, request_id=REQUEST, trace_id=TRACE, extra={"tenant": "acme"})


@stage(kind=StageKind.WORK)
async def works(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
    return ok(inputs.value)


@stage
async def fails(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
    return fail(StageError("no luck", retryable=True))


@stage
async def skips(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
    return skip("nothing new")


@stage
async def cancels(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
    return cancel("the user left")


@stage
async def hangs(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
    await asyncio.Event().wait()
    return ok(0)


async def told(pipeline: Stage[int, object, StageError]) -> list[LifecycleEvent | StageEvent]:
    sink = RecordingEventSink()
    await Runner(sink=sink).run(pipeline, 1, context=PipelineContext(run_id=RUN, correlation=IDS))
    return [parse(event.type, event.data) for event in sink.events]


def shown(record: LifecycleEvent | StageEvent) -> str:
    """What a sink would write: a match that both checkers know to be exhaustive."""
    match record:
        case RunCreated(pipeline=name) | RunStarted(pipeline=name) | RunResumed(pipeline=name):
            return f"{type(record).__name__} {name}"
        case RunCompleted(status=status, reason=reason):
            return f"RunCompleted {status.value} {reason}".rstrip()
        case RunFailed(error=error, error_type=error_type):
            return f"RunFailed {error_type}: {error}"
        case RunCancelled(reason=reason):
            return f"RunCancelled {reason}"
        case StageStarted() | StageRetrying() | StageCompleted():
            return f"{type(record).__name__} {record.stage} {record.attempt}"
        case StageFailed(stage=name, error=error):
            return f"StageFailed {name}: {error}"
        case StageSkipped(stage=name, reason=reason) | StageCancelled(stage=name, reason=reason):
            return f"{type(record).__name__} {name}: {reason}"
        case EventsDropped(dropped=dropped):
            return f"EventsDropped {dropped}"
        case StageEvent(type=kind):
            return kind
        case _:
            assert_never(record)


async def test_a_run_that_completes_is_told_as_records() -> None:
    assert [shown(record) for record in await told(works)] == [
        "RunCreated works",
        "RunStarted works",
        "StageStarted works 1",
        "StageCompleted works 1",
        "RunCompleted ok",
    ]


async def test_every_record_has_the_run_its_correlation_and_the_kind() -> None:
    records = await told(works)
    assert records[2] == StageStarted(run_id=RUN, correlation=IDS_OF_RUN, stage="works", kind=StageKind.WORK, attempt=1)
    assert all(not isinstance(record, StageEvent | EventsDropped) for record in records)
    assert {(record.run_id, record.correlation) for record in records} == {(RUN, IDS_OF_RUN)}
    completed = records[3]
    assert isinstance(completed, StageCompleted)
    assert completed.duration_ms >= 0


async def test_a_retried_run_that_fails_is_told_as_records() -> None:
    retried = fails.using(RetryInterceptor(attempts=3, backoff=0.0))
    assert [shown(record) for record in await told(retried)][2:] == [
        "StageStarted fails 1",
        "StageRetrying fails 2",
        "StageRetrying fails 3",
        "StageFailed fails: no luck",
        "RunFailed StageError: no luck",
    ]


async def test_a_run_that_is_skipped_completes_with_the_status_skip() -> None:
    records = await told(skips | works)
    assert [shown(record) for record in records][2:] == [
        "StageStarted skips 1",
        "StageSkipped skips: nothing new",
        shown(records[4]),
        shown(records[5]),
    ]
    never_started, last = records[4], records[5]
    assert isinstance(never_started, StageSkipped)
    assert (never_started.stage, never_started.attempt, never_started.duration_ms) == ("works", 0, 0.0)
    assert isinstance(last, RunCompleted)
    assert last.status is StageStatus.SKIP
    assert "nothing new" in last.reason


async def test_a_run_that_a_stage_cancels_is_told_as_records() -> None:
    records = await told((hangs & cancels).together())
    told_of = [shown(record) for record in records]
    assert told_of[0].startswith("RunCreated")
    assert sorted(told_of[2:-1])[-2:] == ["StageStarted cancels 1", "StageStarted hangs 1"]
    assert {type(record) for record in records[4:-1]} == {StageCancelled}
    assert isinstance(records[-1], RunCancelled)
    assert "the user left" in records[-1].reason


async def test_a_name_with_dots_is_read_whole() -> None:
    inner = (works | lift(name="then")(lambda value: value)).named("inner.v2")
    assert "StageStarted inner.v2.works 1" in [shown(record) for record in await told(inner | skips)]


async def test_what_a_stage_emits_stays_its_own_event() -> None:
    @stage
    async def emits(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        inputs.context.emit("cache.hit", {"key": "a"})
        inputs.context.emit("stage.emits.completed", {"imitated": True})
        inputs.context.emit("pipeline.failed", {"imitated": True})
        return ok(1, events=[StageEvent("page.fetched", {"bytes": 3})])

    records = await told(emits)
    own = [record for record in records if isinstance(record, StageEvent)]
    assert [event.type for event in own] == [
        "cache.hit",
        "stage.emits.completed",
        "pipeline.failed",
        "page.fetched",
    ]
    assert own[0].data["key"] == "a"
    assert own[3].data["bytes"] == 3


async def test_an_artifact_reaches_the_sink_and_the_report_once() -> None:
    made_at = datetime(2026, 1, 1, tzinfo=UTC)
    chart, table = StageArtifact("chart", "/tmp/chart.png", made_at), StageArtifact("table", b"1,2", made_at)

    @stage(kind=StageKind.WORK)
    async def draws(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        return ok(inputs.value, artifacts=(chart, table), events=(StageEvent("drawn"),))

    sink = RecordingEventSink()
    outcome = await Runner(sink=sink).run((works | draws).named("site"), 1, context=PipelineContext(RUN, IDS))
    assert outcome.report.stages["site.draws"].artifacts == (chart, table)
    assert sink.types[4:9] == (
        "stage.site.draws.started",
        "stage.site.draws.artifact",
        "stage.site.draws.artifact",
        "drawn",
        "stage.site.draws.completed",
    )
    records = [parse(event.type, event.data) for event in sink.events]
    about = {"run_id": RUN, "correlation": IDS_OF_RUN, "stage": "site.draws", "kind": StageKind.WORK, "attempt": 1}
    assert [record for record in records if isinstance(record, StageMade)] == [
        StageMade(**about, artifact_type="chart", payload="/tmp/chart.png", made_at=made_at),
        StageMade(**about, artifact_type="table", payload=b"1,2", made_at=made_at),
    ]
    written = json.loads(json.dumps({**sink.events[5].data, "made_at": made_at.isoformat()}))
    assert parse("stage.site.draws.artifact", written) == records[5]


async def test_an_artifact_of_a_stage_that_skips_reaches_the_sink_too() -> None:
    @stage
    async def looks(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
        return Success(StageOutput(StageStatus.SKIP, inputs.value, "nothing new", (StageArtifact("log", "x"),)))

    sink = RecordingEventSink()
    await Runner(sink=sink).run(looks, 1)
    assert sink.types[2:5] == ("stage.looks.started", "stage.looks.artifact", "stage.looks.skipped")


async def test_records_come_out_of_json_lines_too() -> None:
    sink = RecordingEventSink()
    await Runner(sink=sink).run(works, 1, context=PipelineContext(run_id=RUN, correlation=IDS))
    for event in sink.events:
        written = json.loads(json.dumps(dict(event.data), default=str))
        assert parse(event.type, written) == parse(event.type, event.data)


async def test_records_are_frozen_hashable_and_picklable() -> None:
    for record in [*await told(works), parse("events.dropped", {"dropped": 1, "dropped_total": 2, "capacity": 3})]:
        assert hash(record) == hash(pickle.loads(pickle.dumps(record)))
        assert pickle.loads(pickle.dumps(record)) == record
        with pytest.raises((AttributeError, TypeError)):
            record.run_id = RUN


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("pipeline.created", None),
        ("pipeline.created", {"run_id": "no id", "pipeline": "p"}),
        ("pipeline.created", {"run_id": str(RUN)}),
        ("pipeline.paused", {"run_id": str(RUN), "pipeline": "p"}),
        ("pipeline.completed", {"run_id": str(RUN), "pipeline": "p", "status": "fine", "duration_ms": 1.0}),
        ("pipeline.completed", {"run_id": str(RUN), "pipeline": "p", "status": "ok", "duration_ms": True}),
        ("stage.a.started", {"run_id": str(RUN), "stage": "b", "kind": "work", "attempt": 1}),
        ("stage.a.started", {"run_id": str(RUN), "stage": "a", "kind": "play", "attempt": 1}),
        ("stage.a.started", {"run_id": str(RUN), "stage": "a", "kind": "work", "attempt": "1"}),
        ("stage.a.started", {"run_id": str(RUN), "stage": "a", "kind": "work", "attempt": True}),
        ("stage.a.paused", {"run_id": str(RUN), "stage": "a", "kind": "work", "attempt": 1}),
        ("stage.a.failed", {"run_id": str(RUN), "stage": "a", "kind": "work", "attempt": 1, "duration_ms": 1.0}),
        ("events.dropped", {"dropped": "many"}),
        ("", {}),
    ],
)
def test_what_has_not_what_its_type_promises_is_an_event_as_it_came(type: str, data: Mapping[str, object]) -> None:
    record = parse(type, data)
    assert isinstance(record, StageEvent)
    assert (record.type, dict(record.data)) == (type, data or {})


async def test_a_pipeline_of_names_is_told_by_its_stages_names() -> None:
    named = Pipeline.of(int).with_stage(works).with_stage(works.named("again"), after=works)
    names = {record.stage for record in await told(named) if isinstance(record, StageStarted)}
    assert names == {"works", "again"}
