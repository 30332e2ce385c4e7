"""A time limit on a stage."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import final

from returns.result import Failure, Result
from typing_extensions import TypeVar, override

from stageflow.context.inputs import StageFunction, StageInputs
from stageflow.core.output import StageOutput
from stageflow.errors import StageError, StageTimeoutError
from stageflow.interceptors.base import BaseInterceptor

_A = TypeVar("_A")
_B = TypeVar("_B")
_E1 = TypeVar("_E1", bound=StageError)


@final
@dataclass(frozen=True, slots=True)
class TimeoutInterceptor(BaseInterceptor[StageTimeoutError]):
    """Cancels a stage that takes longer, awaits it, and fails it with `StageTimeoutError`.

    A stage that swallows the cancellation and succeeds has timed out all the same. An infinite limit is none.

    When: a stage may hang, or an answer that comes late is worth nothing.
    Where: inside of the retry and the breaker, to limit one attempt; outside of them, to limit all of them.
    Adds: `StageTimeoutError`, which is not ``retryable``.
    Costs: a timer of the loop for each call, some 8 us.

    Attributes:
        seconds: the limit.

    Raises:
        ValueError: the limit is not more than 0.
    """

    seconds: float

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ValueError(f"TimeoutInterceptor({self.seconds!r}) needs more than 0 seconds; math.inf is no limit.")

    @override
    def wrap(self, call: StageFunction[_A, _B, _E1], /) -> StageFunction[_A, _B, _E1 | StageTimeoutError]:
        seconds = self.seconds
        if seconds == math.inf:
            return call

        async def run_timed(inputs: StageInputs[_A], /) -> Result[StageOutput[_B], _E1 | StageTimeoutError]:
            limit = asyncio.timeout(seconds)
            try:
                async with limit:
                    result = await call(inputs)
            except Exception as escaped:
                if not limit.expired():
                    raise
                return Failure(_timed_out(inputs, seconds, escaped))
            return Failure(_timed_out(inputs, seconds, None)) if limit.expired() else result

        return run_timed


def _timed_out(inputs: StageInputs[_A], seconds: float, cause: Exception | None) -> StageTimeoutError:
    stage = inputs.context.stage
    called = f'Stage "{stage}"' if stage else "A stage that was called outside of a run"
    error = StageTimeoutError(f"{called} took longer than {seconds:g} s", seconds=seconds)
    error.__cause__ = None if isinstance(cause, TimeoutError) else cause
    return error
