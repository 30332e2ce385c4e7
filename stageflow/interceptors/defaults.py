"""The interceptors to start from, in the order that makes sense."""

from __future__ import annotations

from stageflow.errors import CircuitOpenError, StageTimeoutError
from stageflow.interceptors.base import BaseInterceptor
from stageflow.interceptors.circuit_breaker import CircuitBreakerInterceptor
from stageflow.interceptors.logging import LoggingInterceptor
from stageflow.interceptors.retry import RetryInterceptor
from stageflow.interceptors.timeout import TimeoutInterceptor


def get_default_interceptors() -> tuple[BaseInterceptor[StageTimeoutError | CircuitOpenError], ...]:
    """The interceptors to start from, the first outermost; they apply to nothing unless asked for.

    ==============  ===================  ===================================================================
    outermost       `LoggingInterceptor` sees what becomes of the stage in the end, once, with all attempts
    then            `RetryInterceptor`   each attempt has a time limit of its own, and asks the breaker anew
    then            `CircuitBreaker...`  counts each attempt, a timed-out one too
    innermost       `TimeoutInterceptor` 30 seconds for one attempt, not for waiting between attempts
    ==============  ===================  ===================================================================

    On a runner, the last ``.using`` is the outermost, so add them from the last to the first::

        for interceptor in reversed(get_default_interceptors()):
            runner = runner.using(interceptor)
    """
    return (LoggingInterceptor(), RetryInterceptor(), CircuitBreakerInterceptor(), TimeoutInterceptor(30.0))
