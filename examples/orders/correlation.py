"""The ids that a request brings, which its order keeps: also in the process that goes on with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from uuid import UUID, uuid4

from opentelemetry import trace

from stageflow import CorrelationIds

REQUEST_ID, TRACEPARENT = "x-request-id", "traceparent"
_W3C = re.compile(
    r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}"
)  # https://www.w3.org/TR/trace-context


def correlation_of(headers: Mapping[str, str]) -> CorrelationIds:
    """The ids of a request: one of its own where it brings none, or none that can be read.

    >>> ids = correlation_of({"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
    >>> ids.trace_id
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    return CorrelationIds(request_id=_request_id(headers), trace_id=_trace_id(headers))


def _trace_id(headers: Mapping[str, str]) -> str | None:
    if traced := _W3C.match(headers.get(TRACEPARENT, "")):
        return traced[1]
    span = trace.get_current_span().get_span_context()  # that of the request, where no caller has one
    return trace.format_trace_id(span.trace_id) if span.is_valid else None


def _request_id(headers: Mapping[str, str]) -> UUID:
    try:
        return UUID(headers[REQUEST_ID])
    except (KeyError, ValueError):
        return uuid4()
