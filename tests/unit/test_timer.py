"""The time of one run: `PipelineTimer`."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest

from stageflow import PipelineTimer


def test_elapsed_time_follows_the_monotonic_clock(clock) -> None:
    timer = clock.timer()
    assert timer.elapsed_ms() == 0.0
    clock.advance(0.25)
    assert timer.elapsed_ms() == 250.0


def test_the_wall_clock_is_read_once_so_that_its_steps_do_not_show(clock) -> None:
    walls = iter([datetime(2026, 1, 1, tzinfo=UTC)])
    timer = PipelineTimer(clock=clock, wall=lambda: next(walls))
    clock.advance(2.0)
    assert timer.started_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert timer.now_ms() == datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC).timestamp() * 1000


def test_now_is_a_whole_number_of_milliseconds(clock) -> None:
    timer = clock.timer()
    clock.advance(0.0015)
    assert timer.now_ms() == datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000 + 1
    assert isinstance(timer.now_ms(), int)


def test_the_start_is_in_utc_whatever_zone_the_wall_clock_has(clock) -> None:
    there = timezone(timedelta(hours=2))
    timer = PipelineTimer(clock=clock, wall=lambda: datetime(2026, 1, 1, 2, tzinfo=there))
    assert timer.started_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert timer.started_at.utcoffset() == timedelta(0)


def test_a_reading_of_the_clock_has_a_moment(clock) -> None:
    timer = clock.timer()
    assert timer.moment(clock.now) == timer.started_at
    assert timer.moment(clock.now + 1.5) == timer.started_at + timedelta(seconds=1.5)


def test_without_clocks_it_takes_the_real_ones() -> None:
    before = datetime.now(UTC)
    timer = PipelineTimer()
    assert before <= timer.started_at <= datetime.now(UTC)
    first, second = timer.elapsed_ms(), timer.elapsed_ms()
    assert 0 <= first <= second


@pytest.mark.parametrize("name", ["started_at", "clock", "more"])
def test_a_timer_cannot_be_changed(clock, name) -> None:
    timer = clock.timer()
    with pytest.raises(AttributeError):
        setattr(timer, name, None)


def test_a_timer_gives_its_clock(clock) -> None:
    assert clock.timer().clock is clock


def test_a_timer_on_the_real_clock_is_picklable_and_copied_goes_on_from_the_same_start() -> None:
    timer = PipelineTimer()
    for other in (pickle.loads(pickle.dumps(timer)), copy.copy(timer)):
        assert other.started_at == timer.started_at
        assert other.clock is timer.clock
