"""What can go wrong, as values with a type.

::

    Exception
    ├── StageError                       base of every typed error: raise it or return it, it is one value
    │   ├── StageExecutionError          a defect: an exception escaped a stage
    │   │   ├── MissingPortError         a stage asked for a port that nobody provided
    │   │   ├── UndeclaredDependencyError  a stage read one that it does not follow
    │   │   ├── CodecError               a value could not be stored or sent
    │   │   ├── EffectsUnknownError      a stage that must not run twice was cut off: somebody must decide
    │   │   └── WorkerLostError          the process that ran a stage is gone
    │   ├── StageTimeoutError            added by TimeoutInterceptor
    │   └── CircuitOpenError             added by CircuitBreakerInterceptor
    ├── PipelineValidationError          what build() fails with, every problem at once
    ├── UnifiedPipelineCancelled         raised by the exception-style StageGraph alone
    ├── ResumeError                      there is no run to go on with
    │   └── GraphChangedError            the pipeline is another one than that of the run
    └── RunStoreError                    the store of runs was lost in the middle of one
        └── LeaseHeldError               another process goes on with the run
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field, fields
from typing import dataclass_transform

from typing_extensions import override


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class _ErrorFields(Exception):  # noqa: N818  (a base that only carries the machinery)
    """Turns the annotations of each subclass into immutable, comparable, picklable fields.

    A frozen dataclass would refuse what Python itself sets on an exception that passes through ``contextlib``
    (``__traceback__``), so only declared fields are frozen, and only once they have a value.
    """

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(eq=False, repr=False, kw_only=True)(cls)

    @override
    def __setattr__(self, name: str, value: object) -> None:
        if name in self.__dict__ and name in _field_names(type(self)):
            raise FrozenInstanceError(f"{type(self).__name__}.{name} cannot be set: errors are values")
        super().__setattr__(name, value)

    @override
    def __delattr__(self, name: str) -> None:
        if name in _field_names(type(self)):
            raise FrozenInstanceError(f"{type(self).__name__}.{name} cannot be deleted: errors are values")
        super().__delattr__(name)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ErrorFields) and type(self) is type(other) and _values(self) == _values(other)

    @override
    def __hash__(self) -> int:
        return hash((type(self), *_values(self).values()))

    @override
    def __repr__(self) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in _values(self).items())})"

    @override
    def __reduce__(self) -> tuple[object, ...]:
        notes = getattr(self, "__notes__", None)
        return (rebuilt, (type(self), _values(self)), {"__notes__": notes} if notes else None)


def _field_names(of: type[_ErrorFields]) -> frozenset[str]:
    return frozenset(declared.name for declared in fields(of))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # made in __init_subclass__


def _values(error: _ErrorFields) -> dict[str, object]:
    return {name: error.__dict__[name] for name in error.__dict__ if name in _field_names(type(error))}


def rebuilt(of: type[_ErrorFields], values: dict[str, object]) -> _ErrorFields:
    """An error with these values in its fields, made past whatever its constructor asks."""
    error = of.__new__(of)
    error.__dict__.update(values)
    error.args = tuple(str(value) for name, value in values.items() if name == "message" and value)
    return error


class StageError(_ErrorFields):
    """The base of every error a stage can name in its type.

    Declare fields as on a dataclass; ``message`` is positional, all others are given by name. Two errors are equal
    where type and fields are.

    Attributes:
        message: what happened, for a reader.
        retryable: whether another attempt may succeed; what `RetryInterceptor` asks by default.

    >>> class HttpError(StageError):
    ...     url: str
    ...     status: int = 500
    >>> HttpError("no such page", url="https://a", status=404)
    HttpError(message='no such page', retryable=False, url='https://a', status=404)
    """

    message: str = field(default="", kw_only=False)
    retryable: bool = False

    @override
    def __str__(self) -> str:
        return self.message or repr(self)


class StageExecutionError(StageError):
    """A defect: an exception escaped the stage, and stands as this error's ``__cause__``.

    Attributes:
        stage: the name of the stage.
    """

    stage: str = ""


class MissingPortError(StageExecutionError):
    """A stage asked for a port that nobody provided."""


class UndeclaredDependencyError(StageExecutionError):
    """A stage read the output of a stage that it does not follow."""


class CodecError(StageExecutionError):
    """A value could not be encoded or decoded."""


class EffectsUnknownError(StageExecutionError):
    """A stage with ``effects="once"`` was cut off, and nobody knows whether its effect happened.

    Attributes:
        stages: the names of such stages, with the numbers of items.
    """

    stages: tuple[str, ...] = ()


class WorkerLostError(StageExecutionError):
    """The process that ran a stage is gone."""


class StageTimeoutError(StageError):
    """The stage took longer than its `TimeoutInterceptor` allows.

    Attributes:
        seconds: the limit.
    """

    seconds: float = 0.0


class CircuitOpenError(StageError):
    """The stage was not called because its circuit breaker is open.

    Attributes:
        retry_after: seconds until the breaker lets a probe through.
    """

    retry_after: float = 0.0


class PipelineValidationError(Exception):
    """What ``build()`` fails with: every problem of the pipeline, each with its fix.

    Attributes:
        problems: one sentence or two each: what, where, how to fix it.

    >>> print(PipelineValidationError(("the first problem", "the second problem")))
    2 problems:
      - the first problem
      - the second problem
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems)

    @property
    def problems(self) -> tuple[str, ...]:
        """Every problem, in the order of the stages."""
        found: tuple[str, ...] = self.args[0]
        return found

    @override
    def __str__(self) -> str:
        if len(self.problems) == 1:
            return self.problems[0]
        return "\n  - ".join((f"{len(self.problems)} problems:", *self.problems))

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, PipelineValidationError) and self.problems == other.problems

    @override
    def __hash__(self) -> int:
        return hash(self.problems)


class ResumeError(Exception):
    """A run cannot be gone on with: there is none of this id, or it was not journaled."""


class GraphChangedError(ResumeError):
    """The pipeline is another one than that of the run.

    Attributes:
        changes: what changed, a sentence each.
    """

    def __init__(self, about: str, changes: tuple[str, ...]) -> None:
        super().__init__(about, changes)

    @property
    def changes(self) -> tuple[str, ...]:
        """What changed: stages that came or went, what they follow, their types."""
        found: tuple[str, ...] = self.args[1]
        return found

    @override
    def __str__(self) -> str:
        return "\n  - ".join((str(self.args[0]), *self.changes))


class RunStoreError(Exception):
    """The store of runs was lost in the middle of a run."""


class LeaseHeldError(RunStoreError):
    """Another process has the lease of a run, and goes on with it."""
