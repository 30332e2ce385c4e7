"""The time of one run: durations from a monotonic clock, moments from the wall clock read once."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def _utc_now() -> datetime:
    return datetime.now(UTC)


class PipelineTimer:
    """One shared reference per run: when it started, and how long ago that is.

    Args:
        clock: seconds on a monotonic clock; only differences count.
        wall: the time of day, timezone-aware; read once, when the timer is made.

    >>> ticks = iter([10.0, 10.25])
    >>> timer = PipelineTimer(clock=lambda: next(ticks), wall=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    >>> timer.elapsed_ms()
    250.0
    """

    __slots__ = ("_clock", "_origin", "_started_at")

    def __init__(
        self, *, clock: Callable[[], float] = time.perf_counter, wall: Callable[[], datetime] = _utc_now
    ) -> None:
        self._clock = clock
        self._started_at = wall().astimezone(UTC)
        self._origin = clock()

    @property
    def clock(self) -> Callable[[], float]:
        """The monotonic clock, in seconds."""
        return self._clock

    @property
    def started_at(self) -> datetime:
        """When the run started, in UTC."""
        return self._started_at

    def now_ms(self) -> int:
        """The time of day in milliseconds since 1970, steady: the start plus what has elapsed."""
        return int(self.started_at.timestamp() * 1000 + self.elapsed_ms())

    def elapsed_ms(self) -> float:
        """Milliseconds since the run started; a step of the wall clock does not show in it."""
        return (self._clock() - self._origin) * 1000

    def moment(self, reading: float) -> datetime:
        """The time of day, in UTC, at which the monotonic clock read so."""
        return self.started_at + timedelta(seconds=reading - self._origin)

    def reading(self, moment: datetime) -> float:
        """What the monotonic clock read at a time of day; of a moment before the start, what it would have read."""
        return self._origin + (moment - self.started_at).total_seconds()
