"""Measurements on OpenTelemetry's metrics API."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar, final

from typing_extensions import override

from stageflow._version import __version__
from stageflow.observability import metrics as of

_absent: str | None = None

if TYPE_CHECKING:
    from opentelemetry import metrics as api
    from opentelemetry.metrics import Meter, MeterProvider
else:
    try:
        from opentelemetry import metrics as api
    except ModuleNotFoundError as absent:
        _absent = f"MetricsInterceptor needs OpenTelemetry ({absent}): pip install 'stageflow[otel]'"

_T = TypeVar("_T")

# The bounds of the semantic conventions for durations in seconds, and some for stages that are faster or slower.
BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 300.0)

_UNITS: Mapping[str, tuple[str, str]] = {
    of.RUN_DURATION: ("s", "How long runs took."),
    of.RUN_FAILURES: ("{run}", "Runs that failed, by type of error."),
    of.RUN_ACTIVE: ("{run}", "Runs under way."),
    of.STAGE_DURATION: ("s", "How long stages took, all attempts."),
    of.STAGE_ATTEMPTS: ("{attempt}", "Attempts at stages."),
    of.STAGE_FAILURES: ("{stage}", "Stages that failed, by type of error."),
    of.STAGE_ACTIVE: ("{stage}", "Stages under way."),
    of.BREAKER_STATE: ("1", "1 for the state that a circuit breaker is in, 0 for the others."),
}


@final
class OpenTelemetryMetrics:
    """Measurements as instruments of a meter, each made when it is first used. Equal by provider, and picklable.

    Args:
        provider: whose meter it is; the application's where None.

    Raises:
        ImportError: OpenTelemetry is not installed.
    """

    __slots__ = ("_changes", "_counts", "_durations", "_levels", "_provider")

    def __init__(self, provider: MeterProvider | None = None) -> None:
        if _absent is not None:
            raise ImportError(_absent, name="opentelemetry")
        meter: Meter = api.get_meter("stageflow", __version__, provider)
        self._provider = provider
        self._durations = _Instruments(partial(meter.create_histogram, explicit_bucket_boundaries_advisory=BOUNDS))
        self._counts = _Instruments(meter.create_counter)
        self._changes = _Instruments(meter.create_up_down_counter)
        self._levels = _Instruments(meter.create_gauge)

    def enabled(self) -> bool:
        """Whether there is an SDK: the API's own providers measure nothing."""
        provider = api.get_meter_provider() if self._provider is None else self._provider
        return not type(provider).__module__.startswith("opentelemetry.metrics")

    def record(self, name: str, seconds: float, attributes: Mapping[str, str], /) -> None:
        """Takes a duration into a histogram."""
        self._durations.made(name).record(seconds, attributes)

    def count(self, name: str, by: int, attributes: Mapping[str, str], /) -> None:
        """Adds to a counter."""
        self._counts.made(name).add(by, attributes)

    def change(self, name: str, by: int, attributes: Mapping[str, str], /) -> None:
        """Adds to an up-down counter."""
        self._changes.made(name).add(by, attributes)

    def level(self, name: str, value: int, attributes: Mapping[str, str], /) -> None:
        """Sets a gauge."""
        self._levels.made(name).set(value, attributes)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpenTelemetryMetrics) and self._provider is other._provider

    @override
    def __hash__(self) -> int:
        return hash((OpenTelemetryMetrics, id(self._provider)))

    @override
    def __repr__(self) -> str:
        return f"OpenTelemetryMetrics({'' if self._provider is None else repr(self._provider)})"

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return (OpenTelemetryMetrics, (self._provider,))


@final
class _Instruments(Generic[_T]):
    """Instruments of one kind, by name, each made once."""

    __slots__ = ("_lock", "_made", "_make")

    def __init__(self, make: Callable[[str, str, str], _T]) -> None:
        self._make = make
        self._made: dict[str, _T] = {}
        self._lock = threading.Lock()

    def made(self, name: str) -> _T:
        """The instrument of a name."""
        found = self._made.get(name)
        if found is None:
            with self._lock:
                found = self._made.get(name)
                if found is None:
                    unit, description = _UNITS.get(name, ("", ""))
                    found = self._made[name] = self._make(name, unit, description)
        return found
