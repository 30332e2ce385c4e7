"""What a run comes to: exactly one of four, to be matched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias, final

from typing_extensions import TypeAliasType, TypeVar

from stageflow.errors import StageError
from stageflow.graph.report import RunReport

_V = TypeVar("_V", covariant=True, default=object)
_E = TypeVar("_E", covariant=True, bound=StageError, default=StageError)
_T = TypeVar("_T")
_F = TypeVar("_F", bound=StageError, default=StageError)


@final
@dataclass(frozen=True, slots=True)
class Completed(Generic[_V]):
    """The run gave a value.

    Attributes:
        value: the output of the pipeline.
        report: how every stage went.
    """

    value: _V
    report: RunReport


@final
@dataclass(frozen=True, slots=True)
class Failed(Generic[_E]):
    """The run failed.

    Attributes:
        error: the first failure in time.
        errors: every failure, in graph order.
        report: how every stage went; outputs that did finish are in it.
    """

    error: _E
    errors: tuple[_E, ...]
    report: RunReport


@final
@dataclass(frozen=True, slots=True)
class Skipped:
    """The run's output was skipped.

    Attributes:
        reason: why, with the name of the stage that skipped.
        report: how every stage went.
    """

    reason: str
    report: RunReport


@final
@dataclass(frozen=True, slots=True)
class Cancelled:
    """The run was cancelled: by a stage, from outside, or by its deadline.

    Attributes:
        reason: why.
        report: how every stage went; outputs that did finish are in it.
    """

    reason: str
    report: RunReport


PipelineResult = TypeAliasType("PipelineResult", Completed[_T] | Failed[_F] | Skipped | Cancelled, type_params=(_T, _F))

Outcome: TypeAlias = Completed[object] | Failed[StageError] | Skipped | Cancelled
