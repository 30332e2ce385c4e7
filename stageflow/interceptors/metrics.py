"""Durations, attempts, failures and what is under way, as measurements of runs and stages."""

from __future__ import annotations

import logging
import time
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import final

from returns.result import Result
from typing_extensions import Never, TypeVar, override

from stageflow.context.inputs import StageFunction, StageInputs
from stageflow.context.pipeline import PipelineContext
from stageflow.core.output import StageOutput
from stageflow.core.stage import StageStatus
from stageflow.errors import StageError
from stageflow.graph.outcome import Cancelled, Completed, Failed, Outcome, Skipped
from stageflow.interceptors._stages import Ending, escaped, gave, observed, without_items
from stageflow.interceptors.base import BaseInterceptor
from stageflow.interceptors.circuit_breaker import BreakerState, Closed, HalfOpen, Open
from stageflow.observability import attributes as name
from stageflow.observability import metrics as of
from stageflow.observability.metrics import Metrics
from stageflow.observability.otel import OpenTelemetryMetrics

_LOG = logging.getLogger(__name__)

_A = TypeVar("_A")
_B = TypeVar("_B")
_E1 = TypeVar("_E1", bound=StageError)
_STATES: Mapping[type[BreakerState], str] = {Closed: "closed", Open: "open", HalfOpen: "half_open"}


@final
@dataclass(frozen=True, slots=True)
class MetricsInterceptor(BaseInterceptor[Never]):
    """Measures each stage, and on a runner each run; it adds no error.

    Attributes have as few values as the pipeline has stages, statuses and types of errors: there is no id and no
    number of an item among them.

    When: rates, durations and failures are to be on a dashboard or to raise an alarm.
    Where: outermost, on a runner: a stage is measured once, with all its attempts. Inside of a retry each attempt is.
    Adds: nothing; what its meter raises is logged, and changes no outcome.
    Costs: less than 1 us for a stage where no SDK is installed; with one, what its instruments cost.

    ============================  ===========================================================================
    ``stageflow.stage.duration``  histogram, seconds: pipeline, stage, kind, status, and ``error.type``
    ``stageflow.stage.attempts``  counter: pipeline, stage, kind
    ``stageflow.stage.failures``  counter: pipeline, stage, kind, ``error.type``
    ``stageflow.stage.active``    up-down counter: pipeline, stage, kind
    ``stageflow.run.duration``    histogram, seconds: pipeline, status, and ``error.type``
    ``stageflow.run.failures``    counter: pipeline, ``error.type``
    ``stageflow.run.active``      up-down counter: pipeline
    ``stageflow.breaker.state``   gauge, 1 for the state of a breaker and 0 for the others: stage, state
    ============================  ===========================================================================

    The last comes from breakers that are given `breaker_changed`::

        measured = MetricsInterceptor()
        guarded = fetch.using(CircuitBreakerInterceptor(on_change=measured.breaker_changed)).using(measured)

    Attributes:
        metrics: where measurements go; to the application's OpenTelemetry meter where not given.
        clock: the time in seconds, monotonic.

    Raises:
        ImportError: none are given, and OpenTelemetry is not installed.
    """

    metrics: Metrics = field(default_factory=OpenTelemetryMetrics)
    clock: Callable[[], float] = time.perf_counter

    @override
    def run_started(self, context: PipelineContext, /) -> None:
        about = {name.PIPELINE: context.pipeline} if context.pipeline else {}
        run = _Run(self, self.metrics.enabled(), self.clock(), about, _run.get())
        _run.set(run)
        if run.live:
            self._tell(self.metrics.change, of.RUN_ACTIVE, 1, about)

    @override
    def run_ended(self, context: PipelineContext, outcome: Outcome | BaseException, /) -> None:
        run = _run.get()
        if run is None or run.owner is not self:
            return
        _run.set(run.around)
        if run.live:
            seconds = self.clock() - run.began
            self._tell(self.metrics.change, of.RUN_ACTIVE, -1, run.about)
            self._ended((of.RUN_DURATION, of.RUN_FAILURES), seconds, run.about, _how(outcome))

    def breaker_changed(self, stage: str, _before: BreakerState, after: BreakerState, /) -> None:
        """Measures the state of a breaker: for `CircuitBreakerInterceptor.on_change`."""
        for state, word in _STATES.items():
            about = {name.STAGE: without_items(stage), name.BREAKER: word}
            self._tell(self.metrics.level, of.BREAKER_STATE, int(isinstance(after, state)), about)

    @override
    def wrap(self, call: StageFunction[_A, _B, _E1], /) -> StageFunction[_A, _B, _E1]:
        async def run_measured(inputs: StageInputs[_A], /) -> Result[StageOutput[_B], _E1]:
            about = _about(inputs)
            before, began = inputs.attempt, self.clock()
            self._tell(self.metrics.change, of.STAGE_ACTIVE, 1, about)
            how = Ending(StageStatus.CANCEL)
            try:
                result = await call(inputs)
                how = gave(result)
            except BaseException as error:
                how = escaped(error)
                raise
            finally:
                seconds = self.clock() - began
                self._tell(self.metrics.change, of.STAGE_ACTIVE, -1, about)
                self._tell(self.metrics.count, of.STAGE_ATTEMPTS, 1 + inputs.attempt - before, about)
                self._ended((of.STAGE_DURATION, of.STAGE_FAILURES), seconds, about, how)
            return result

        def run_maybe_measured(inputs: StageInputs[_A], /) -> Awaitable[Result[StageOutput[_B], _E1]]:
            run = _run.get()
            live = run.live if run is not None and run.owner is self else self.metrics.enabled()
            return run_measured(inputs) if live else call(inputs)

        return run_maybe_measured

    def _ended(
        self,
        names: tuple[str, str],
        seconds: float,
        about: Mapping[str, str],
        how: Ending,
    ) -> None:
        duration, failures = names
        if how.error is not None:
            about = {**about, name.ERROR_TYPE: name.error_type(how.error)}
            self._tell(self.metrics.count, failures, 1, about)
        self._tell(self.metrics.record, duration, seconds, {**about, name.STATUS: how.status.value})

    @staticmethod
    def _tell(
        take: Callable[[str, _N, Mapping[str, str]], None], series: str, value: _N, about: Mapping[str, str]
    ) -> None:
        try:
            take(series, value, about)
        except Exception:  # noqa: BLE001  (measuring never changes how a stage goes)
            _LOG.exception("%s was not measured; its stage or run goes on.", series)


_N = TypeVar("_N", int, float)


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """The run that this context is in, as an interceptor of its runner sees it."""

    owner: MetricsInterceptor
    live: bool
    began: float
    about: Mapping[str, str]
    around: _Run | None


_run: ContextVar[_Run | None] = ContextVar("stageflow_measured_run", default=None)


def _about(inputs: StageInputs[object]) -> dict[str, str]:
    stage = observed(inputs)
    about = {name.STAGE: stage.name, name.KIND: stage.kind.value}
    if stage.pipeline:
        about[name.PIPELINE] = stage.pipeline
    return about


def _how(outcome: Outcome | BaseException) -> Ending:
    match outcome:
        case Completed():
            return Ending(StageStatus.OK)
        case Skipped():
            return Ending(StageStatus.SKIP)
        case Cancelled() | CancelledError():
            return Ending(StageStatus.CANCEL)
        case Failed(error):
            return Ending(StageStatus.FAIL, error=error)
        case BaseException() as error:
            return Ending(StageStatus.FAIL, error=error)
