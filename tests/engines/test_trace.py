"""One trace, from the run through the engine into the stage."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from stageflow import Completed, Runner
from stageflow.engines import Engine
from stageflow.interceptors.tracing import TracingInterceptor
from tests.engines.worker_stages import traced


@pytest.mark.asyncio(loop_scope="session")
async def test_a_span_that_a_stage_makes_on_a_worker_is_below_the_span_of_the_stage(engine: Engine) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    outcome = await Runner(engine=engine).using(TracingInterceptor(provider)).run(traced, 1)
    assert isinstance(outcome, Completed)
    stage, run = exporter.get_finished_spans()
    assert stage.parent is not None
    assert stage.parent.span_id == run.get_span_context().span_id
    assert outcome.value.parent == stage.get_span_context().span_id
    assert outcome.value.trace == stage.get_span_context().trace_id == run.get_span_context().trace_id
