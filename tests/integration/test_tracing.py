"""`TracingInterceptor`: the real SDK, and the real exporter to a receiver in another process."""

from __future__ import annotations

import asyncio
import base64
import gc
import logging
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import NoOpTracerProvider, StatusCode
from returns.result import Result
from typing_extensions import Never, override

from stageflow import (
    Cancelled,
    Completed,
    CorrelationIds,
    Failed,
    PipelineContext,
    RetryInterceptor,
    Runner,
    RunRecord,
    RunStoreError,
    Skipped,
    Stage,
    StageError,
    StageInputs,
    StageKind,
    StageOutput,
    StageTimeoutError,
    TimeoutInterceptor,
    cancel,
    fail,
    lift,
    ok,
    route,
    skip,
    stage,
)
from stageflow.interceptors.correlation import CorrelationInterceptor
from stageflow.interceptors.tracing import TracingInterceptor
from stageflow.observability.logging import RunFilter
from stageflow.observability.propagation import carrier, continued
from stageflow.sinks.recording import RecordingEventSink
from stageflow.stores import MemoryRunStore
from tests.documents import blocks_of
from tests.receiving import metrics_in, receiving, requests_to, spans_in

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class FlakyError(StageError): ...


class Spans:
    """What a real SDK exported, in the order in which spans ended."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = TracingInterceptor(self.provider)

    @property
    def all(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span


@pytest.fixture
def spans() -> Spans:
    return Spans()


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def links_of(span: ReadableSpan) -> set[int]:
    return {link.context.span_id for link in span.links}


def attributes_of(span: ReadableSpan) -> Mapping[str, object]:
    return dict(span.attributes or {})


@lift
def first(text: str) -> str:
    return text


@lift
def left(text: str) -> str:
    return text + "l"


@lift
def right(text: str) -> str:
    return text + "r"


@lift
def join(both: tuple[str, str]) -> str:
    return "".join(both)


def flaky(failures: int) -> Stage[str, str, FlakyError]:
    """A stage that fails so often, then gives what it was given."""
    left_to_fail = [FlakyError(f"failure {number}", retryable=True) for number in range(1, failures + 1)]

    @stage(name="flaky", kind=StageKind.WORK)
    async def run(inputs: StageInputs[str]) -> Result[StageOutput[str], FlakyError]:
        return fail(left_to_fail.pop(0)) if left_to_fail else ok(inputs.value)

    return run


@stage
async def hangs(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
    await asyncio.Event().wait()
    return ok(inputs.value)


RETRIES = RetryInterceptor(attempts=3, backoff=0.0)


async def test_a_stage_is_a_span_under_the_span_of_its_run(spans: Spans) -> None:
    outcome = await Runner().using(spans.tracing).run((first | left).named("site"), "x")
    assert isinstance(outcome, Completed)
    run = spans.named("site")
    assert [span.name for span in spans.all][-1] == run[0].name
    assert parent_of(run[0]) is None
    for name in ("site.first", "site.left"):
        assert parent_of(spans.one(name)) == id_of(run[0])
    assert attributes_of(run[0])["stageflow.run.id"] == str(outcome.report.run_id)
    assert attributes_of(run[0])["stageflow.status"] == "ok"
    assert run[0].status.status_code is StatusCode.UNSET


async def test_a_span_says_what_its_stage_is(spans: Spans) -> None:
    await Runner().using(spans.tracing).run(flaky(0).named("work"), "x")
    (work,) = [span for span in spans.all if "stageflow.stage.name" in attributes_of(span)]
    assert (
        attributes_of(work).items()
        >= {
            "stageflow.stage.name": "work",
            "stageflow.stage.kind": "work",
            "stageflow.stage.attempt": 1,
            "stageflow.stage.attempts": 1,
            "stageflow.status": "ok",
        }.items()
    )
    scope = work.instrumentation_scope
    assert scope is not None
    assert scope.name == "stageflow"


async def test_links_show_the_edges_of_the_graph(spans: Spans) -> None:
    await Runner().using(spans.tracing).run(first | (left & right) | join, "x")
    assert links_of(spans.one("first")) == set()
    assert links_of(spans.one("left")) == links_of(spans.one("right")) == {id_of(spans.one("first"))}
    assert links_of(spans.one("join")) == {id_of(spans.one("left")), id_of(spans.one("right"))}


async def test_links_go_through_what_only_contains_others(spans: Spans) -> None:
    @lift
    def split(text: str) -> list[str]:
        return list(text)

    @lift
    def total(items: Sequence[str]) -> int:
        return len(items)

    await Runner().using(spans.tracing).run(split | (left | right).each() | total, "abc")
    lefts, rights = spans.named("left"), spans.named("right")
    assert len(lefts) == len(rights) == 3
    for span in lefts:
        assert links_of(span) == {id_of(spans.one("split"))}
    assert [links_of(span) for span in rights] == [{id_of(span)} for span in lefts]
    assert links_of(spans.one("total")) == {id_of(span) for span in rights}


async def test_an_item_is_an_attribute_and_not_in_the_name(spans: Spans) -> None:
    await Runner().using(spans.tracing).run(left.each() | lift(len), ["a", "b"])
    assert {attributes_of(span)["stageflow.stage.item"] for span in spans.named("left")} == {(0,), (1,)}
    assert links_of(spans.one("len")) == {id_of(span) for span in spans.named("left")}


async def test_links_go_to_the_case_that_a_route_chose(spans: Spans) -> None:
    @lift
    def which(text: str) -> bool:
        return text == "x"

    await Runner().using(spans.tracing).run(route(which).case(True, left).otherwise(right) | lift(len), "x")
    assert links_of(spans.one("len")) == {id_of(spans.one("left"))}
    assert spans.named("right") == []


async def test_links_go_through_branches_that_are_put_together(spans: Spans) -> None:
    @lift
    def shown(both: tuple[str, tuple[str, str]]) -> str:
        return repr(both)

    nested = first | (left & (right & left.named("again")).together()) | shown
    await Runner().using(spans.tracing).run(nested, "x")
    assert links_of(spans.one("shown")) == {id_of(spans.one(name)) for name in ("left", "right", "again")}


async def test_what_did_not_run_is_linked_to_by_nobody(spans: Spans) -> None:
    absent = (left | right).named("inner").when(lambda _: False).optional()
    await Runner().using(spans.tracing).run(first | absent | lift(repr), "x")
    assert {span.name for span in spans.all if "stageflow.stage.name" in attributes_of(span)} == {"first", "repr"}
    assert links_of(spans.one("repr")) == set()


async def test_a_run_that_goes_on_is_linked_to_what_it_was_before_in_the_same_trace(spans: Spans) -> None:
    broken = [True]

    @lift
    def fragile(text: str) -> str:
        if broken:
            raise ValueError("not yet")
        return text

    runner = Runner(store=MemoryRunStore()).using(spans.tracing)
    ids = CorrelationIds(trace_id=TRACE)
    failed = await runner.run(fragile, "x", context=PipelineContext(correlation=ids))
    broken.clear()
    await runner.resume(fragile, failed.report.run_id)
    await runner.resume(fragile, failed.report.run_id)  # it has completed: nothing runs, and nothing is traced
    before, after = [span for span in spans.all if "stageflow.run.id" in attributes_of(span)]
    assert links_of(before) == set()
    assert links_of(after) == {id_of(before)}
    assert attributes_of(after)["stageflow.run.id"] == attributes_of(before)["stageflow.run.id"]
    assert {span.context.trace_id for span in (before, after) if span.context} == {int(TRACE, 16)}


class LostStore:
    """A store that is lost when the run ends."""

    async def create_run(self, run_id: UUID, **metadata: object) -> RunRecord:
        now = datetime.now(UTC)
        return RunRecord(run_id, "running", metadata, now, now)

    async def update_status(self, run_id: UUID, status: str, **data: object) -> None:
        raise OSError("disk full")

    async def get_run(self, run_id: UUID) -> RunRecord | None:
        return None


async def test_a_run_whose_store_was_lost_is_an_error(spans: Spans) -> None:
    with pytest.raises(RunStoreError):
        await Runner(store=LostStore()).using(spans.tracing).run((first | left).named("site"), "x")
    assert spans.one("site").status.status_code is StatusCode.ERROR
    assert [event.name for event in spans.one("site").events] == ["exception"]


async def test_the_end_of_a_run_that_it_did_not_see_start_is_nothing_to_it(spans: Spans) -> None:
    spans.tracing.run_ended(PipelineContext(), RuntimeError("another hook raised"))
    assert spans.all == ()
    spans.tracing.run_started(PipelineContext(pipeline="site"))
    Spans().tracing.run_ended(PipelineContext(), RuntimeError("of another interceptor"))
    assert trace.get_current_span().is_recording()
    spans.tracing.run_ended(PipelineContext(), RuntimeError("its own"))
    assert spans.one("site").status.description == "its own"
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_a_hundred_items_more_than_the_limit_are_not_all_linked(spans: Spans) -> None:
    await Runner().using(spans.tracing).run(left.each() | lift(len), [""] * 228)
    assert len(spans.named("left")) == 228
    assert len(links_of(spans.one("len"))) == 128


async def test_stages_that_are_traced_on_their_own_are_linked_too(spans: Spans) -> None:
    await (first.using(spans.tracing) | left | right.using(spans.tracing)).run("x")
    assert {span.name for span in spans.all} == {"first", "right"}
    assert links_of(spans.one("right")) == set()
    again = Spans()
    await (first.using(again.tracing) | right.using(again.tracing)).run("x")
    assert links_of(again.one("right")) == {id_of(again.one("first"))}


async def test_further_attempts_are_events_where_tracing_is_outermost(spans: Spans) -> None:
    await Runner().using(RETRIES).using(spans.tracing).run(flaky(2), "x")
    (span,) = [span for span in spans.named("flaky") if "stageflow.stage.name" in attributes_of(span)]
    assert [(event.name, dict(event.attributes or {})["stageflow.stage.attempt"]) for event in span.events] == [
        ("stageflow.stage.retrying", 2),
        ("stageflow.stage.retrying", 3),
    ]
    assert [dict(event.attributes or {})["exception.message"] for event in span.events] == ["failure 1", "failure 2"]
    assert attributes_of(span)["stageflow.stage.attempts"] == 3
    assert span.status.status_code is StatusCode.UNSET


async def test_each_attempt_is_a_span_where_tracing_is_inside_of_the_retry(spans: Spans) -> None:
    runner = Runner().using(spans.tracing).using(RETRIES)
    await runner.run((flaky(1) | left).named("site"), "x")
    attempts = spans.named("site.flaky")
    assert [attributes_of(span)["stageflow.stage.attempt"] for span in attempts] == [1, 2]
    assert [span.status.status_code for span in attempts] == [StatusCode.ERROR, StatusCode.UNSET]
    assert {parent_of(span) for span in attempts} == {id_of(spans.one("site"))}
    assert links_of(spans.one("site.left")) == {id_of(attempts[1])}


async def test_an_attempt_after_one_that_raised_is_beside_it_and_not_below(spans: Spans) -> None:
    raises = [ValueError("once")]

    @lift
    def shaky(text: str) -> str:
        if raises:
            raise raises.pop()
        return text

    always = RetryInterceptor(attempts=2, backoff=0.0, retry_when=lambda _: True)
    await Runner().using(spans.tracing).using(always).run((shaky | left).named("site"), "x")
    assert [parent_of(span) for span in spans.named("site.shaky")] == [id_of(spans.one("site"))] * 2


async def test_a_failure_is_an_error_of_its_stage_and_of_its_run(spans: Spans) -> None:
    outcome = await Runner().using(spans.tracing).run((first | flaky(1)).named("site"), "x")
    assert isinstance(outcome, Failed)
    broken, run = spans.one("site.flaky"), spans.one("site")
    for span in (broken, run):
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == "failure 1"
        assert str(attributes_of(span)["error.type"]).endswith(".FlakyError")
        assert attributes_of(span)["stageflow.status"] == "fail"
    assert [event.name for event in broken.events] == ["exception"]
    assert run.events == ()


async def test_a_defect_is_recorded_as_what_escaped(spans: Spans) -> None:
    @lift
    def broken(text: str) -> str:
        raise ValueError(text)

    await Runner().using(spans.tracing).run((first | broken).named("site"), "no good")
    for name in ("site.broken", "site"):
        assert attributes_of(spans.one(name))["error.type"] == "ValueError"
    (event,) = spans.one("site.broken").events
    about = dict(event.attributes or {})
    assert about["exception.message"] == "no good"
    assert "raise ValueError(text)" in str(about["exception.stacktrace"])


async def test_a_stage_that_returns_no_result_has_failed(spans: Spans) -> None:
    @stage
    async def wrong(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        return 3  # type: ignore[return-value]

    assert isinstance(await Runner().using(spans.tracing).run(wrong | first, "x"), Failed)
    assert spans.one("wrong").status.status_code is StatusCode.ERROR


async def test_a_skip_is_no_error_and_says_why(spans: Spans) -> None:
    @stage
    async def idle(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        return skip("nothing new")

    outcome = await Runner().using(spans.tracing).run((idle | left).named("site"), "x")
    assert isinstance(outcome, Skipped)
    assert (
        attributes_of(spans.one("site.idle")).items()
        >= {
            "stageflow.status": "skip",
            "stageflow.reason": "nothing new",
        }.items()
    )
    assert attributes_of(spans.one("site"))["stageflow.status"] == "skip"
    assert {span.status.status_code for span in spans.all} == {StatusCode.UNSET}


async def test_siblings_of_a_failure_are_cancelled_and_no_errors(spans: Spans) -> None:
    outcome = await Runner().using(spans.tracing).run((hangs & flaky(1)).together(), "x")
    assert isinstance(outcome, Failed)
    assert attributes_of(spans.one("hangs"))["stageflow.status"] == "cancel"
    assert spans.one("hangs").status.status_code is StatusCode.UNSET


async def test_a_stage_that_cancels_the_run_is_no_error(spans: Spans) -> None:
    @stage
    async def stops(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        return cancel("enough")

    assert isinstance(await Runner().using(spans.tracing).run((stops | left).named("site"), "x"), Cancelled)
    for name in ("site.stops", "site"):
        assert attributes_of(spans.one(name))["stageflow.status"] == "cancel"
        assert "enough" in str(attributes_of(spans.one(name))["stageflow.reason"])


async def test_a_cancelled_run_ends_its_spans(spans: Spans) -> None:
    begun = asyncio.Event()

    @stage
    async def begins(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        begun.set()
        await asyncio.Event().wait()
        return ok(inputs.value)

    task = asyncio.create_task(Runner().using(spans.tracing).run((first | begins).named("site"), "x"))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert attributes_of(spans.one("site.begins"))["stageflow.status"] == "cancel"
    assert attributes_of(spans.one("site"))["stageflow.status"] == "cancel"
    assert {span.status.status_code for span in spans.all} == {StatusCode.UNSET}


async def test_a_cancelled_error_of_the_stages_own_is_a_defect(spans: Spans) -> None:
    @stage
    async def confused(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        raise asyncio.CancelledError

    assert isinstance(await Runner().using(spans.tracing).run(first | confused, "x"), Failed)
    assert spans.one("confused").status.status_code is StatusCode.ERROR


async def test_a_timed_out_stage_is_an_error_outside_of_its_limit_and_cancelled_inside(spans: Spans) -> None:
    inner = Spans()
    limited = hangs.using(inner.tracing).using(TimeoutInterceptor(0.001)).using(spans.tracing)
    assert isinstance(await limited.run("x"), Failed)
    assert spans.one("hangs").status.status_code is StatusCode.ERROR
    assert attributes_of(spans.one("hangs"))["error.type"] == "stageflow.errors.StageTimeoutError"
    assert attributes_of(inner.one("hangs"))["stageflow.status"] == "cancel"


async def test_what_the_application_traces_is_below_its_stage_in_threads_too(spans: Spans) -> None:
    tracer = spans.provider.get_tracer("application")

    @stage
    async def queries(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        with tracer.start_as_current_span("query"):
            return ok(inputs.value)

    @lift(thread=True)
    def blocks(text: str) -> str:
        assert threading.current_thread() is not threading.main_thread()
        with tracer.start_as_current_span("blocking query"):
            return text

    await Runner().using(spans.tracing).run(queries | blocks, "x")
    assert parent_of(spans.one("query")) == id_of(spans.one("queries"))
    assert parent_of(spans.one("blocking query")) == id_of(spans.one("blocks"))


async def test_a_run_is_below_the_span_that_is_current_and_leaves_it_so(spans: Spans) -> None:
    tracer = spans.provider.get_tracer("application")
    with tracer.start_as_current_span("request") as request:
        handle = Runner().using(spans.tracing).start((first | left).named("site"), "x")
        assert isinstance(await handle, Completed)
        await first.using(spans.tracing).run("x")
        assert trace.get_current_span() is request
    assert parent_of(spans.one("site")) == parent_of(spans.one("first")) == id_of(spans.one("request"))


async def test_a_run_inside_of_a_stage_is_below_it(spans: Spans) -> None:
    runner = Runner().using(spans.tracing)

    @stage
    async def outer(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        inner = await runner.run((left | right).named("inner"), inputs.value)
        assert isinstance(inner, Completed)
        return ok(inner.value)

    await runner.run((outer | first).named("site"), "x")
    assert parent_of(spans.one("inner")) == id_of(spans.one("site.outer"))
    assert parent_of(spans.one("inner.left")) == id_of(spans.one("inner"))
    assert links_of(spans.one("inner.left")) == set()
    assert links_of(spans.one("site.first")) == {id_of(spans.one("site.outer"))}


async def test_a_run_joins_the_trace_of_its_correlation(spans: Spans) -> None:
    context = PipelineContext(correlation=CorrelationIds(trace_id=TRACE, request_id=UUID(int=7), extra={"tenant": "a"}))
    for _ in range(2):
        await Runner().using(spans.tracing).run((first | left).named("site"), "x", context=context)
    await first.using(spans.tracing).run("x", context=context)
    assert {trace.format_trace_id(span.context.trace_id) for span in spans.all if span.context} == {TRACE}
    one, other = spans.named("site")
    assert one.parent is not None
    assert one.parent == other.parent
    assert one.parent.is_remote
    assert attributes_of(one)["stageflow.correlation.tenant"] == "a"
    assert attributes_of(one)["stageflow.request.id"] == str(UUID(int=7))


async def test_a_current_span_goes_before_the_trace_of_the_correlation(spans: Spans) -> None:
    context = PipelineContext(correlation=CorrelationIds(trace_id=TRACE))
    with spans.provider.get_tracer("application").start_as_current_span("request"):
        await Runner().using(spans.tracing).run((first | left).named("site"), "x", context=context)
    assert parent_of(spans.one("site")) == id_of(spans.one("request"))


@pytest.mark.parametrize("wrong", ["", "xyz", "0" * 32, "4bf92f35"])
async def test_what_is_no_trace_id_starts_a_trace_of_its_own(spans: Spans, wrong: str) -> None:
    context = PipelineContext(correlation=CorrelationIds(trace_id=wrong))
    assert isinstance(
        await Runner().using(spans.tracing).run((first | left).named("site"), "x", context=context), Completed
    )
    assert parent_of(spans.one("site")) is None


async def test_log_lines_of_a_run_have_the_id_of_its_trace(spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
    @lift
    def talks(text: str) -> str:
        logging.getLogger("application").warning("hello")
        return text

    caplog.handler.addFilter(RunFilter())
    await Runner().using(CorrelationInterceptor()).using(spans.tracing).run((first | talks).named("site"), "x")
    await Runner().using(spans.tracing).using(CorrelationInterceptor()).run((first | talks).named("site"), "x")
    ids = [trace.format_trace_id(span.context.trace_id) for span in spans.named("site") if span.context]
    assert [record.trace_id for record in caplog.records if record.name == "application"] == ids


async def test_every_event_of_a_run_has_the_id_of_its_trace(spans: Spans) -> None:
    sink = RecordingEventSink()
    runner = Runner(sink=sink).using(spans.tracing)
    outcome = await runner.run((first | left).named("site"), "x")
    ids = {trace.format_trace_id(span.context.trace_id) for span in spans.all if span.context}
    assert len(ids) == 1
    assert {event.data.get("trace_id") for event in sink.events} == ids
    assert sink.types[0] == "pipeline.created"
    assert {outcome.report.correlation.trace_id} == ids


async def test_a_run_that_names_a_trace_itself_keeps_its_id_whatever_span_is_current(spans: Spans) -> None:
    sink, context = RecordingEventSink(), PipelineContext(correlation=CorrelationIds(trace_id=TRACE))
    runner = Runner(sink=sink).using(spans.tracing)
    await runner.run(first | left, "x", context=context)
    with spans.provider.get_tracer("application").start_as_current_span("request"):
        await runner.run(first | left, "x", context=context)
    assert {event.data["trace_id"] for event in sink.events} == {TRACE}


async def test_a_run_inside_of_a_stage_tells_the_same_trace(spans: Spans) -> None:
    sink = RecordingEventSink()
    runner = Runner(sink=sink).using(spans.tracing)

    @stage
    async def outer(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        await runner.run(first | left, inputs.value)
        return ok(inputs.value)

    await runner.run(outer, "x")
    assert sink.types.count("pipeline.created") == 2
    assert len({event.data["trace_id"] for event in sink.events}) == 1


async def test_without_an_sdk_events_name_no_trace() -> None:
    sink = RecordingEventSink()
    await Runner(sink=sink).using(TracingInterceptor(NoOpTracerProvider())).run(first | left, "x")
    assert sink.events
    assert not any("trace_id" in event.data for event in sink.events)


async def test_the_trace_goes_on_across_a_boundary(spans: Spans) -> None:
    sent: dict[str, str] = {}

    @lift
    def sends(text: str) -> str:
        sent.update(carrier())
        return text

    await Runner().using(spans.tracing).run(first | sends, "x")
    with continued(sent):
        await left.using(spans.tracing).run("x")
    assert set(sent) == {"traceparent"}
    there = spans.one("left")
    assert parent_of(there) == id_of(spans.one("sends"))
    assert there.parent is not None
    assert there.parent.is_remote
    assert not trace.get_current_span().get_span_context().is_valid


async def test_nothing_is_carried_where_no_span_is_current(spans: Spans) -> None:
    assert carrier() == {}
    for headers in ({}, {"traceparent": "nonsense"}):
        with continued(headers):
            await left.using(spans.tracing).run("x")
    assert [parent_of(span) for span in spans.named("left")] == [None, None]


@pytest.mark.parametrize("provider", [None, NoOpTracerProvider()])
async def test_without_an_sdk_nothing_is_made_and_the_stage_is_called_as_it_is(
    provider: NoOpTracerProvider | None,
) -> None:
    seen: list[object] = []

    async def function(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        seen.append((type(inputs), trace.get_current_span()))
        return ok(inputs.value)

    tracing = TracingInterceptor(provider)
    call, inputs = tracing.wrap(function), StageInputs("x")
    coroutine = call(inputs)
    assert getattr(coroutine, "cr_code", None) is function.__code__
    assert await coroutine == ok("x")
    await Runner().using(tracing).run(stage(function), "x")
    assert [span for _, span in seen] == [trace.INVALID_SPAN] * 2


async def test_an_application_that_installed_no_sdk_pays_for_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def start_span(self: object, name: str, *args: object, **kwargs: object) -> trace.Span:
        started.append(name)
        return trace.INVALID_SPAN

    for tracer in (trace.NoOpTracer, trace.ProxyTracer):
        monkeypatch.setattr(tracer, "start_span", start_span)
    retried = (first | flaky(1)).named("site")
    for tracing in (TracingInterceptor(), TracingInterceptor(NoOpTracerProvider())):
        assert isinstance(await Runner().using(RETRIES).using(tracing).run(retried, "x"), Completed)
        assert isinstance(await first.using(tracing).run("x"), Completed)
    assert started == []
    trace.get_tracer("application").start_span("the application's own")
    assert started == ["the application's own"]


async def test_what_is_not_sampled_stays_so_all_the_way_down() -> None:
    spans = Spans(ParentBased(ALWAYS_OFF))
    flags: list[bool] = []

    @lift
    def looks(text: str) -> str:
        context = trace.get_current_span().get_span_context()
        flags.append(context.is_valid and not context.trace_flags.sampled)
        return text

    assert isinstance(await Runner().using(RETRIES).using(spans.tracing).run(first | looks | flaky(1), "x"), Completed)
    assert spans.all == ()
    assert flags == [True]


async def test_a_tracer_that_raises_changes_no_outcome(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(SpanProcessor):
        @override
        def on_end(self, span: ReadableSpan) -> None:
            raise RuntimeError("broken processor")

    class BrokenSampler(Sampler):
        @override
        def should_sample(self, *args: object, **kwargs: object) -> SamplingResult:
            raise RuntimeError("broken sampler")

        @override
        def get_description(self) -> str:
            return "broken"

    for sampler in (None, BrokenSampler()):
        spans = Spans(sampler)
        spans.provider.add_span_processor(Broken())
        outcome = await Runner().using(spans.tracing).run(first | left, "x")
        assert isinstance(outcome, Completed)
    assert {record.levelname for record in caplog.records} == {"ERROR"}


async def test_two_of_them_nest(spans: Spans) -> None:
    other = Spans()
    runner = Runner().using(RETRIES).using(spans.tracing).using(other.tracing)
    assert isinstance(await runner.run((flaky(1) | left).named("site"), "x"), Completed)
    for made in (spans, other):
        assert len(made.all) == 3
        assert [event.name for event in made.one("site.flaky").events] == ["stageflow.stage.retrying"]
        assert attributes_of(made.one("site"))["stageflow.status"] == "ok"


async def test_a_stage_called_by_hand_has_a_span_too(spans: Spans) -> None:
    assert await spans.tracing(first)(StageInputs("x")) == ok("x")
    assert parent_of(spans.one("stage")) is None
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_what_a_run_made_is_forgotten_with_it(spans: Spans) -> None:
    from stageflow.interceptors import _spans

    gc.collect()
    before = len(_spans._MADE)
    await Runner().using(spans.tracing).run(first | (left & right) | join, "x")
    assert len(_spans._MADE) == before + 1
    await asyncio.sleep(0)  # until then the loop itself keeps what it just handed over
    gc.collect()
    assert len(_spans._MADE) == before


def test_it_is_a_value() -> None:
    assert TracingInterceptor() == TracingInterceptor()
    assert hash(TracingInterceptor()) == hash(TracingInterceptor())
    assert pickle.loads(pickle.dumps(TracingInterceptor())) == TracingInterceptor()


def test_importing_stageflow_imports_no_opentelemetry_and_without_it_the_error_says_what_to_install() -> None:
    program = """
