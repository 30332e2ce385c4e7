"""The report of a run that a real store kept: from the SQLite file alone, it tells what the outcome told."""

from __future__ import annotations

from pathlib import Path

import pytest
from returns.result import Result

import stageflow.durable  # noqa: F401  (a durable store needs it)
from stageflow import (
    CorrelationIds,
    Failed,
    Pipeline,
    PipelineContext,
    RetryInterceptor,
    Runner,
    StageError,
    StageInputs,
    StageOutput,
    fail,
    lift,
    ok,
    skip,
    stage,
)
from stageflow.codec import Codec
from stageflow.graph.outcome import Outcome
from stageflow.journal import StageRecord
from stageflow.stores import SqliteRunStore
from stageflow.views.report import ReportData, as_html, outcome_report, stored_report


class BusyError(StageError):
    url: str


@lift
def discover(count: int) -> tuple[int, ...]:
    return tuple(range(count))


@stage
async def fetch(inputs: StageInputs[int]) -> Result[StageOutput[int], BusyError]:
    if inputs.context.attempt == 1 and inputs.value == 1:
        return fail(BusyError("busy", url="https://a/1", retryable=True))
    return skip("nothing new") if inputs.value == 2 else ok(inputs.value)


@lift
def total(found: tuple[int | None, ...]) -> int:
    return sum(number or 0 for number in found)


@stage
async def publish(inputs: StageInputs[int]) -> Result[StageOutput[int], BusyError]:
    return fail(BusyError("the cluster is away", url="https://cluster"))


@lift
def notify(done: int) -> int:
    return done


polite = fetch.using(RetryInterceptor(attempts=2)).optional()
site: Pipeline[int, int, BusyError] = discover | polite.each() | total | publish | notify


CONTEXT = PipelineContext(
    correlation=CorrelationIds(trace_id="4bf92f3577b34da6a3ce929d0e0e4736", extra={"tenant": "acme"})
)


@pytest.fixture
async def told(tmp_path: Path) -> tuple[Outcome, ReportData]:
    """What a run came to, and the report that another process would make of its file."""
    path = tmp_path / "runs.sqlite"
    async with Runner(store=SqliteRunStore(path)) as runner:
        outcome = await runner.run(site, 4, context=CONTEXT)
    store, codec = SqliteRunStore(path), Codec()

    def decode(record: StageRecord) -> StageError | None:
        return None if record.payload is None else codec.decode_failure(record.payload).value_or(None)

    try:
        run = await store.get_run(outcome.report.run_id)
        assert run is not None
        report = stored_report(run, await store.load(run.run_id), site, decode=decode)
    finally:
        await store.aclose()
    return outcome, report


async def test_a_report_from_a_store_tells_of_the_same_stages_as_the_outcome(told) -> None:
    outcome, stored = told
    assert isinstance(outcome, Failed)
    report = outcome_report(outcome, site)
    assert (stored.run_id, stored.pipeline, stored.status) == (report.run_id, report.pipeline, "failed")
    assert dict(stored.correlation) == {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "tenant": "acme"}
    assert [(each.name, each.status, each.attempts) for each in stored.stages] == [
        (each.name, each.status, each.attempts) for each in report.stages
    ]


async def test_the_error_of_a_stage_comes_back_with_its_fields(told) -> None:
    _, stored = told
    (failed,) = [each for each in stored.stages if each.status == "fail"]
    assert failed.error is not None
    assert (failed.error.type, failed.error.message) == ("BusyError", "the cluster is away")
    assert dict(failed.error.fields)["url"] == "https://cluster"
    assert stored.critical[-1] == "publish"
    assert "the cluster is away" in as_html(stored)
