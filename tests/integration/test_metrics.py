"""`MetricsInterceptor`: what is measured, and the real SDK and exporter to a receiver in another process."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import re
from collections.abc import Mapping

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from returns.result import Result
from typing_extensions import Never

from stageflow import (
    Cancelled,
    CircuitBreakerInterceptor,
    CircuitOpenError,
    Completed,
    CorrelationIds,
    Failed,
    PipelineContext,
    RetryInterceptor,
    Runner,
    Skipped,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    TimeoutInterceptor,
    fail,
    lift,
    ok,
    skip,
    stage,
)
from stageflow.interceptors.metrics import MetricsInterceptor
from stageflow.observability.metrics import MemoryMetrics, Series
from stageflow.observability.otel import OpenTelemetryMetrics
from tests.receiving import metrics_in, receiving, requests_to

RETRIES = RetryInterceptor(attempts=3, backoff=0.0)


class FlakyError(StageError): ...


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Measured:
    """An interceptor, its clock, and what it measured."""

    def __init__(self) -> None:
        self.metrics = MemoryMetrics()
        self.clock = Clock()
        self.interceptor = MetricsInterceptor(self.metrics, self.clock)

    def number(self, name: str, **attributes: str) -> int:
        return self.metrics.numbers.get(_series(name, attributes), 0)

    def durations(self, name: str, **attributes: str) -> tuple[float, ...]:
        return self.metrics.durations.get(_series(name, attributes), ())


def _series(name: str, attributes: Mapping[str, str]) -> Series:
    long = {"pipeline": "stageflow.pipeline.name", "status": "stageflow.status", "error": "error.type"}
    long |= {"stage": "stageflow.stage.name", "kind": "stageflow.stage.kind", "state": "stageflow.breaker.state"}
    return Series.of(f"stageflow.{name}", {long[short]: value for short, value in attributes.items()})


@pytest.fixture
def measured() -> Measured:
    return Measured()


@lift
def first(text: str) -> str:
    return text


@lift
def left(text: str) -> str:
    return text + "l"


@stage
async def hangs(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
    await asyncio.Event().wait()
    return ok(inputs.value)


def flaky(failures: int) -> Stage[str, str, FlakyError]:
    """A stage that fails so often, then gives what it was given."""
    left_to_fail = [FlakyError(f"failure {number}", retryable=True) for number in range(1, failures + 1)]

    @stage(name="flaky")
    async def run(inputs: StageInputs[str]) -> Result[StageOutput[str], FlakyError]:
        return fail(left_to_fail.pop(0)) if left_to_fail else ok(inputs.value)

    return run


FLAKY = {"pipeline": "site", "stage": "site.flaky", "kind": "transform"}
ERROR = f"{FlakyError.__module__}.FlakyError"


async def test_a_stage_and_its_run_are_measured_in_seconds(measured: Measured) -> None:
    @lift
    def works(text: str) -> str:
        measured.clock.now += 2.5
        return text

    await Runner().using(measured.interceptor).run((works | left).named("site"), "x")
    about = {"pipeline": "site", "kind": "transform", "status": "ok"}
    assert measured.durations("stage.duration", stage="site.works", **about) == (2.5,)
    assert measured.durations("stage.duration", stage="site.left", **about) == (0.0,)
    assert measured.durations("run.duration", pipeline="site", status="ok") == (2.5,)


async def test_attempts_are_counted_and_a_retried_success_is_no_failure(measured: Measured) -> None:
    outcome = await Runner().using(RETRIES).using(measured.interceptor).run((first | flaky(2)).named("site"), "x")
    assert isinstance(outcome, Completed)
    assert measured.number("stage.attempts", **FLAKY) == 3
    assert measured.number("stage.failures", error=ERROR, **FLAKY) == 0
    assert measured.durations("stage.duration", status="ok", **FLAKY) == (0.0,)


async def test_inside_of_the_retry_each_attempt_is_measured(measured: Measured) -> None:
    await Runner().using(measured.interceptor).using(RETRIES).run((first | flaky(2)).named("site"), "x")
    assert measured.number("stage.attempts", **FLAKY) == 3
    assert measured.number("stage.failures", error=ERROR, **FLAKY) == 2
    assert len(measured.durations("stage.duration", status="fail", error=ERROR, **FLAKY)) == 2
    assert len(measured.durations("stage.duration", status="ok", **FLAKY)) == 1


async def test_failures_are_counted_by_type_of_error(measured: Measured) -> None:
    @lift
    def broken(text: str) -> str:
        raise ValueError(text)

    runner = Runner().using(measured.interceptor)
    for pipeline in ((first | flaky(1)).named("site"), (first | broken).named("site")):
        assert isinstance(await runner.run(pipeline, "x"), Failed)
    assert measured.number("stage.failures", error=ERROR, **FLAKY) == 1
    assert measured.number("run.failures", pipeline="site", error=ERROR) == 1
    assert measured.number("run.failures", pipeline="site", error="ValueError") == 1
    broke = {"pipeline": "site", "stage": "site.broken", "kind": "transform", "error": "ValueError"}
    assert measured.number("stage.failures", **broke) == 1
    assert len(measured.durations("stage.duration", status="fail", **broke)) == 1


async def test_what_is_no_result_is_a_failure(measured: Measured) -> None:
    @stage
    async def wrong(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        return 3  # type: ignore[return-value]

    assert isinstance(await wrong.using(measured.interceptor).run("x"), Failed)
    assert measured.number("stage.failures", pipeline="wrong", stage="wrong", kind="transform", error="TypeError") == 1


async def test_runs_and_stages_under_way_are_counted_up_and_down(measured: Measured) -> None:
    seen: list[tuple[int, int]] = []
    about = {"pipeline": "site", "stage": "site.looks", "kind": "transform"}

    @lift
    def looks(text: str) -> str:
        seen.append((measured.number("run.active", pipeline="site"), measured.number("stage.active", **about)))
        return text

    await Runner().using(measured.interceptor).run((looks | left).named("site"), "x")
    assert seen == [(1, 1)]
    assert measured.number("run.active", pipeline="site") == measured.number("stage.active", **about) == 0


async def test_a_cancelled_run_is_no_longer_under_way_and_no_failure(measured: Measured) -> None:
    handle = Runner().using(measured.interceptor).start((hangs & first).together().named("site"), "x")
    for _ in range(20):
        await asyncio.sleep(0)
    about = {"pipeline": "site", "stage": "site.hangs", "kind": "transform"}
    assert measured.number("stage.active", **about) == 1
    handle.cancel("enough")
    assert isinstance(await handle, Cancelled)
    assert measured.number("stage.active", **about) == measured.number("run.active", pipeline="site") == 0
    assert len(measured.durations("stage.duration", status="cancel", **about)) == 1
    assert len(measured.durations("run.duration", pipeline="site", status="cancel")) == 1
    assert not any("failures" in series.name for series in measured.metrics.numbers)


async def test_a_skip_is_a_status_of_its_own(measured: Measured) -> None:
    @stage
    async def idle(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        return skip("nothing new")

    assert isinstance(await Runner().using(measured.interceptor).run((idle | left).named("site"), "x"), Skipped)
    about = {"pipeline": "site", "stage": "site.idle", "kind": "transform"}
    assert len(measured.durations("stage.duration", status="skip", **about)) == 1
    assert len(measured.durations("run.duration", pipeline="site", status="skip")) == 1


async def test_items_and_runs_make_no_series_of_their_own(measured: Measured) -> None:
    runner = Runner().using(measured.interceptor)
    for _ in range(3):
        context = PipelineContext(correlation=CorrelationIds(trace_id="4bf92f3577b34da6a3ce929d0e0e4736"))
        await runner.run((left.each() | lift(len)).named("site"), ["a"] * 50, context=context)
    values = {value for series in measured.metrics.numbers for _, value in series.attributes}
    values |= {value for series in measured.metrics.durations for _, value in series.attributes}
    assert values == {"site", "site.left", "site.len", "transform", "ok"}
    assert (
        len(measured.durations("stage.duration", pipeline="site", stage="site.left", kind="transform", status="ok"))
        == 150
    )


async def test_the_states_of_a_breaker_are_levels(measured: Measured) -> None:
    breaker = CircuitBreakerInterceptor(
        failures=2, reset_after=10.0, clock=measured.clock, on_change=measured.interceptor.breaker_changed
    )
    guarded = flaky(2).using(breaker).using(measured.interceptor)

    def states() -> list[str]:
        words = ("closed", "open", "half_open")
        return [word for word in words if measured.number("breaker.state", stage="flaky", state=word)]

    for _ in range(3):
        assert isinstance(await guarded.run("x"), Failed)
    assert states() == ["open"]
    refused = f"{CircuitOpenError.__module__}.CircuitOpenError"
    about = {"pipeline": "flaky", "stage": "flaky", "kind": "transform"}
    assert measured.number("stage.failures", error=refused, **about) == 1
    measured.clock.now += 11.0
    assert isinstance(await guarded.run("x"), Completed)
    assert states() == ["closed"]


async def test_two_of_them_on_one_runner_and_runs_inside_of_runs_are_told_apart(measured: Measured) -> None:
    other = Measured()
    runner = Runner().using(measured.interceptor).using(other.interceptor)

    @stage
    async def outer(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        inner = await runner.run((left | first).named("inner"), inputs.value)
        assert isinstance(inner, Completed)
        return ok(inner.value)

    await runner.run((outer | first).named("site"), "x")
    for one in (measured, other):
        assert len(one.durations("run.duration", pipeline="site", status="ok")) == 1
        assert len(one.durations("run.duration", pipeline="inner", status="ok")) == 1
        assert {one.number("run.active", pipeline=name) for name in ("site", "inner")} == {0}


async def test_metrics_that_raise_change_no_outcome(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def enabled(self) -> bool:
            return True

        def record(self, *measurement: object) -> None:
            raise RuntimeError("broken")

        count = change = level = record

    interceptor = MetricsInterceptor(Broken())
    breaker = CircuitBreakerInterceptor(failures=1, on_change=interceptor.breaker_changed)
    assert isinstance(await Runner().using(interceptor).run(first | left, "x"), Completed)
    failed = await Runner().using(breaker).using(interceptor).run(flaky(1) | left, "x")
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, FlakyError)
    assert {record.name for record in caplog.records} == {"stageflow.interceptors.metrics"}


@pytest.mark.parametrize("provider", [None, NoOpMeterProvider()])
async def test_without_an_sdk_the_stage_is_called_as_it_is(provider: NoOpMeterProvider | None) -> None:
    async def function(inputs: StageInputs[str]) -> Result[StageOutput[str], Never]:
        return ok(inputs.value)

    interceptor = MetricsInterceptor(OpenTelemetryMetrics(provider))
    coroutine = interceptor.wrap(function)(StageInputs("x"))
    assert getattr(coroutine, "cr_code", None) is function.__code__
    assert await coroutine == ok("x")
    assert isinstance(await Runner().using(interceptor).run(stage(function) | left, "x"), Completed)


def test_a_run_that_could_not_go_on_is_a_failure_and_one_not_seen_to_start_is_nothing(measured: Measured) -> None:
    def run() -> None:
        measured.interceptor.run_started(PipelineContext(pipeline="site"))
        Measured().interceptor.run_ended(PipelineContext(pipeline="site"), OSError("of another interceptor"))
        measured.interceptor.run_ended(PipelineContext(pipeline="site"), OSError("disk full"))
        measured.interceptor.run_ended(PipelineContext(pipeline="site"), OSError("disk full"))

    contextvars.copy_context().run(run)
    assert measured.number("run.failures", pipeline="site", error="OSError") == 1
    assert measured.number("run.active", pipeline="site") == 0
    assert measured.durations("run.duration", pipeline="site", status="fail", error="OSError") == (0.0,)


async def test_a_stage_called_by_hand_is_measured_too(measured: Measured) -> None:
    assert await measured.interceptor(first)(StageInputs("x")) == ok("x")
    assert measured.durations("stage.duration", stage="", kind="transform", status="ok") == (0.0,)


def test_it_is_a_value() -> None:
    assert MetricsInterceptor() == MetricsInterceptor()
    assert hash(MetricsInterceptor()) == hash(MetricsInterceptor())
    assert pickle.loads(pickle.dumps(MetricsInterceptor())) == MetricsInterceptor()
    assert repr(OpenTelemetryMetrics()) == "OpenTelemetryMetrics()"


async def test_the_metrics_of_a_diamond_arrive_at_a_real_receiver() -> None:
    slow = hangs.named("slow").using(TimeoutInterceptor(0.01)).settled()

    @lift
    def together(both: tuple[str, object]) -> str:
        return both[0]

    diamond = (first | (flaky(1) & slow) | together).named("diamond")
    with receiving() as (port, process):
        exporter = OTLPMetricExporter(endpoint=f"127.0.0.1:{port}", insecure=True, timeout=10)
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
        provider = MeterProvider([reader], shutdown_on_exit=False)
        interceptor = MetricsInterceptor(OpenTelemetryMetrics(provider))
        breaker = CircuitBreakerInterceptor(failures=1, on_change=interceptor.breaker_changed)
        runner = Runner().using(breaker).using(interceptor)
        outcome = await Runner().using(RETRIES).using(interceptor).run(diamond, "x")
        assert isinstance(outcome, Completed)
        assert isinstance(await runner.run((first | flaky(1)).named("guarded"), "x"), Failed)
        await asyncio.to_thread(provider.shutdown)
        requests, everything = await asyncio.to_thread(requests_to, process)
    metrics = metrics_in(requests)

    assert set(metrics) == {
        "stageflow.breaker.state",
        "stageflow.run.active",
        "stageflow.run.duration",
        "stageflow.run.failures",
        "stageflow.stage.active",
        "stageflow.stage.attempts",
        "stageflow.stage.duration",
        "stageflow.stage.failures",
    }
    assert metrics["stageflow.stage.duration"]["unit"] == metrics["stageflow.run.duration"]["unit"] == "s"
    attempts = {attributes["stageflow.stage.name"]: value for attributes, value in points(metrics, "stage.attempts")}
    assert attempts["diamond.flaky"] == "2"
    assert attempts["diamond.first"] == attempts["diamond.slow"] == attempts["diamond.together"] == "1"
    timed_out = ("diamond.slow", "stageflow.errors.StageTimeoutError")
    failures = [(found["stageflow.stage.name"], found["error.type"]) for found, _ in points(metrics, "stage.failures")]
    assert sorted(failures) == [timed_out, ("guarded.flaky", ERROR)]
    durations = {found["stageflow.stage.name"]: found for found, _ in points(metrics, "stage.duration")}
    assert durations["diamond.slow"]["stageflow.status"] == "fail"
    states = {found["stageflow.breaker.state"]: value for found, value in points(metrics, "breaker.state")}
    assert states == {"open": "1", "closed": "0", "half_open": "0"}
    assert {value for _, value in points(metrics, "run.active")} == {"0"}
    assert str(outcome.report.run_id) not in everything
    values = {value for name in metrics for found, _ in points(metrics, name) for value in found.values()}
    assert "diamond.flaky" in values
    assert not any(re.search(r"[0-9a-f]{8}-[0-9a-f]{4}|\[\d", value) for value in values)


def points(metrics: Mapping[str, Mapping[str, object]], name: str) -> list[tuple[dict[str, str], str]]:
    """The attributes and the value of each point of a metric; of a histogram, the count."""
    metric = metrics[f"stageflow.{name.removeprefix('stageflow.')}"]
    (kind,) = {"sum", "gauge", "histogram"} & set(metric)
    data = metric[kind]
    assert isinstance(data, dict)
    return [
        (
            {one["key"]: one["value"]["stringValue"] for one in point["attributes"]},
            point.get("asInt", point.get("count", "0")),
        )
        for point in data["dataPoints"]
    ]
