"""Where measurements go: the protocol behind `MetricsInterceptor`, for hosts that measure by other means."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, final

RUN_DURATION = "stageflow.run.duration"
RUN_FAILURES = "stageflow.run.failures"
RUN_ACTIVE = "stageflow.run.active"
STAGE_DURATION = "stageflow.stage.duration"
STAGE_ATTEMPTS = "stageflow.stage.attempts"
STAGE_FAILURES = "stageflow.stage.failures"
STAGE_ACTIVE = "stageflow.stage.active"
BREAKER_STATE = "stageflow.breaker.state"


class Metrics(Protocol):
    """Where measurements go. It is called on the way of a run: at once, and from threads too.

    A name and its attributes are one series; there are as many as stages times statuses times error types, whatever
    runs. What it raises is logged, and changes no outcome.
    """

    def enabled(self) -> bool:
        """Whether anything is to be measured; asked when a run starts, and for a stage outside of one."""
        ...

    def record(self, name: str, seconds: float, attributes: Mapping[str, str], /) -> None:
        """Takes a duration into a histogram, in seconds."""

    def count(self, name: str, by: int, attributes: Mapping[str, str], /) -> None:
        """Adds to a count of what happened, which only grows."""

    def change(self, name: str, by: int, attributes: Mapping[str, str], /) -> None:
        """Adds to a number of what is there now, or takes from it."""

    def level(self, name: str, value: int, attributes: Mapping[str, str], /) -> None:
        """Sets what holds now."""


@dataclass(frozen=True, slots=True)
class Series:
    """A name and its attributes: what one number belongs to.

    >>> Series.of("runs", {"b": "2", "a": "1"})
    Series(name='runs', attributes=(('a', '1'), ('b', '2')))
    """

    name: str
    attributes: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def of(name: str, attributes: Mapping[str, str]) -> Series:
        """The series of these attributes, whatever their order."""
        return Series(name, tuple(sorted(attributes.items())))


@final
class MemoryMetrics:
    """Measurements kept in memory: for tests, and for a page that shows them."""

    __slots__ = ("_durations", "_lock", "_numbers")

    def __init__(self) -> None:
        self._numbers: dict[Series, int] = {}
        self._durations: dict[Series, list[float]] = {}
        self._lock = threading.Lock()

    @property
    def numbers(self) -> Mapping[Series, int]:
        """Counts, numbers and levels by now."""
        with self._lock:
            return MappingProxyType(dict(self._numbers))

    @property
    def durations(self) -> Mapping[Series, tuple[float, ...]]:
        """Durations by now, in seconds, in the order in which they came."""
        with self._lock:
            return MappingProxyType({series: tuple(seconds) for series, seconds in self._durations.items()})

    def enabled(self) -> bool:
        """Always."""
        return True

    def record(self, name: str, seconds: float, attributes: Mapping[str, str], /) -> None:
        """Keeps a duration."""
        with self._lock:
            self._durations.setdefault(Series.of(name, attributes), []).append(seconds)

    def count(self, name: str, by: int, attributes: Mapping[str, str], /) -> None:
        """Adds to a count."""
        self.change(name, by, attributes)

    def change(self, name: str, by: int, attributes: Mapping[str, str], /) -> None:
        """Adds to a number."""
        series = Series.of(name, attributes)
        with self._lock:
            self._numbers[series] = self._numbers.get(series, 0) + by

    def level(self, name: str, value: int, attributes: Mapping[str, str], /) -> None:
        """Sets a level."""
        with self._lock:
            self._numbers[Series.of(name, attributes)] = value
