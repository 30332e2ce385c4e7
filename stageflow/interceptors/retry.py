"""Trying a stage again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import final

from returns.result import Result
from typing_extensions import Never, TypeVar, override

from stageflow.context.inputs import StageFunction, StageInputs
from stageflow.core.output import StageOutput
from stageflow.errors import StageError
from stageflow.graph.execution.inputs import Aside
from stageflow.interceptors.base import BaseInterceptor, attempted

_A = TypeVar("_A")
_B = TypeVar("_B")
_E1 = TypeVar("_E1", bound=StageError)


def is_retryable(error: StageError) -> bool:
    """What is tried again by default: an error that says of itself that another attempt may succeed."""
    return error.retryable


def drawn() -> float:
    """A number from 0 to 1, at random; a function of its own, so that it pickles by its name."""
    return random.random()  # noqa: S311  (it spreads waits, and guards nothing)


def next_delay(attempt: int, *, backoff: float, cap: float, draw: float) -> float:
    """Seconds to wait after an attempt: exponential backoff with full jitter, and a cap.

    The source is "Exponential Backoff And Jitter" (Marc Brooker, AWS Architecture Blog, 2015):
    ``random_between(0, min(cap, backoff * 2 ** attempt))``.

    Args:
        attempt: the attempt that failed, from 1.
        backoff: the most to wait after the first, in seconds.
        cap: the most to wait at all, in seconds.
        draw: a number from 0 to 1, drawn at random.

    >>> [next_delay(attempt, backoff=0.1, cap=1.0, draw=1.0) for attempt in (1, 2, 3, 5)]
    [0.1, 0.2, 0.4, 1.0]
    """
    return draw * min(cap, backoff * 2.0 ** min(attempt - 1, 1000))


@final
@dataclass(frozen=True, slots=True)
class RetryInterceptor(BaseInterceptor[Never]):
    """Runs a failed stage again, after a while, up to so many attempts in all; it adds no error.

    It never sleeps past the run's deadline: what would, stands as it is. While it sleeps, others may have the stage's
    place under `Runner.max_concurrency`. Each further attempt is an event, ``stage.{name}.retrying``, and each former
    one a record in `StageResult.tries`.

    When: a failure may pass by itself, and doing the work twice does no harm.
    Where: outside of what is for one attempt (timeout, breaker, limit), inside of what sees the stage as a whole.
    Adds: nothing; the last attempt's own error stands.
    Costs: some 1.5 us for a call that is not tried again; nothing with ``attempts=1``.

    Attributes:
        attempts: how often the stage runs at most; 1 is no retry.
        backoff: the most to wait after the first attempt, in seconds; doubled after each.
        cap: the most to wait at all, in seconds.
        retry_when: which errors to try again for; by default those that are ``retryable``.
        draw: gives a number from 0 to 1; what spreads the waits.
        sleep: waits so many seconds.

    Raises:
        ValueError: attempts are less than 1, or a time is negative.
    """

    attempts: int = 3
    backoff: float = 0.1
    cap: float = 30.0
    retry_when: Callable[[StageError], bool] = is_retryable
    draw: Callable[[], float] = drawn
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"RetryInterceptor(attempts={self.attempts}) needs at least 1 attempt.")
        if not (self.backoff >= 0 and self.cap >= 0):
            raise ValueError(f"RetryInterceptor(backoff={self.backoff}, cap={self.cap}) needs no negative seconds.")

    @override
    def wrap(self, call: StageFunction[_A, _B, _E1], /) -> StageFunction[_A, _B, _E1]:
        if self.attempts == 1:
            return call

        async def run_retried(inputs: StageInputs[_A], /) -> Result[StageOutput[_B], _E1]:
            for number in range(1, self.attempts):
                attempt = await attempted(call, inputs)
                if attempt.error is None or not self.retry_when(attempt.error):
                    return attempt.settled()
                context = inputs.context
                clock, remaining = context.timer.clock, context.remaining
                failed = clock()
                delay = next_delay(number, backoff=self.backoff, cap=self.cap, draw=self.draw())
                if remaining is not None and delay >= remaining:
                    return attempt.settled()
                async with Aside(inputs):
                    await self.sleep(delay)
                inputs = inputs.next_attempt(attempt.error, waited=clock() - failed)
            return await call(inputs)

        return run_retried
