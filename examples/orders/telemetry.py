"""Log lines that name their order, and traces where somebody collects them (``OTEL_EXPORTER_OTLP_ENDPOINT``)."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from stageflow.observability.logging import RunFilter

_FORMAT = "%(asctime)s %(levelname)s order=%(run_id)s request=%(request_id)s trace=%(trace_id)s %(message)s"


def log_orders() -> None:
    """Has every log line name the order, the request and the trace that it is about."""
    handler = logging.StreamHandler()
    handler.addFilter(RunFilter())
    logging.basicConfig(level=logging.INFO, format=_FORMAT, handlers=[handler])


@contextmanager
def tracing() -> Generator[None]:
    """Sends spans where the environment says, and sends the last of them at the end; without that, makes none."""
    if "OTEL_EXPORTER_OTLP_ENDPOINT" not in os.environ:
        yield
        return
    provider = TracerProvider(resource=Resource.create({"service.name": "orders"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()
