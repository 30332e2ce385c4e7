"""A span for each run and each stage, on OpenTelemetry's API alone."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast, final

from returns.result import Result
from typing_extensions import Never, TypeVar, override

from stageflow.context.inputs import StageFunction, StageInputs
from stageflow.context.pipeline import PipelineContext
from stageflow.core.log_ids import bind_trace
from stageflow.core.output import StageOutput
from stageflow.errors import StageError
from stageflow.graph.execution.inputs import RunInputs
from stageflow.graph.outcome import Cancelled, Completed, Failed, Outcome, Skipped
from stageflow.interceptors._stages import escaped, gave
from stageflow.interceptors.base import BaseInterceptor
from stageflow.observability import attributes as name
from stageflow.ports import CorrelationIds

_absent: str | None = None

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, TracerProvider

    from stageflow.interceptors import _spans as spans
else:
    try:
        from stageflow.interceptors import _spans as spans
    except ModuleNotFoundError as absent:
        _absent = f"TracingInterceptor needs OpenTelemetry ({absent}): pip install 'stageflow[otel]'"

_A = TypeVar("_A")
_B = TypeVar("_B")
_E1 = TypeVar("_E1", bound=StageError)


@final
@dataclass(frozen=True, slots=True)
class TracingInterceptor(BaseInterceptor[Never]):
    """Makes a span for each stage, and on a runner one for each run around them; it adds no error.

    When: a run is to be seen beside what called it and what it calls, in one trace.
    Where: outermost, on a runner: a stage is one span, and its further attempts are events of it. Inside of a retry
        each attempt is a span of its own. On a single stage there is a span for that stage, under the current one.
    Adds: nothing; what a tracer raises is logged, and changes no outcome.
    Costs: less than 1 us for a stage where no SDK is installed, and no span; with one, what its spans cost.

    ==============  =============================================================================================
    name            of a run, the pipeline's; of a stage, its own without the numbers of items
    parent          of a stage, the run's span; of a run, the span that is current where it is started; where none
                    is, a run whose correlation names a ``trace_id`` joins that trace
    links           of a stage, to the spans of the stages whose outputs it works on, up to 128: the edges of the
                    graph; of a run that goes on, to that of the process that had it before
    status          error where a stage failed; a skip and a cancellation are no errors
    attributes      ``stageflow.*``, and ``error.type`` as the semantic conventions have it
    current span    inside a stage and its threads, the stage's: what the application traces there is below it
    ==============  =============================================================================================

    Without an SDK it makes no span. The run's correlation gets the id of its trace, where it names none itself: so
    events, the report, the store and log lines (`stageflow.observability.logging`) have it.

    Attributes:
        provider: whose tracer makes the spans; the application's where None.

    Raises:
        ImportError: OpenTelemetry is not installed.
    """

    provider: TracerProvider | None = None

    def __post_init__(self) -> None:
        if _absent is not None:
            raise ImportError(_absent, name="opentelemetry")

    @override
    def run_started(self, context: PipelineContext, /) -> CorrelationIds | None:
        if not spans.is_live(self.provider):
            _run.set(_Run(self, None, None, _run.get()))
            return None
        title = context.pipeline or "run"
        tracer, wanted = spans.tracer(self.provider), context.correlation.trace_id
        links = spans.links_to(context.former_trace)
        span = spans.started(tracer, title, _about(context), links=links, trace_id=wanted)
        token = spans.entered(span)
        _run.set(_Run(self, span, token, _run.get()))
        trace_id = spans.trace_id_of(span)
        if trace_id is None:
            return None
        bind_trace(trace_id)
        return None if wanted else replace(context.correlation, trace_id=trace_id)

    @override
    def run_ended(self, context: PipelineContext, outcome: Outcome | BaseException, /) -> None:
        run = _run.get()
        if run is None or run.owner is not self:
            return
        _run.set(run.around)
        if run.span is not None and run.token is not None:
            spans.left(run.token)
            _end(run.span, outcome)

    @override
    def wrap(self, call: StageFunction[_A, _B, _E1], /) -> StageFunction[_A, _B, _E1]:
        provider = self.provider
        tracer = spans.tracer(provider)

        async def run_in_span(inputs: StageInputs[_A], /) -> Result[StageOutput[_B], _E1]:
            span = spans.stage_span(tracer, inputs)
            watched = spans.Watched(inputs, span) if span.is_recording() and isinstance(inputs, RunInputs) else inputs
            token = spans.entered(span)
            try:
                result = await call(cast("StageInputs[_A]", watched))
            except GeneratorExit as error:  # closed, unfinished, from some other context
                spans.finished(span, inputs, escaped(error))
                raise
            except BaseException as error:
                spans.left(token)
                spans.finished(span, inputs, escaped(error))
                raise
            spans.left(token)
            spans.finished(span, inputs, gave(result))
            return result

        def run_traced(inputs: StageInputs[_A], /) -> Awaitable[Result[StageOutput[_B], _E1]]:
            run = _run.get()
            live = run.span is not None if run is not None and run.owner is self else spans.is_live(provider)
            return run_in_span(inputs) if live else call(inputs)

        return run_traced


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """The run that this context is in, as an interceptor of its runner sees it; without a span where none is made."""

    owner: TracingInterceptor
    span: Span | None
    token: Token[Context] | None
    around: _Run | None


_run: ContextVar[_Run | None] = ContextVar("stageflow_traced_run", default=None)


def _about(context: PipelineContext) -> dict[str, str | int | Sequence[int]]:
    ids = context.correlation
    about: dict[str, str | int | Sequence[int]] = {name.CORRELATION + key: value for key, value in ids.extra.items()}
    if context.pipeline:
        about[name.PIPELINE] = context.pipeline
    if context.run_id is not None:
        about[name.RUN_ID] = str(context.run_id)
    if ids.request_id is not None:
        about[name.REQUEST_ID] = str(ids.request_id)
    return about


def _end(span: Span, outcome: Outcome | BaseException) -> None:
    match outcome:
        case Completed():
            spans.ended(span, {name.STATUS: "ok"})
        case Skipped(reason):
            spans.ended(span, {name.STATUS: "skip", name.REASON: reason})
        case Cancelled(reason):
            spans.ended(span, {name.STATUS: "cancel", name.REASON: reason})
        case Failed(error):  # the stage's span has it as an event
            spans.ended(span, {name.STATUS: "fail"}, error, recorded=False)
        case CancelledError():
            spans.ended(span, {name.STATUS: "cancel"})
        case BaseException() as error:
            spans.ended(span, {name.STATUS: "fail"}, error)
