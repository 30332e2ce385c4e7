"""A circuit breaker: after so many failures in a row a stage is not called for a while.

The states are values, moved by two pure functions: `admit` before a call and `settle` after it. A change of state
makes a new generation, and results of an older one are ignored: they say nothing about how the stage is now.

==========  ===========================  ==============================================================
state       a call comes                 a call of this generation ends
==========  ===========================  ==============================================================
closed      is let through               failed: counted, and open at the limit; succeeded: the count is 0
open        is refused until the time    (none is let through)
            has come, then is the probe
            of half-open
half-open   is refused                   the probe failed: open again; succeeded: closed; cancelled: open,
                                         and the next call is the probe
==========  ===========================  ==============================================================

Source: Michael Nygard, *Release It!*, 2nd edition, "Circuit Breaker".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, final

from returns.result import Failure, Result
from typing_extensions import TypeVar, override

from stageflow.context.inputs import StageFunction, StageInputs
from stageflow.core.output import StageOutput
from stageflow.errors import CircuitOpenError, StageError
from stageflow.interceptors.base import BaseInterceptor, attempted

_LOG = logging.getLogger(__name__)

_A = TypeVar("_A")
_B = TypeVar("_B")
_E1 = TypeVar("_E1", bound=StageError)


@final
@dataclass(frozen=True, slots=True)
class Closed:
    """Calls are let through; so many failed in a row."""

    generation: int = 0
    failures: int = 0


@final
@dataclass(frozen=True, slots=True)
class Open:
    """No call is let through until a time, in seconds on the breaker's clock."""

    generation: int
    until: float


@final
@dataclass(frozen=True, slots=True)
class HalfOpen:
    """One call, the probe, was let through; what it comes to decides."""

    generation: int


BreakerState: TypeAlias = Closed | Open | HalfOpen


class Verdict(StrEnum):
    """What a call says about the stage; a cancelled one says nothing."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


def admit(state: BreakerState, now: float) -> tuple[BreakerState, int | None]:
    """The state after a call has come, and its ticket: the generation it belongs to, or None where it is refused.

    >>> admit(Open(generation=1, until=30.0), now=31.0)
    (HalfOpen(generation=2), 2)
    >>> admit(HalfOpen(generation=2), now=31.0)
    (HalfOpen(generation=2), None)
    """
    match state:
        case Closed(generation=generation):
            return state, generation
        case Open(generation=generation, until=until) if now >= until:
            return HalfOpen(generation + 1), generation + 1
        case _:
            return state, None


def settle(
    state: BreakerState, ticket: int, verdict: Verdict, *, now: float, failures: int, reset_after: float
) -> BreakerState:
    """The state after a call has ended.

    Args:
        state: the state by now.
        ticket: what `admit` gave the call.
        verdict: what the call says.
        now: the time, in seconds.
        failures: how many in a row open the breaker.
        reset_after: seconds for which it then stays open.

    >>> settle(Closed(failures=4), 0, Verdict.FAILED, now=10.0, failures=5, reset_after=30.0)
    Open(generation=1, until=40.0)
    """
    if ticket != state.generation:
        return state
    match state:
        case Closed(generation=generation, failures=counted):
            if verdict is Verdict.CANCELLED:
                return state
            if verdict is Verdict.SUCCEEDED:
                return Closed(generation) if counted else state
            if counted + 1 < failures:
                return Closed(generation, counted + 1)
            return Open(generation + 1, now + reset_after)
        case HalfOpen(generation=generation):
            if verdict is Verdict.SUCCEEDED:
                return Closed(generation + 1)
            return Open(generation + 1, now if verdict is Verdict.CANCELLED else now + reset_after)
        case Open():
            return state


def counts_always(_: StageError) -> bool:
    """What counts as a failure by default: everything, defects too."""
    return True


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerInterceptor(BaseInterceptor[CircuitOpenError]):
    """Stops calling a stage that keeps failing, and fails it with `CircuitOpenError` meanwhile.

    The state is that of the place where it was wrapped, shared by all runs; a runner's is per graph and stage. A
    skip is a success: the stage answered.

    When: what a stage calls needs rest when it fails, and who calls the stage wants to know at once.
    Where: inside of the retry, so that each attempt counts; outside of the timeout, so that a timed-out one does.
    Adds: `CircuitOpenError`, which is not ``retryable``.
    Costs: some 3.5 us for a call; no lock, since it stays in one event loop.

    Attributes:
        failures: how many in a row open the breaker.
        reset_after: seconds until one call, the probe, is let through.
        counts: which errors count as failures; others count as successes. By default all do, so say here which errors
            are answers, such as a page that is not found.
        clock: the time in seconds, monotonic.
        on_change: called with the stage's name and the states before and after, where the kind of state changes; what
            it raises is logged.

    Raises:
        ValueError: failures are less than 1, or the time is negative.
    """

    failures: int = 5
    reset_after: float = 30.0
    counts: Callable[[StageError], bool] = counts_always
    clock: Callable[[], float] = time.monotonic
    on_change: Callable[[str, BreakerState, BreakerState], object] | None = None

    def __post_init__(self) -> None:
        if self.failures < 1:
            raise ValueError(f"CircuitBreakerInterceptor(failures={self.failures}) needs at least 1 failure.")
        if not self.reset_after >= 0:
            raise ValueError(f"CircuitBreakerInterceptor(reset_after={self.reset_after}) needs no negative seconds.")

    @override
    def wrap(self, call: StageFunction[_A, _B, _E1], /) -> StageFunction[_A, _B, _E1 | CircuitOpenError]:
        state: BreakerState = Closed()

        def moved(stage: str, to: BreakerState) -> None:
            nonlocal state
            before, state = state, to
            if self.on_change is not None and type(before) is not type(to):
                try:
                    self.on_change(stage, before, to)
                except Exception:  # noqa: BLE001  (who watches changes no outcome)
                    _LOG.exception("on_change of the breaker of stage %s raised; the breaker goes on.", stage)

        def ended(inputs: StageInputs[_A], ticket: int, verdict: Verdict) -> None:
            now = self.clock()
            to = settle(state, ticket, verdict, now=now, failures=self.failures, reset_after=self.reset_after)
            if to is not state:
                moved(inputs.context.stage, to)

        async def run_guarded(inputs: StageInputs[_A], /) -> Result[StageOutput[_B], _E1 | CircuitOpenError]:
            now = self.clock()
            to, ticket = admit(state, now)
            if to is not state:
                moved(inputs.context.stage, to)
            if ticket is None:
                return Failure(_refusal(inputs, state, now))
            verdict = Verdict.CANCELLED
            try:
                attempt = await attempted(call, inputs)
                verdict = Verdict.FAILED  # also where `counts` raises, so that a probe always ends
                if attempt.error is None or not self.counts(attempt.error):
                    verdict = Verdict.SUCCEEDED
            finally:
                ended(inputs, ticket, verdict)
            return attempt.settled()

        return run_guarded


def _refusal(inputs: StageInputs[_A], state: BreakerState, now: float) -> CircuitOpenError:
    wait = max(0.0, state.until - now) if isinstance(state, Open) else 0.0
    when = f"until {wait:.3g} s from now" if wait else "while its probe is under way"
    return CircuitOpenError(f'Stage "{inputs.context.stage}" is not called {when}: it kept failing', retry_after=wait)
