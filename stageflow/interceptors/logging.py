"""A log line for each stage, with its name and timing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import final

from typing_extensions import Never, override

from stageflow.core.record import StageResult
from stageflow.core.stage import StageStatus
from stageflow.interceptors.base import BaseInterceptor, InterceptorContext, InterceptorResult

_LOG = logging.getLogger(__name__)


@final
@dataclass(frozen=True, slots=True)
class LoggingInterceptor(BaseInterceptor[Never]):
    """Logs the start of a stage at DEBUG, its end at a level, and its failure at WARNING; it adds no error.

    Each line has the stage, the run, the attempt and the duration in its text and as ``extra``.

    Attributes:
        level: of the lines about the end of a stage.
        logger: where to; this module's where None.
    """

    level: int = logging.INFO
    logger: logging.Logger | None = None

    @override
    async def before(self, context: InterceptorContext, /) -> InterceptorResult[Never]:
        log = self.logger or _LOG
        if log.isEnabledFor(logging.DEBUG):
            log.debug("stage %s started", context.stage.stage, extra=_extra(context))
        return InterceptorResult.proceed()

    @override
    async def after(self, context: InterceptorContext, outcome: StageResult, /) -> None:
        log = self.logger or _LOG
        failed = outcome.status is StageStatus.FAIL
        level = max(self.level, logging.WARNING) if failed else self.level
        if log.isEnabledFor(level):
            why = f": {outcome.error or outcome.reason}" if outcome.error or outcome.reason else ""
            extra = {**_extra(context), "status": outcome.status.value, "duration_ms": outcome.duration_ms}
            log.log(
                level, "stage %s %s in %.3f ms%s", outcome.name, outcome.status, outcome.duration_ms, why, extra=extra
            )


def _extra(context: InterceptorContext) -> dict[str, object]:
    stage = context.stage
    return {"stage": stage.stage, "run_id": str(stage.run_id), "attempt": stage.attempt}
