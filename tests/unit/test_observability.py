"""Ids on log lines, attributes, and measurements in memory."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from uuid import UUID

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from returns.result import Result
from typing_extensions import Never

from stageflow import (
    Cancelled,
    Completed,
    CorrelationIds,
    Interceptor,
    LoggingInterceptor,
    PipelineContext,
    Runner,
    StageExecutionError,
    StageInputs,
    StageOutput,
    lift,
    ok,
    stage,
)
from stageflow.core.log_ids import bind_run, bind_trace, log_ids
from stageflow.interceptors._stages import without_items
from stageflow.interceptors.correlation import CorrelationInterceptor
from stageflow.interceptors.metrics import MetricsInterceptor
from stageflow.interceptors.tracing import TracingInterceptor
from stageflow.observability.attributes import error_type, original
from stageflow.observability.logging import RunFilter, add_run_ids
from stageflow.observability.metrics import MemoryMetrics, Series
from stageflow.sinks.fan_out import FanOutEventSink
from stageflow.testing import check_interceptor, run_virtually

RUN, REQUEST = UUID(int=1), UUID(int=2)
IDS = CorrelationIds(request_id=REQUEST, extra={"tenant": "acme"})
LOG = logging.getLogger("application")


class Lines(logging.Handler):
    """What went through a handler with the filter."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.addFilter(RunFilter())

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def ids(self, *names: str) -> list[tuple[object, ...]]:
        return [tuple(getattr(record, name, None) for name in names) for record in self.records]


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines()
    LOG.addHandler(handler)
    yield handler
    LOG.removeHandler(handler)


def fresh(function: object) -> None:
    """Runs a function in a context of its own."""
    assert callable(function)
    contextvars.copy_context().run(function)


@lift
def talks(text: str) -> str:
    LOG.warning("talks")
    return text


@lift(thread=True)
def blocks(text: str) -> str:
    assert threading.current_thread() is not threading.main_thread()
    LOG.warning("blocks")
    return text


CONTEXT = PipelineContext(run_id=RUN, correlation=IDS)


async def test_lines_of_a_stage_and_of_its_thread_have_the_ids_of_the_run(lines: Lines) -> None:
    runner = Runner().using(CorrelationInterceptor())
    assert isinstance(await runner.run((talks | blocks).named("site"), "x", context=CONTEXT), Completed)
    same = (str(RUN), str(REQUEST), "acme")
    assert lines.ids("run_id", "request_id", "tenant", "stage") == [(*same, "site.talks"), (*same, "site.blocks")]


async def test_ids_reach_no_line_outside_of_the_run(lines: Lines) -> None:
    await Runner().using(CorrelationInterceptor()).run(talks, "x", context=CONTEXT)
    await talks.using(CorrelationInterceptor()).run("x", context=CONTEXT)
    LOG.warning("outside")
    assert lines.ids("run_id", "stage")[-1] == ("", "")
    assert dict(log_ids.get()) == {}


