"""Spans for runs and stages on OpenTelemetry's API. Nothing that a tracer raises changes how a stage goes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextvars import Token
from functools import lru_cache
from itertools import islice
from typing import TypeAlias
from weakref import WeakKeyDictionary

from opentelemetry import context as active
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanContext, Status, StatusCode, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from typing_extensions import override

from stageflow._version import __version__
from stageflow.context.inputs import StageInputs
from stageflow.errors import StageError
from stageflow.graph.execution.inputs import RunInputs
from stageflow.graph.execution.run import Run
from stageflow.interceptors._stages import MOST, Ending, Key, correlation, items, key, observed, upstream
from stageflow.observability import attributes as name

_LOG = logging.getLogger(__name__)

Attributes: TypeAlias = dict[str, "str | int | Sequence[int]"]

_W3C = TraceContextTextMapPropagator()
_SPAN_ID = (1 << 64) - 1  # the digits that a span id has
_IDLE = (trace.ProxyTracerProvider, trace.NoOpTracerProvider)
# What the stages of a run have made, so that those which follow can link to it. It holds ids, not the run.
_MADE: WeakKeyDictionary[Run, dict[Key, SpanContext]] = WeakKeyDictionary()


@lru_cache(maxsize=8)
def tracer(provider: TracerProvider | None) -> Tracer:
    """The library's tracer of a provider; of the application's one, whenever that is set, where None."""
    return trace.get_tracer("stageflow", __version__, provider)


def is_live(provider: TracerProvider | None) -> bool:
    """Whether spans go anywhere: whether there is an SDK."""
    return not isinstance(trace.get_tracer_provider() if provider is None else provider, _IDLE)


def started(
    by: Tracer, title: str, attributes: Attributes, *, links: Sequence[Link] = (), trace_id: str | None = None
) -> Span:
    """A span that has started, under the current one; where there is none, in the trace that an id names."""
    try:
        return by.start_span(title, _joined(trace_id), attributes=attributes, links=links)
    except Exception:  # noqa: BLE001  (tracing never changes how a stage goes)
        _LOG.exception("No span could be started for %s; it goes on without.", title)
        return trace.NonRecordingSpan(trace.get_current_span().get_span_context())


def entered(span: Span) -> Token[active.Context]:
    """Makes a span the current one; the token is for `left`, in the same context."""
    return active.attach(trace.set_span_in_context(span))


def left(token: Token[active.Context]) -> None:
    """Makes the span that was current before the current one again."""
    active.detach(token)


def links_to(traceparent: str) -> tuple[Link, ...]:
    """A link to the span that a ``traceparent`` names; none where it names none."""
    if not traceparent:
        return ()
    there = trace.get_current_span(_W3C.extract({"traceparent": traceparent}, active.Context())).get_span_context()
    return (Link(there),) if there.is_valid else ()


def trace_id_of(span: Span) -> str | None:
    """The trace of a span, as 32 hexadecimal digits; None of a span that belongs to none."""
    context = span.get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def _joined(trace_id: str | None) -> active.Context | None:
    """A context with a parent in the trace, which is in another process, or nowhere, but was sampled there."""
    if trace_id is None or trace.get_current_span().get_span_context().is_valid:
        return None
    try:
        number = int(trace_id, 16)
    except ValueError:
        number = 0
    if len(trace_id) != 32 or number == 0:  # noqa: PLR2004  (hexadecimal digits, as W3C has them)
        _LOG.debug("The trace id %r is not 32 hexadecimal digits: the run starts a trace of its own.", trace_id)
        return None
    parent = number & _SPAN_ID or 1  # the same for every run of the trace, so that they show side by side
    sampled = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    there = SpanContext(number, parent, is_remote=True, trace_flags=sampled)
    return trace.set_span_in_context(trace.NonRecordingSpan(there))


def stage_span(by: Tracer, inputs: StageInputs[object]) -> Span:
    """A span for a call of a stage, linked to the spans of what the stage follows."""
    stage = observed(inputs)
    about: Attributes = {name.STAGE: stage.name, name.KIND: stage.kind.value, name.ATTEMPT: inputs.attempt}
    if stage.pipeline:
        about[name.PIPELINE] = stage.pipeline
    if numbers := items(inputs):
        about[name.ITEM] = numbers
    trace_id = correlation(inputs).trace_id
    made = _MADE.setdefault(inputs.ledger.run, {}) if isinstance(inputs, RunInputs) else {}
    span = started(by, stage.name or "stage", about, links=_links(inputs, made), trace_id=trace_id)
    if isinstance(inputs, RunInputs) and span.is_recording():
        made[key(inputs.ledger, inputs.slot)] = span.get_span_context()
    return span


def _links(inputs: StageInputs[object], made: Mapping[Key, SpanContext]) -> tuple[Link, ...]:
    if not made or not isinstance(inputs, RunInputs):
        return ()
    follows = dict.fromkeys(islice(upstream(inputs.ledger, inputs.slot), MOST))
    return tuple([Link(made[parent]) for parent in follows if parent in made])


class Watched(RunInputs):
    """The inputs of a stage, whose further attempts are events of a span."""

    __slots__ = ("_given", "_span")

    def __init__(self, given: RunInputs, span: Span) -> None:
        super().__init__()
        self._value, self.ledger, self.slot = given.value, given.ledger, given.slot
        self._given = given
        self._span = span

    @override
    def next_attempt(self, error: StageError | None = None, *, waited: float = 0.0) -> RunInputs:
        again = self._given.next_attempt(error, waited=waited)
        about: Attributes = {name.ATTEMPT: again.attempt}
        if error is not None:
            about |= {name.ERROR_TYPE: name.error_type(error), name.ERROR_MESSAGE: str(error)}
        self._span.add_event("stageflow.stage.retrying", about)
        return Watched(again, self._span)


def finished(span: Span, inputs: StageInputs[object], how: Ending) -> None:
    """Ends the span of a stage."""
    about: Attributes = {name.STATUS: how.status.value, name.ATTEMPTS: inputs.attempt}
    ended(span, {**about, name.REASON: how.reason} if how.reason else about, how.error)


def ended(span: Span, attributes: Attributes, error: BaseException | None = None, *, recorded: bool = True) -> None:
    """Ends a span, with what went wrong as its status and, where that is not on another span, as an event."""
    try:
        try:
            if span.is_recording():
                _tell(span, attributes, error, recorded=recorded)
        finally:
            span.end()
    except Exception:  # noqa: BLE001  (tracing never changes how a stage goes)
        _LOG.exception("A span could not be ended; its stage or run goes on.")


def _tell(span: Span, attributes: Attributes, error: BaseException | None, *, recorded: bool) -> None:
    span.set_attributes(attributes)
    if error is not None:
        span.set_attribute(name.ERROR_TYPE, name.error_type(error))
        span.set_status(Status(StatusCode.ERROR, str(error)))
        if recorded:
            span.record_exception(name.original(error))
