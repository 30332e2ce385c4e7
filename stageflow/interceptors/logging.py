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

    A line's text has the stage's name and how long it took, with all its attempts; its ``extra`` has ``stage``,
    ``run_id`` and ``attempt``, of the end ``status`` and ``duration_ms`` too. Correlation ids come by the filter or the
    processor of `stageflow.observability.logging`, as on every line of a run.

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
            tries, took = outcome.attempts, outcome.duration_ms
            often = f" after {tries} attempts" if tries > 1 else ""
            extra = {**_extra(context), "attempt": tries, "status": outcome.status.value, "duration_ms": took}
            log.log(level, "stage %s %s in %.3f ms%s%s", outcome.name, outcome.status, took, often, why, extra=extra)


def _extra(context: InterceptorContext) -> dict[str, object]:
    stage = context.stage
    return {"stage": stage.stage, "run_id": str(stage.run_id), "attempt": stage.attempt}
