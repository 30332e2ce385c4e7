"""The errors of a run: what escaped a stage, made a value, and what the exception style raises."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from returns.result import Failure, Success
from typing_extensions import override

from stageflow.core.output import StageOutput
from stageflow.core.record import StageResult
from stageflow.errors import StageError, StageExecutionError

__all__ = ["StageError", "StageExecutionError", "UnifiedPipelineCancelled", "defect", "no_result"]


class UnifiedPipelineCancelled(Exception):  # noqa: N818  (the seed's name)
    """Raised by the exception-style `StageGraph` alone, where a stage cancelled the run."""

    def __init__(self, stage: str, reason: str, results: Mapping[str, StageResult]) -> None:
        super().__init__(stage, reason, dict(results))

    @property
    def stage(self) -> str:
        """The stage that cancelled the run; empty where it was cancelled from outside."""
        return cast("str", self.args[0])

    @property
    def reason(self) -> str:
        """Why."""
        return cast("str", self.args[1])

    @property
    def results(self) -> Mapping[str, StageResult]:
        """How the stages went, by name; read-only."""
        return MappingProxyType(cast("dict[str, StageResult]", self.args[2]))

    @override
    def __str__(self) -> str:
        return f'Stage "{self.stage}" cancelled the run: {self.reason}' if self.stage else self.reason


def defect(stage: str, escaped: BaseException) -> StageExecutionError:
    """The value that an escaped exception becomes; the exception stands as its ``__cause__``."""
    if isinstance(escaped, StageExecutionError):
        if escaped.stage:
            return escaped
        kind, said = type(escaped), escaped.message
        text = said if said.startswith(f'Stage "{stage}"') else f'Stage "{stage}": {said}'
        named = kind(text, retryable=escaped.retryable, stage=stage)
    else:
        said = f": {escaped}" if str(escaped) else ""
        named = StageExecutionError(f'Stage "{stage}" raised {type(escaped).__name__}{said}', stage=stage)
    named.__cause__ = escaped
    return named


def no_result(stage: str, given: object) -> StageExecutionError:
    """The defect of a stage that returned what is no Result of a `StageOutput`."""
    match cast("Success[object] | Failure[object] | None", given):
        case Success(inner) if not isinstance(inner, StageOutput):
            fix = f"Return ok({inner!r})"
        case Failure(inner):
            fix = f"Return fail(...) with a StageError in place of {inner!r}"
        case _:
            fix = "Return ok(...), skip(...), cancel(...) or fail(...)"
    return StageExecutionError(
        f'Stage "{stage}" returned {given!r} ({type(given).__name__}), which is no Result of a StageOutput. '
        f"{fix}, or decorate it with @lift.",
        stage=stage,
    )
