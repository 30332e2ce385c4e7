"""What a stage sees, and the type of a function that is a stage."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Generic, Protocol, overload

from returns.result import Result
from typing_extensions import Never, TypeVar, override

from stageflow.context.ports import StagePorts
from stageflow.context.stage import StageContext
from stageflow.core.output import StageOutput
from stageflow.core.stage import StageHandle
from stageflow.errors import StageError, UndeclaredDependencyError

_V = TypeVar("_V", covariant=True, default=object)
_T = TypeVar("_T")
_I = TypeVar("_I", contravariant=True, default=Never)
_O = TypeVar("_O", covariant=True, default=object)
_E = TypeVar("_E", covariant=True, bound=StageError, default=StageError)


class StageInputs(Generic[_V]):
    """What a stage sees: its value, the outputs of its ancestors, ports, and the run.

    Args:
        value: what the stage works on; in a run, the output of what it follows, a tuple where it follows several.
        ports: capabilities, for calling a stage directly in a test.
        context: the run as the stage sees it; in a test one is made where none is given.

    >>> StageInputs("a").value
    'a'
    """

    __slots__ = ("_attempt", "_context", "_ports", "_value")

    def __init__(self, value: _V, /, *, ports: StagePorts | None = None, context: StageContext | None = None) -> None:
        self._value = value
        self._ports = ports
        self._context = context
        self._attempt = 1

    @property
    def value(self) -> _V:
        """The output of what the stage follows; a tuple, in order, where it follows several."""
        return self._value

    @property
    def ports(self) -> StagePorts:
        """The capabilities that the host supplied."""
        if self._ports is None:
            self._ports = StagePorts()
        return self._ports

    @property
    def context(self) -> StageContext:
        """The run as this stage sees it."""
        if self._context is None:
            self._context = StageContext(attempt=self._attempt)
        return self._context

    @property
    def attempt(self) -> int:
        """Which try this is, from 1."""
        return self._attempt

    def next_attempt(self, error: StageError | None = None, *, waited: float = 0.0) -> StageInputs[_V]:
        """The same inputs for another try: what a retrying interceptor passes on. The engine counts and tells.

        Args:
            error: what the former try failed with, for the event and the report.
            waited: seconds since then, which the report does not count as that try's.
        """
        again: StageInputs[_V] = StageInputs(self._value, ports=self._ports)
        again._attempt = self._attempt + 1
        if self._context is not None:
            again._context = replace(self._context, attempt=again._attempt)
        return again

    @overload
    def __getitem__(self, stage: StageHandle[_T], /) -> _T: ...
    @overload
    def __getitem__(self, name: str, /) -> object: ...
    def __getitem__(self, stage: StageHandle[object] | str, /) -> object:
        """The output of an ancestor, typed by its handle, or by name.

        Raises:
            UndeclaredDependencyError: the stage is not an ancestor.
        """
        name = stage if isinstance(stage, str) else stage.name
        raise UndeclaredDependencyError(
            f'There is no "{name}" to read: these inputs were made by hand, outside a run. '
            "Run the stage in a pipeline that has what it reads, with .replacing(...).by(...) for what a test stubs."
        )

    @override
    def __repr__(self) -> str:
        return f"StageInputs({self._value!r})"


class StageFunction(Protocol[_I, _O, _E]):
    """The seed's Stage protocol: an async function from inputs to a Result."""

    def __call__(self, inputs: StageInputs[_I], /) -> Awaitable[Result[StageOutput[_O], _E]]:
        """Runs the stage."""
        ...