import sys
import stageflow
assert not any(name.startswith("opentelemetry") for name in sys.modules)
sys.modules["opentelemetry"] = None
from stageflow.interceptors.metrics import MetricsInterceptor
from stageflow.interceptors.tracing import TracingInterceptor
from stageflow.observability.metrics import MemoryMetrics
from stageflow.observability.propagation import carrier, continued
from tests.documents import blocks_of
from tests.receiving import metrics_in, receiving, requests_to, spans_in
MetricsInterceptor(metrics=MemoryMetrics())
assert carrier() == {}
with continued({"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}):
    assert carrier() == {}
for made in (TracingInterceptor, MetricsInterceptor):
    try:
        made()
    except ImportError as error:
        assert "pip install 'stageflow[otel]'" in str(error), error
        assert made.__name__ in str(error), error
    else:
        raise AssertionError(made)
print("as it should be")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("as it should be\n", "")


def test_an_sdk_that_is_installed_after_the_pipeline_was_written_is_found() -> None:
    program = """
import asyncio
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from stageflow import Runner, lift
from stageflow.interceptors.metrics import MetricsInterceptor
from stageflow.interceptors.tracing import TracingInterceptor

alone = lift(str).named("alone").using(TracingInterceptor()).using(MetricsInterceptor())
runner = Runner().using(TracingInterceptor()).using(MetricsInterceptor())
asyncio.run(alone.run(1))
asyncio.run(runner.run(lift(str).named("quiet"), 1))

exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider([reader]))
asyncio.run(alone.run(1))
asyncio.run(runner.run(lift(str).named("watched"), 1))

print([span.name for span in exporter.get_finished_spans()])
found = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
attempts = next(metric for metric in found if metric.name == "stageflow.stage.attempts")
print(sorted((point.attributes["stageflow.stage.name"], point.value) for point in attempts.data.data_points))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["['alone', 'watched', 'watched']", "[('alone', 1), ('watched', 1)]"]


def hexadecimal(encoded: object) -> str:
    return base64.b64decode(str(encoded)).hex()


async def test_the_spans_of_a_diamond_with_a_retry_and_a_timeout_arrive_at_a_real_receiver() -> None:
    slow = hangs.named("slow").using(TimeoutInterceptor(0.01)).settled()

    @lift
    def together(both: tuple[str, object]) -> str:
        return both[0]

    diamond = (first | (flaky(1) & slow) | together).named("diamond")
    with receiving() as (port, process):
        provider = TracerProvider(resource=Resource.create({"service.name": "test"}), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"127.0.0.1:{port}", insecure=True, timeout=10)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        outcome = await Runner().using(RETRIES).using(TracingInterceptor(provider)).run(diamond, "x")
        assert isinstance(outcome, Completed)
        await asyncio.to_thread(provider.shutdown)
        requests, _ = await asyncio.to_thread(requests_to, process)
    spans = {str(span["name"]): span for span in spans_in(requests)}

    stages = {f"diamond.{name}" for name in ("first", "flaky", "slow", "together")}
    assert set(spans) == {"diamond", *stages}
    ids = {name: span["spanId"] for name, span in spans.items()}
    assert "parentSpanId" not in spans["diamond"]
    assert {name: spans[name]["parentSpanId"] for name in stages} == dict.fromkeys(stages, ids["diamond"])
    assert len({span["traceId"] for span in spans.values()}) == 1
    assert len(hexadecimal(spans["diamond"]["traceId"])) == 32

    def links(name: str) -> set[object]:
        given = spans[name].get("links", [])
        assert isinstance(given, list)
        return {link["spanId"] for link in given}

    assert links("diamond.first") == set()
    assert links("diamond.flaky") == links("diamond.slow") == {ids["diamond.first"]}
    assert links("diamond.together") == {ids["diamond.flaky"], ids["diamond.slow"]}
    assert spans["diamond.slow"]["status"] == {
        "code": "STATUS_CODE_ERROR",
        "message": 'Stage "diamond.slow" took longer than 0.01 s',
    }
    assert all(not spans[name].get("status") for name in spans if name != "diamond.slow")
    assert _texts(spans["diamond.slow"]["attributes"])["error.type"] == "stageflow.errors.StageTimeoutError"
    assert StageTimeoutError.__module__ == "stageflow.errors"
    events = spans["diamond.flaky"]["events"]
    assert isinstance(events, list)
    assert [event["name"] for event in events] == ["stageflow.stage.retrying"]
    assert _texts(spans["diamond"]["service"])["service.name"] == "test"


def _texts(attributes: object) -> dict[str, object]:
    assert isinstance(attributes, list)
    return {one["key"]: one["value"].get("stringValue") for one in attributes}


def test_the_program_of_the_guide_sends_its_spans_and_metrics_to_the_receiver_that_it_is_told_of() -> None:
    guide = Path(__file__).parents[2] / "docs" / "guides" / "observability.md"
    (block,) = [block for block in blocks_of(guide) if block.info == 'python title="traced.py"']
    with receiving() as (port, process):
        environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
        done = subprocess.run(
            [sys.executable, "-c", block.body], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        requests, _ = requests_to(process)
    assert done.stderr == ""
    assert done.stdout.startswith("Completed(value=(6, 'not')")
    assert {span["name"] for span in spans_in(requests)} == {"stats", "stats.fetch", "stats.words", "stats.longest"}
    assert {"stageflow.run.duration", "stageflow.stage.duration", "stageflow.stage.attempts"} <= set(
        metrics_in(requests)
    )
