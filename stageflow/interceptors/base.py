"""The hook style of interceptors: override `before`, `after` or `on_error`; what is not overridden costs nothing.

An interceptor is a decorator: the first listed is the outermost. ``before`` runs from the outermost in, ``after`` from
the innermost out. A ``before`` that denies or raises means that the stage does not run, and the run fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, cast, final

from returns.result import Failure, Result
from typing_extensions import Never, TypeVar, override

from stageflow.context.inputs import StageFunction, StageInputs
from stageflow.context.pipeline import PipelineContext
from stageflow.context.stage import StageContext
from stageflow.core.output import StageOutput, skip
from stageflow.core.record import StageResult
from stageflow.core.stage import StageStatus
from stageflow.errors import StageError
from stageflow.graph.errors import defect
from stageflow.graph.outcome import Outcome
from stageflow.interceptors._stages import Ending, gave
from stageflow.pipeline.builder import Interceptor
from stageflow.ports import CorrelationIds

_LOG = logging.getLogger(__name__)

_X = TypeVar("_X", covariant=True, bound=StageError, default=Never)
_A = TypeVar("_A")
_B = TypeVar("_B")
_E1 = TypeVar("_E1", bound=StageError)


class ErrorAction(StrEnum):
    """What `BaseInterceptor.on_error` wants done: try again, skip instead, or let the failure stand."""

    RETRY = "retry"
    FALLBACK = "fallback"
    FAIL = "fail"


@final
@dataclass(frozen=True, slots=True)
class InterceptorContext:
    """What a hook sees.

    Attributes:
        stage: the run as the stage sees it.
        value: what the stage is about to work on.
    """

    stage: StageContext
    value: object


@final
@dataclass(frozen=True, slots=True)
class InterceptorResult(Generic[_X]):
    """What `BaseInterceptor.before` decides: `proceed`, or `deny` with an error.

    Attributes:
        error: what the stage fails with, unrun; None lets it run.
    """

    error: _X | None = None

    @staticmethod
    def proceed() -> InterceptorResult[Never]:
        """Lets the stage run."""
        return _PROCEED

    @staticmethod
    def deny(error: _E1, /) -> InterceptorResult[_E1]:
        """Fails the stage with this error, without running it."""
        return InterceptorResult(error)


_PROCEED: InterceptorResult[Never] = InterceptorResult()


class BaseInterceptor(Interceptor[_X]):
    """An interceptor in hook style; ``_X`` is the error that its ``before`` may deny with.

    `after` runs for each stage whose `before` let it run, also where it failed or was cancelled.
    """

    __slots__ = ()

    async def before(self, context: InterceptorContext, /) -> InterceptorResult[_X]:
        """Decides whether the stage runs; what it raises is a defect, and the stage does not run either."""
        return InterceptorResult.proceed()

    async def after(self, context: InterceptorContext, outcome: StageResult, /) -> None:
        """Sees how the stage went."""

    async def on_error(self, context: InterceptorContext, error: StageError, /) -> ErrorAction:
        """Decides what becomes of a failure. A defect comes as a `StageExecutionError`.

        RETRY runs the stage again, for as long as this says so: ``context.stage.attempt`` tells how often it ran.
        """
        return ErrorAction.FAIL

    def run_started(self, context: PipelineContext, /) -> CorrelationIds | None:
        """Sees a run of a runner that uses this begin; what it sets in the context, the stages see.

        It may give ids for the run to carry in place of its own: events, the report and the store have them then.
        """
        return None

    def run_ended(self, context: PipelineContext, outcome: Outcome | BaseException, /) -> None:
        """Sees the run end: with an outcome, or with what it raised, such as a cancellation."""

    @property
    def sees_runs(self) -> bool:
        """Whether it overrides `run_started` or `run_ended`."""
        own = type(self)
        return own.run_started is not BaseInterceptor.run_started or own.run_ended is not BaseInterceptor.run_ended

    @override
    def wrap(self, call: StageFunction[_A, _B, _E1], /) -> StageFunction[_A, _B, _E1 | _X]:
        """The function in these hooks; the function itself where no hook is overridden."""
        own = type(self)
        hooks = (own.before, own.after, own.on_error)
        if hooks == (BaseInterceptor.before, BaseInterceptor.after, BaseInterceptor.on_error):
            return call
        return _Hooked(self, call)


class Attempt(Generic[_B, _E1]):
    """How one call of a stage went: its result, with what escaped it as a `StageExecutionError` in a Failure."""

    __slots__ = ("_escaped", "result")

    def __init__(self, result: Result[StageOutput[_B], _E1 | StageError], escaped: Exception | None) -> None:
        self.result: Result[StageOutput[_B], _E1 | StageError] = result
        self._escaped = escaped

    @property
    def error(self) -> StageError | None:
        """What it failed with, if it did."""
        failure: object = self.result.failure() if isinstance(self.result, Failure) else None
        return failure if isinstance(failure, StageError) else None  # what is no error is the executor's to refuse

    def settled(self) -> Result[StageOutput[_B], _E1]:
        """The result; what escaped goes on its way as an exception, so that it stays a defect."""
        if self._escaped is not None:
            raise self._escaped
        return cast("Result[StageOutput[_B], _E1]", self.result)


async def attempted(call: StageFunction[_A, _B, _E1], inputs: StageInputs[_A]) -> Attempt[_B, _E1]:
    """Calls a stage, and gives how that went."""
    try:
        return Attempt(await call(inputs), None)
    except Exception as escaped:  # noqa: BLE001  (it is kept, and goes on as it came)
        return Attempt(Failure(defect(inputs.context.stage, escaped)), escaped)


@final
class _Hooked(Generic[_A, _B, _E1, _X]):
    """A stage function in the hooks of an interceptor."""

    __slots__ = ("_call", "_decides", "_hooks", "_sees")

    def __init__(self, hooks: BaseInterceptor[_X], call: StageFunction[_A, _B, _E1]) -> None:
        self._hooks = hooks
        self._call = call
        self._decides = type(hooks).before is not BaseInterceptor.before
        self._sees = type(hooks).after is not BaseInterceptor.after

    async def __call__(self, inputs: StageInputs[_A], /) -> Result[StageOutput[_B], _E1 | _X]:
        """Runs the hooks around the stage."""
        hooks = self._hooks
        context = InterceptorContext(inputs.context, inputs.value)
        if self._decides:
            decision = await hooks.before(context)
            if decision.error is not None:
                return Failure(decision.error)
        began = context.stage.timer.clock()
        try:
            attempt, result = await self._tried(context, inputs)
        except asyncio.CancelledError:
            record = _record(context, inputs.attempt, began, Ending(StageStatus.CANCEL, "cancelled"))
            try:
                await hooks.after(context, record)
            except Exception:  # noqa: BLE001  (the cancellation must go on its way)
                _LOG.exception("after() of %r failed for the cancelled stage %s", hooks, context.stage.stage)
            raise
        if self._sees:
            await hooks.after(context, _record(context, inputs.attempt, began, gave(result)))
        return attempt.settled() if attempt is not None else cast("Result[StageOutput[_B], _E1 | _X]", result)

    async def _tried(
        self, context: InterceptorContext, inputs: StageInputs[_A]
    ) -> tuple[Attempt[_B, _E1] | None, Result[StageOutput[_B], StageError]]:
        while True:
            attempt = await attempted(self._call, inputs)
            error = attempt.error
            if error is None:
                return attempt, attempt.result
            clock = context.stage.timer.clock
            failed = clock()
            action = await self._hooks.on_error(context, error)
            if action is ErrorAction.FALLBACK:
                return None, skip(f"fell back from {type(error).__name__}: {error}")
            if action is not ErrorAction.RETRY:
                return attempt, attempt.result
            await asyncio.sleep(0)  # a hook may retry for ever: the loop must hear a deadline meanwhile
            inputs = inputs.next_attempt(error, waited=clock() - failed)
            context = InterceptorContext(inputs.context, inputs.value)


def _record(context: InterceptorContext, attempts: int, began: float, how: Ending) -> StageResult:
    stage, error = context.stage, how.error if isinstance(how.error, StageError) else None
    reason = how.reason or ("" if how.error is error else str(how.error))
    duration = (stage.timer.clock() - began) * 1000
    return StageResult(
        stage.stage, stage.kind, how.status, attempts, duration_ms=duration, reason=reason, error=error, data=how.data
    )


async def run_with_interceptors(
    stage: StageFunction[_A, _B, _E1], inputs: StageInputs[_A], interceptors: Sequence[Interceptor[_X]], /
) -> Result[StageOutput[_B], _E1 | _X]:
    """Calls a stage function once in interceptors; the first is the outermost."""
    call = cast("StageFunction[_A, _B, _E1 | _X]", stage)
    for interceptor in reversed(interceptors):
        call = interceptor.wrap(call)
    return await call(inputs)
