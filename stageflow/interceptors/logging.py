"""A log line for each stage, with its name and timing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import final

from returns.result import Result
from typing_extensions import Never, TypeVar, override

from stageflow.context.inputs import StageFunction, StageInputs
from stageflow.core.output import StageOutput
from stageflow.core.stage import StageStatus
from stageflow.errors import StageError
from stageflow.interceptors._stages import Ending, clock_of, escaped, gave
from stageflow.interceptors.base import BaseInterceptor

_LOG = logging.getLogger(__name__)

_A = TypeVar("_A")
_B = TypeVar("_B")
_E1 = TypeVar("_E1", bound=StageError)


@final
@dataclass(frozen=True, slots=True)
class LoggingInterceptor(BaseInterceptor[Never]):
    """Logs the start of a stage at DEBUG, its end at a level, and its failure at WARNING; it adds no error.

    A line's text has the stage's name and how long it took, with all its attempts; its ``extra`` has ``stage``,
    ``run_id`` and ``attempt``, of the end ``status`` and ``duration_ms`` too. Correlation ids come by the filter or the
    processor of `stageflow.observability.logging`, as on every line of a run.

    When: logs are what you read, or what is collected.
    Where: outside of the retry, for a line a stage; inside of it, for a line an attempt.
    Adds: nothing.
    Costs: some 2.5 us for a stage whose lines are below the logger's level; else what the logger's handlers cost.

    Attributes:
        level: of the lines about the end of a stage.
        logger: where to; this module's where None.
    """

    level: int = logging.INFO
    logger: logging.Logger | None = None

    @override
    def wrap(self, call: StageFunction[_A, _B, _E1], /) -> StageFunction[_A, _B, _E1]:
        log = self.logger or _LOG

        async def run_logged(inputs: StageInputs[_A], /) -> Result[StageOutput[_B], _E1]:
            if log.isEnabledFor(logging.DEBUG):
                log.debug("stage %s started", inputs.context.stage, extra=_extra(inputs))
            began = clock_of(inputs)()
            try:
                result = await call(inputs)
            except BaseException as error:
                self._ended(log, inputs, escaped(error), began)
                raise
            self._ended(log, inputs, gave(result), began)
            return result

        return run_logged

    def _ended(self, log: logging.Logger, inputs: StageInputs[object], how: Ending, began: float) -> None:
        level = max(self.level, logging.WARNING) if how.status is StageStatus.FAIL else self.level
        if log.isEnabledFor(level):
            took = (clock_of(inputs)() - began) * 1000
            often = f" after {inputs.attempt} attempts" if inputs.attempt > 1 else ""
            why = f": {_said(how.error) if how.error else how.reason}" if how.error or how.reason else ""
            extra = {**_extra(inputs), "status": how.status.value, "duration_ms": took}
            stage = inputs.context.stage
            log.log(level, "stage %s %s in %.3f ms%s%s", stage, how.status, took, often, why, extra=extra)


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, StageError) else f"{type(error).__name__}: {error}"


def _extra(inputs: StageInputs[object]) -> dict[str, object]:
    stage = inputs.context
    return {"stage": stage.stage, "run_id": str(stage.run_id), "attempt": inputs.attempt}
