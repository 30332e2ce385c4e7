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

    ============  ===========================  ====================================================================
    outermost     `LoggingInterceptor`         one line for what becomes of the stage in the end, all attempts in it
    then          `RetryInterceptor`           around the breaker, which so counts each attempt and may end them;
                                               around the timeout, which so is for one attempt, not for the waits
    then          `CircuitBreakerInterceptor`  around the timeout, so that a timed-out attempt counts as a failure;
                                               an open breaker refuses at once, before any time limit starts
    innermost     `TimeoutInterceptor`         30 seconds for one attempt: what it cancels is the stage alone
    ============  ===========================  ====================================================================

    What else there is goes outside of these: `CorrelationInterceptor`, `TracingInterceptor` and `MetricsInterceptor`
    outermost, since they see a stage once with all its attempts, and add nothing to be retried. `LimitInterceptor`
    goes inside of the retry and outside of the timeout: an attempt waits for its place, and the wait is not timed.

    A stage may fail with `StageTimeoutError` and `CircuitOpenError` then. Neither is tried again, since neither is
    ``retryable``: give the retry a ``retry_when`` where another attempt is harmless.

    On a runner, the last ``.using`` is the outermost, so add them from the last to the first::

        runner: Runner[StageTimeoutError | CircuitOpenError] = Runner()
        for interceptor in reversed(get_default_interceptors()):
            runner = runner.using(interceptor)
    """
    return (LoggingInterceptor(), RetryInterceptor(), CircuitBreakerInterceptor(), TimeoutInterceptor(30.0))
