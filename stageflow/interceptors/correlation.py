"""The ids of the run and the name of the stage on every line that is logged inside."""

from __future__ import annotations

from contextlib import suppress
from contextvars import Token
from dataclasses import dataclass
from typing import final

from returns.result import Result
from typing_extensions import Never, TypeVar, override

from stageflow.context.inputs import StageFunction, StageInputs
from stageflow.context.pipeline import PipelineContext
from stageflow.core.output import StageOutput
from stageflow.errors import StageError
from stageflow.graph.inputs import RunInputs
from stageflow.interceptors.base import BaseInterceptor
from stageflow.observability.logging import LogIds, bind_run, log_ids

_A = TypeVar("_A")
_B = TypeVar("_B")
_E1 = TypeVar("_E1", bound=StageError)


@final
@dataclass(frozen=True, slots=True)
class CorrelationInterceptor(BaseInterceptor[Never]):
    """Puts ids on what is logged inside of a run and its stages, their threads too; it adds no error.

    They reach the lines by `RunFilter` or `add_run_ids` of `stageflow.observability.logging`.
    """

    @override
    def run_started(self, context: PipelineContext, /) -> None:
        bind_run(context.run_id, context.correlation)

    @override
    def wrap(self, call: StageFunction[_A, _B, _E1], /) -> StageFunction[_A, _B, _E1]:
        async def run_correlated(inputs: StageInputs[_A], /) -> Result[StageOutput[_B], _E1]:
            token = _bound(inputs)
            try:
                return await call(inputs)
            finally:
                with suppress(ValueError):  # closed unfinished, from some other context
                    log_ids.reset(token)

        return run_correlated


def _bound(inputs: StageInputs[object]) -> Token[LogIds]:
    if isinstance(inputs, RunInputs):  # without making the context, which costs more than all the rest
        ledger, run = inputs.ledger, inputs.ledger.run
        return bind_run(run.run_id, run.correlation, stage=ledger.name(inputs.slot))
    context = inputs.context
    return bind_run(context.run_id, context.correlation, stage=context.stage)
