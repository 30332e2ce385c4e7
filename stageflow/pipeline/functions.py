"""Making stages of functions: `stage`, `lift`, `identity` and `route`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol, TypeAlias, cast, overload

from returns.result import Result
from typing_extensions import Never, TypeVar

from stageflow.context.inputs import StageFunction
from stageflow.context.ports import AnyPortKey
from stageflow.core.stage import StageKind
from stageflow.errors import StageError, StageExecutionError
from stageflow.graph.leaf import leaf, lifted_leaf
from stageflow.graph.shape import Identity, Named
from stageflow.pipeline.builder import Route, Stage, shape_of
from stageflow.placement import Placement

_A = TypeVar("_A")
_B = TypeVar("_B")
_K = TypeVar("_K")
_T = TypeVar("_T")
_E1 = TypeVar("_E1", bound=StageError)

Effects: TypeAlias = Literal["repeatable", "once"]


class StageDecorator(Protocol):
    """What `stage` with options gives."""

    def __call__(self, function: StageFunction[_A, _B, _E1], /) -> Stage[_A, _B, _E1]:
        """The function as a stage."""
        ...


class LiftDecorator(Protocol):
    """What `lift` with options gives."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a Result is also an object: the first that fits is meant
        self, function: Callable[[_A], Awaitable[Result[_B, _E1]]], /
    ) -> Stage[_A, _B, _E1]: ...
    @overload
    def __call__(self, function: Callable[[_A], Result[_B, _E1]], /) -> Stage[_A, _B, _E1]: ...  # type: ignore[overload-overlap]  # the same
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the same
        self, function: Callable[[_A], Awaitable[Result[_B, object]]], /
    ) -> Stage[_A, _B, StageExecutionError]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the same
        self, function: Callable[[_A], Result[_B, object]], /
    ) -> Stage[_A, _B, StageExecutionError]: ...
    @overload
    def __call__(self, function: Callable[[_A], Awaitable[_B]], /) -> Stage[_A, _B, Never]: ...
    @overload
    def __call__(self, function: Callable[[_A], _B], /) -> Stage[_A, _B, Never]: ...
    def __call__(self, function: Callable[[_A], object], /) -> object:
        """The function as a stage."""
        ...


@overload
def stage(function: StageFunction[_A, _B, _E1], /) -> Stage[_A, _B, _E1]: ...
@overload
def stage(
    *,
    name: str | None = None,
    kind: StageKind = ...,
    requires: Sequence[AnyPortKey] = (),
    reads: Sequence[Stage[Never, object, StageError]] = (),
    effects: Effects = "repeatable",
    placement: Placement | None = None,
) -> StageDecorator: ...
def stage(
    function: StageFunction[_A, _B, _E1] | None = None,
    /,
    *,
    name: str | None = None,
    kind: StageKind = StageKind.TRANSFORM,
    requires: Sequence[AnyPortKey] = (),
    reads: Sequence[Stage[Never, object, StageError]] = (),
    effects: Effects = "repeatable",
    placement: Placement | None = None,
) -> Stage[_A, _B, _E1] | StageDecorator:
    """Makes a stage of an async function from `StageInputs` to a ``Result``.

    Args:
        function: the function.
        name: what reports and events call it; the function's own name where not given.
        kind: what it is for.
        requires: ports without which no run of it starts.
        reads: stages that it reads beside what it follows; checked at build.
        effects: ``once`` where it must not run twice in a run: a resumed run asks before it repeats one that was cut
            off, and so does a retry; see `EffectsUnknownError`.
        placement: where the runner's engine is to run it; without an engine it changes nothing.

    Raises:
        TypeError: the function is not async, or does not take exactly its inputs; or it is a stage already, of which
            only its own decorator can say that it must not run twice.

    >>> @stage
    ... async def double(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    ...     return ok(inputs.value * 2)
    >>> double
    <Stage 'double'>
    """

    def decorate(function: StageFunction[_A, _B, _E1], /) -> Stage[_A, _B, _E1]:
        if isinstance(function, Stage):
            _check_unmade(function, effects)
            named = function.name if name is None else name
            return Stage(Named(function.shape, named, kind))
        shapes = tuple([handle.shape for handle in reads])
        return Stage(leaf(function, name, kind, tuple(requires), shapes, once=effects == "once", placement=placement))

    return cast("StageDecorator", decorate) if function is None else decorate(function)


@overload
def lift(  # type: ignore[overload-overlap]  # a Result is also an object: the first that fits is meant
    function: Callable[[_A], Awaitable[Result[_B, _E1]]], /
) -> Stage[_A, _B, _E1]: ...
@overload
def lift(function: Callable[[_A], Result[_B, _E1]], /) -> Stage[_A, _B, _E1]: ...  # type: ignore[overload-overlap]  # the same
@overload
def lift(  # type: ignore[overload-overlap]  # the same
    function: Callable[[_A], Awaitable[Result[_B, object]]], /
) -> Stage[_A, _B, StageExecutionError]: ...
@overload
def lift(function: Callable[[_A], Result[_B, object]], /) -> Stage[_A, _B, StageExecutionError]: ...  # type: ignore[overload-overlap]  # the same
@overload
def lift(function: Callable[[_A], Awaitable[_B]], /) -> Stage[_A, _B, Never]: ...
@overload
def lift(function: Callable[[_A], _B], /) -> Stage[_A, _B, Never]: ...
@overload
def lift(
    *,
    name: str | None = None,
    kind: StageKind = ...,
    thread: bool = False,
    effects: Effects = "repeatable",
    placement: Placement | None = None,
) -> LiftDecorator: ...
def lift(
    function: Callable[[_A], object] | None = None,
    /,
    *,
    name: str | None = None,
    kind: StageKind = StageKind.TRANSFORM,
    thread: bool = False,
    effects: Effects = "repeatable",
    placement: Placement | None = None,
) -> object:
    """Makes a stage of a plain function of a value, sync or async, which gives a value or a ``Result``.

    What the function raises is a defect. So is a ``Failure`` that carries no `StageError`.

    Args:
        function: the function.
        name: what reports and events call it; the function's own name where not given.
        kind: what it is for.
        thread: whether a blocking function is to run in a thread, so that others go on meanwhile. A thread cannot be
            interrupted: a cancelled run waits for it.
        effects: as of `stage`.
        placement: where the runner's engine is to run it; without an engine it changes nothing.

    >>> lift(len)
    <Stage 'len'>
    """

    def decorate(function: Callable[[_A], object], /) -> Stage[_A, object, StageError]:
        made = lifted_leaf(function, name, kind, thread=thread, once=effects == "once", placement=placement)
        return Stage(made)

    return decorate if function is None else decorate(function)


def _check_unmade(made: Stage[_A, _B, _E1], effects: Effects) -> None:
    if effects != "repeatable":
        raise TypeError(
            f'{made.name!r} is a stage already: say effects="{effects}" in the decorator that makes it of its function.'
        )


def identity(type: type[_T], /) -> Stage[_T, _T, Never]:
    """The stage that gives what it gets; beside ``&`` it passes the input on: ``identity(str) & fetch``."""
    return Stage(Identity(type))


def route(selector: Stage[_A, _K, _E1], /) -> Route[_A, _K, Never, _E1]:
    """Picks a stage by what the selector gives: ``route(format_of).case("pdf", pdf).otherwise(text)``."""
    return Route(shape_of(selector))
