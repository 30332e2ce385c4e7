"""Trace context for another process, as W3C ``traceparent`` and ``tracestate``: what an engine sends with a stage.

Nothing here needs OpenTelemetry: where it was not imported no span can be current, and there is nothing to carry.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager


def carrier() -> dict[str, str]:
    """The current trace context as W3C headers; empty where no span is current.

    >>> carrier()
    {}
    """
    headers: dict[str, str] = {}
    if "opentelemetry.trace" in sys.modules:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415  (an extra, only where it is used)

        TraceContextTextMapPropagator().inject(headers)
    return headers


@contextmanager
def continued(headers: Mapping[str, str]) -> Generator[None]:
    """Makes the trace that the headers name the current one inside the block: spans there are its children.

    Headers that name none, or whose text is wrong, change nothing, and neither does a process without OpenTelemetry.

    Args:
        headers: what `carrier` gave where the trace comes from.
    """
    if "traceparent" not in headers:
        yield
        return
    try:
        from opentelemetry import context  # noqa: PLC0415  (an extra, only where it is used)
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415  (an extra, only where it is used)
    except ModuleNotFoundError:
        yield
        return
    token = context.attach(TraceContextTextMapPropagator().extract(headers))
    try:
        yield
    finally:
        context.detach(token)
