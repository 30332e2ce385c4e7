"""What a stage gives: OK with data, SKIP or CANCEL with a reason; a failure is the other side of the Result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Generic, Never, cast, final, overload

from returns.primitives.container import BaseContainer
from returns.result import Failure, Result, Success
from typing_extensions import TypeVar, override

from stageflow.core.stage import StageStatus
from stageflow.errors import StageError

_V = TypeVar("_V", covariant=True, default=object)
_T = TypeVar("_T")
_E = TypeVar("_E", bound=StageError)


def _now() -> datetime:
    return datetime.now(UTC)


def _nothing() -> Mapping[str, object]:
    return MappingProxyType({})


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone. Give one: datetime.now(UTC).")
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class StageArtifact:
    """A thing a stage made beside its data: a file, a chart, a prompt.

    Attributes:
        type: what it is, in the application's words.
        payload: the thing, or where it is.
        timestamp: when it was made, in UTC.
    """

    type: str
    payload: object
    timestamp: datetime = field(default_factory=_now)

    def __post_init__(self) -> None:
        object.__setattr__(self, "timestamp", _aware(self.timestamp))


@dataclass(frozen=True, slots=True)
class StageEvent:
    """Something that happened, of a run or in a stage's own words.

    Attributes:
        type: what happened, dotted: ``stage.fetch.completed``.
        data: the particulars, read-only.
        timestamp: when, in UTC.
    """

    type: str
    data: Mapping[str, object] = field(default_factory=_nothing)
    timestamp: datetime = field(default_factory=_now)

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", MappingProxyType(dict(self.data)))
        object.__setattr__(self, "timestamp", _aware(self.timestamp))

    @override
    def __hash__(self) -> int:
        return hash((self.type, frozenset(self.data.items()), self.timestamp))

    @override
    def __reduce__(self) -> tuple[object, ...]:
        # A mapping proxy does not pickle.
        return (StageEvent, (self.type, dict(self.data), self.timestamp))


@final
class StageOutput(Generic[_V]):
    """What a stage gives where it did not fail. Written `ok`, `skip` or `cancel`; immutable.

    One is made for every stage of every run, so it is a plain slotted class behind read-only properties: a frozen
    dataclass of as many fields costs four times as much to make.
    """

    __slots__ = ("_artifacts", "_data", "_events", "_reason", "_status")
    __match_args__ = ("status", "data", "reason")

    def __init__(
        self,
        status: StageStatus,
        data: _V,
        reason: str = "",
        artifacts: tuple[StageArtifact, ...] = (),
        events: tuple[StageEvent, ...] = (),
    ) -> None:
        self._status = status
        self._data = data
        self._reason = reason
        self._artifacts = artifacts
        self._events = events

    @property
    def status(self) -> StageStatus:
        """OK, SKIP or CANCEL."""
        return self._status

    @property
    def data(self) -> _V:
        """What the stage gave."""
        return self._data

    @property
    def reason(self) -> str:
        """Why it was skipped or cancelled; empty where OK."""
        return self._reason

    @property
    def artifacts(self) -> tuple[StageArtifact, ...]:
        """Things made beside the data."""
        return self._artifacts

    @property
    def events(self) -> tuple[StageEvent, ...]:
        """What happened meanwhile, in the stage's own words."""
        return self._events

    def _parts(self) -> tuple[StageStatus, _V, str, tuple[StageArtifact, ...], tuple[StageEvent, ...]]:
        return (self._status, self._data, self._reason, self._artifacts, self._events)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, StageOutput) and self._parts() == cast("StageOutput[object]", other)._parts()

    @override
    def __hash__(self) -> int:
        return hash(self._parts())

    @override
    def __repr__(self) -> str:
        shown = f"data={self._data!r}" if self._status is StageStatus.OK else f"reason={self._reason!r}"
        return f"StageOutput({self._status.value}, {shown})"

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return (StageOutput, self._parts())

    @staticmethod
    def ok(data: _T) -> StageOutput[_T]:
        """The output of a stage that did its work.

        >>> StageOutput.ok(3).data
        3
        """
        return StageOutput(StageStatus.OK, data)

    @staticmethod
    def skip(reason: str) -> StageOutput[Never]:
        """The output of a stage that had nothing to do; what follows it is skipped too."""
        return _without_data(StageStatus.SKIP, reason)

    @staticmethod
    def cancel(reason: str) -> StageOutput[Never]:
        """The output of a stage that ends the whole run."""
        return _without_data(StageStatus.CANCEL, reason)


def _without_data(status: StageStatus, reason: str) -> StageOutput[Never]:
    if not reason.strip():
        raise ValueError(f"{status.value}() needs a reason: it is what the report of the run will say.")
    return StageOutput(status, cast("Never", None), reason)


def ok(
    data: _T, *, artifacts: Iterable[StageArtifact] = (), events: Iterable[StageEvent] = ()
) -> Result[StageOutput[_T], Never]:
    """The stage did its work, and this is its output.

    >>> ok(3).unwrap().data
    3
    """
    if artifacts or events:
        return Success(StageOutput(_OK, data, "", tuple(artifacts), tuple(events)))
    output = _bare_output(StageOutput)
    output._status, output._data, output._reason = _OK, data, ""  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (what __init__ does)
    output._artifacts = output._events = ()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  (the same)
    success: Success[StageOutput[_T]] = _bare_success(Success)
    _fill(success, output)
    return success


# Every stage of every run makes these two: made past their __init__s, as unpickling does, they cost half.
_OK = StageStatus.OK
_bare_output = cast("Callable[[type[StageOutput[object]]], StageOutput[object]]", object.__new__)
_bare_success = cast("Callable[[type[Success[object]]], Success[Never]]", object.__new__)
_fill = cast("Callable[[object, object], None]", BaseContainer.__dict__["_inner_value"].__set__)


def skip(reason: str) -> Result[StageOutput[Never], Never]:
    """The stage had nothing to do: what follows it is skipped too, with this reason.

    >>> skip("nothing new").unwrap().status
    <StageStatus.SKIP: 'skip'>
    """
    return Success(StageOutput.skip(reason))


def cancel(reason: str) -> Result[StageOutput[Never], Never]:
    """The stage ends the whole run, which is then `Cancelled` with this reason."""
    return Success(StageOutput.cancel(reason))


@overload
def fail(error: str, /) -> Result[Never, StageError]: ...
@overload
def fail(error: _E, /) -> Result[Never, _E]: ...
def fail(error: str | StageError, /) -> Result[Never, StageError]:
    """The stage failed with this error; a text becomes a plain `StageError`.

    >>> fail("no such page").failure()
    StageError(message='no such page', retryable=False)
    """
    return Failure(StageError(error) if isinstance(error, str) else error)


def sealed(result: Result[_T, _E]) -> Success[_T] | Failure[_E]:
    """The same result, as the two cases it can be, so that ``match`` is exact and exhaustive under both checkers.

    >>> def shown(result: Result[StageOutput[int], StageError]) -> str:
    ...     match sealed(result):
    ...         case Success(output):
    ...             return str(output.data)
    ...         case Failure(error):
    ...             return f"failed: {error}"
    >>> shown(ok(3))
    '3'
    """
    if isinstance(result, Success | Failure):
        return result
    raise TypeError(f"{result!r} is no Result: give a Success or a Failure.")
