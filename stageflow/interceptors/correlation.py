"""The name of the stage, beside the ids of the run, on every line that is logged inside."""

from __future__ import annotations

from contextlib import suppress
from contextvars import Token
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from returns.result import Result
from typing_extensions import Never, TypeVar, override

from stageflow.context.inputs import StageFunction, StageInputs
from stageflow.core.log_ids import LogIds, bind_run, log_ids
from stageflow.core.output import StageOutput
from stageflow.errors import StageError
from stageflow.graph.execution.inputs import RunInputs
from stageflow.interceptors.base import BaseInterceptor

_A = TypeVar("_A")
_B = TypeVar("_B")
_E1 = TypeVar("_E1", bound=StageError)


@final
@dataclass(frozen=True, slots=True)
class CorrelationInterceptor(BaseInterceptor[Never]):
    """Puts the stage's name beside the ids of the run on what is logged inside of a stage, its threads too.

    They reach the lines by `RunFilter` or `add_run_ids` of `stageflow.observability.logging`. Without it a line has the
    ids of its run all the same; of a stage that is called outside of a run, it adds those of its inputs too.

    When: lines that stages log are to name their stage.
    Where: outermost, so that what other interceptors log has the stage too.
    Adds: nothing.
    Costs: some 2.5 us a stage.
    """

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
    if isinstance(inputs, RunInputs):  # the ids of its run are there
        return log_ids.set(MappingProxyType({**log_ids.get(), "stage": inputs.ledger.name(inputs.slot)}))
    context = inputs.context
    return bind_run(context.run_id, context.correlation, stage=context.stage)