async def test_concurrent_runs_keep_their_ids_apart(lines: Lines) -> None:
    turn = asyncio.Event()

    @stage
    async def waits(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
        if inputs.value == 1:
            await turn.wait()
        turn.set()
        LOG.warning("%d", inputs.value)
        return ok(inputs.value)

    runner = Runner().using(CorrelationInterceptor())
    runs = [runner.run(waits, number, context=PipelineContext(run_id=UUID(int=number))) for number in (1, 2)]
    await asyncio.gather(*runs)
    assert lines.ids("msg", "args", "run_id") == [("%d", (n,), str(UUID(int=n))) for n in (2, 1)]


async def test_what_a_line_brings_itself_stays(lines: Lines) -> None:
    @lift
    def speaks(text: str) -> str:
        LOG.warning("speaks", extra={"run_id": "mine"})
        return text

    odd = PipelineContext(run_id=RUN, correlation=CorrelationIds(extra={"name": "odd", "msg": "odd"}))
    await Runner().using(CorrelationInterceptor()).run(speaks, "x", context=odd)
    assert lines.ids("run_id", "name", "msg") == [("mine", "application", "speaks")]


async def test_a_run_inside_of_a_stage_has_its_own_ids(lines: Lines) -> None:
    runner = Runner().using(CorrelationInterceptor())

    @stage
    async def outer(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        await runner.run(talks, "x", context=PipelineContext(run_id=UUID(int=9)))
        LOG.warning("outer")
        return ok(inputs.value)

    await runner.run(outer, "x", context=CONTEXT)
    assert lines.ids("run_id", "stage", "tenant") == [
        (str(UUID(int=9)), "talks", None),
        (str(RUN), "outer", "acme"),
    ]


async def test_the_librarys_own_lines_have_the_ids_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(RunFilter())
    runner = Runner().using(LoggingInterceptor(level=logging.WARNING)).using(CorrelationInterceptor())
    await runner.run(talks, "x", context=CONTEXT)
    line = next(record for record in caplog.records if record.name.startswith("stageflow."))
    assert (line.__dict__["stage"], line.__dict__["run_id"], line.__dict__["tenant"]) == ("talks", str(RUN), "acme")
    assert "duration_ms" in line.__dict__


class Refusing:
    """A sink that raises on every event, and tells of nothing itself."""

    def try_emit(self, *, type: str, data: object) -> None:
        raise OSError("no route")

    async def emit(self, *, type: str, data: object) -> None:
        raise OSError("no route")


async def test_the_executors_own_lines_have_the_ids_from_the_first_event_to_the_last(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.handler.addFilter(RunFilter())
    for sink in (Refusing(), FanOutEventSink(Refusing())):
        caplog.clear()
        await Runner(sink=sink).run(talks | blocks, "x", context=CONTEXT)
        lines = [record for record in caplog.records if record.name.startswith("stageflow.")]
        assert len(lines) == 7  # created, started, two a stage, completed
        assert {(line.__dict__["run_id"], line.__dict__["tenant"]) for line in lines} == {(str(RUN), "acme")}
    assert dict(log_ids.get()) == {}


def test_a_stage_that_ignores_its_cancellation_is_named_with_the_ids_whoever_cancels(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @stage
    async def ignores(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        for _ in range(2):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(20.0)
        return ok(inputs.value)

    async def cancelled_from_outside() -> object:
        handle = Runner().start(ignores, "x", context=CONTEXT)
        await asyncio.sleep(1.0)
        handle.cancel("enough")
        return await handle

    caplog.handler.addFilter(RunFilter())
    assert isinstance(run_virtually(cancelled_from_outside()), Cancelled)
    (line,) = [record for record in caplog.records if "waits for" in record.getMessage()]
    assert (line.__dict__["run_id"], line.__dict__["tenant"]) == (str(RUN), "acme")


def test_the_filter_drops_nothing_and_gives_every_line_the_names_of_a_format() -> None:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "message", (), None)
    assert RunFilter(always=("run_id", "shard")).filter(record)
    assert (record.__dict__["run_id"], record.__dict__["shard"]) == ("", "")
    assert not hasattr(record, "stage")


def test_the_processor_is_one_for_structlog() -> None:
    def logged() -> None:
        bind_run(RUN, IDS, stage="fetch")
        structlog.wrap_logger(None, processors=[add_run_ids, captured]).info("hello", stage="mine")

    events: list[dict[str, object]] = []

    def captured(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
        events.append(dict(event))
        raise structlog.DropEvent

    fresh(logged)
    about = {"run_id": str(RUN), "request_id": str(REQUEST), "tenant": "acme"}
    assert events == [{"event": "hello", "stage": "mine", **about}]


def test_a_trace_stays_where_a_run_inside_of_it_names_none() -> None:
    def bound() -> None:
        bind_trace("a" * 32)
        bind_run(RUN, IDS)
        assert log_ids.get()["trace_id"] == "a" * 32
        bind_run(RUN, CorrelationIds(trace_id="b" * 32))
        bind_trace("c" * 32)
        assert dict(log_ids.get()) == {"trace_id": "b" * 32, "run_id": str(RUN)}

    fresh(bound)


def test_ids_cannot_be_changed_where_they_are_read() -> None:
    def bound() -> None:
        bind_run(RUN, IDS)
        with pytest.raises(TypeError):
            log_ids.get()["run_id"] = "other"  # type: ignore[index]

    fresh(bound)


async def test_closing_a_stage_unfinished_from_elsewhere_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    @stage
    async def waits(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        await asyncio.sleep(0)
        return ok(inputs.value)

    tracing = TracingInterceptor(TracerProvider(shutdown_on_exit=False))
    for interceptor in (CorrelationInterceptor(), tracing):
        coroutine = interceptor.wrap(waits)(StageInputs("x"))
        assert asyncio.iscoroutine(coroutine)
        contextvars.copy_context().run(coroutine.send, None)
        coroutine.close()
    assert caplog.records == []


def test_what_went_wrong_is_the_exception_under_the_defect() -> None:
    outer, inner = StageExecutionError("outer"), StageExecutionError("inner")
    outer.__cause__, inner.__cause__ = inner, KeyError("x")
    assert original(outer) is inner.__cause__
    assert error_type(outer) == "KeyError"
    assert error_type(StageExecutionError("bare")) == "stageflow.errors.StageExecutionError"


@pytest.mark.parametrize(
    ("name", "bare"), [("fetch[7]", "fetch"), ("a[1].b[2][3]", "a.b"), ("fetch", "fetch"), ("odd[x]", "odd[x]")]
)
def test_a_stage_is_named_without_items(name: str, bare: str) -> None:
    assert without_items(name) == bare


def test_measurements_are_kept_by_name_and_attributes() -> None:
    metrics = MemoryMetrics()
    assert metrics.enabled()
    metrics.count("calls", 1, {"a": "1", "b": "2"})
    metrics.count("calls", 2, {"b": "2", "a": "1"})
    metrics.change("active", 1, {})
    metrics.change("active", -1, {})
    metrics.level("state", 1, {})
    metrics.level("state", 0, {})
    metrics.record("seconds", 0.5, {})
    metrics.record("seconds", 0.25, {})
    calls = Series.of("calls", {"a": "1", "b": "2"})
    assert dict(metrics.numbers) == {calls: 3, Series("active"): 0, Series("state"): 0}
    assert dict(metrics.durations) == {Series("seconds"): (0.5, 0.25)}


TRACED = TracingInterceptor(TracerProvider(shutdown_on_exit=False))
MEASURED = MetricsInterceptor(MemoryMetrics())


@pytest.mark.parametrize("interceptor", [TRACED, TracingInterceptor(), MEASURED, CorrelationInterceptor()], ids=repr)
def test_whoever_only_observes_keeps_the_laws_of_interceptors(interceptor: Interceptor[Never]) -> None:
    check_interceptor(interceptor)
