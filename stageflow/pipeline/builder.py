"""Composing stages: `Stage` and what its operators make, each a typed face of an immutable shape.

`Stage`, `Pipeline`, `Parallel`, `Route` and `Interceptor` name one another in their types, so they share a module.
No operator copies what it composes: a pipeline of 100,000 stages is built step by step in linear time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, Self, TypeVarTuple, cast, final, overload

from returns.result import Failure, Result, Success
from typing_extensions import Never, TypeVar, Unpack, override

from stageflow.context.inputs import StageFunction, StageInputs
from stageflow.context.pipeline import PipelineContext
from stageflow.core.output import StageOutput, ok, skip
from stageflow.core.output import cancel as cancelled
from stageflow.core.stage import Shape, StageHandle, StageKind, in_order
from stageflow.errors import PipelineValidationError, StageError, StageExecutionError
from stageflow.graph import problems as say
from stageflow.graph.building.by_name import checked_names
from stageflow.graph.execution.outputs import StageOutputs
from stageflow.graph.executor import UnifiedStageGraph, built, driver, graph_of
from stageflow.graph.leaf import leaf, lifted_leaf
from stageflow.graph.outcome import Cancelled, Completed, Failed, Outcome, PipelineResult
from stageflow.graph.shape import Both, Call, Case, Given, Leaf, Named, Replaced, Routed, Then, Together
from stageflow.graph.spec import UnifiedStageSpec
from stageflow.graph.wired import Returning, Source, Step, Union, Wire
from stageflow.graph.wrapping import Each, OrNone, Recover, Settle, Using, When, Wrapped, Wrapper, Wraps
from stageflow.placement import LOCAL

if TYPE_CHECKING:  # it is imported when the first diagram is made
    from stageflow.graph.diagram import Diagram

_I = TypeVar("_I", contravariant=True, default=Never)
_O = TypeVar("_O", covariant=True, default=object)
_E = TypeVar("_E", covariant=True, bound=StageError, default=StageError)
_X = TypeVar("_X", covariant=True, bound=StageError, default=Never)
_P = TypeVar("_P", covariant=True)
_K = TypeVar("_K")
_A = TypeVar("_A")
_B = TypeVar("_B")
_C = TypeVar("_C")
_D = TypeVar("_D")
_T = TypeVar("_T")
_T1 = TypeVar("_T1")
_T2 = TypeVar("_T2")
_T3 = TypeVar("_T3")
_T4 = TypeVar("_T4")
_T5 = TypeVar("_T5")
_T6 = TypeVar("_T6")
_E1 = TypeVar("_E1", bound=StageError)
_E2 = TypeVar("_E2", bound=StageError)
_Ts = TypeVarTuple("_Ts")
_In = TypeVar("_In")
_Out = TypeVar("_Out")
_Err = TypeVar("_Err", bound=StageError)


class Interceptor(ABC, Generic[_X]):
    """A decorator of a stage function, as a frozen value; ``_X`` is the error that it may add.

    Implement `wrap`; or derive from `BaseInterceptor`, which has hooks. State that runs share (a breaker's, a
    limiter's) is made in `wrap`, and so belongs to the place where the interceptor was wrapped.
    """

    __slots__ = ()

    @abstractmethod
    def wrap(self, call: StageFunction[_A, _B, _E1], /) -> StageFunction[_A, _B, _E1 | _X]:
        """The function, changed. It passes on the inputs it was given, or ``inputs.next_attempt()``."""

    def __call__(self, stage: StageFunction[_A, _B, _E1], /) -> Stage[_A, _B, _E1 | _X]:
        """The stage in this interceptor: of several decorators, the first listed is the outermost."""
        inner = stage if isinstance(stage, Stage) else Stage[_A, _B, _E1](leaf(stage))
        return Stage(Wrapped.of(inner.shape, Using(cast("Wraps", self))))


class Stage(StageHandle[_O], Generic[_I, _O, _E]):
    """A stage: what it takes, what it gives, and what can go wrong, as types. Made by `stage` and `lift`.

    It composes with ``|`` (then) and ``&`` (branches on the same input), is called directly in a test, and is a
    handle: ``inputs[fetch]`` and ``report.outputs[fetch]`` have the type of its output.
    """

    __slots__ = ("__weakref__", "_graph")
    _graph: UnifiedStageGraph[Never, object, StageError] | None

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self._graph = None

    @property
    def kind(self) -> StageKind:
        """What the stage is for."""
        shape, kind = self._shape, None
        while not isinstance(shape, Leaf):
            if isinstance(shape, Named):
                kind = kind or shape.kind
            if not isinstance(shape, Named | Wrapped):
                return kind or StageKind.TRANSFORM
            shape = shape.inner
        return kind or shape.kind

    async def __call__(self, inputs: StageInputs[_I], /) -> Result[StageOutput[_O], _E]:
        """Calls the stage directly, as a test does; what composes others is run as a pipeline."""
        call = _direct(self._shape)
        if call is not None:
            given = await call(cast("StageInputs[object]", inputs))
        else:
            context = PipelineContext(ports=inputs.ports)
            given = _as_result(await driver()(self._built(), cast("object", inputs.value), context))
        return cast("Result[StageOutput[_O], _E]", given)

    @overload
    def __or__(self: Stage[_A, _B, _E1], other: Stage[_B, _C, _E2], /) -> Pipeline[_A, _C, _E1 | _E2]: ...
    @overload
    def __or__(
        self: Stage[_A, _B, _E1], other: Parallel[_B, Unpack[_Ts], _E2], /
    ) -> Pipeline[_A, tuple[Unpack[_Ts]], _E1 | _E2]: ...
    def __or__(self, other: object, /) -> object:
        """This, then the other, on what this gives."""
        return Pipeline(Then(self._shape, shape_of(other)))

    @overload
    def __and__(self: Stage[_A, _B, _E1], other: Stage[_A, _C, _E2], /) -> Parallel[_A, _B, _C, _E1 | _E2]: ...
    @overload
    def __and__(
        self: Stage[_A, _B, _E1], other: Parallel[_A, Unpack[_Ts], _E2], /
    ) -> Parallel[_A, _B, Unpack[_Ts], _E1 | _E2]: ...
    def __and__(self, other: object, /) -> object:
        """This and the other, on the same input, at the same time."""
        branches: Parallel[object, object, object, StageError] = Parallel(Both(self._shape, shape_of(other)))
        return branches

    def named(self, name: str) -> Self:
        """The same stage under another name, with a handle of its own; names inside it are dotted."""
        return type(self)(Named(self._shape, name))

    def each(self: Stage[_A, _B, _E1], *, limit: int | None = None) -> Pipeline[Sequence[_A], tuple[_B, ...], _E1]:
        """Runs the stage once per item, concurrently, and gives the outputs in the items' order.

        Args:
            limit: how many items may run at once; None for all.
        """
        if limit is not None and limit < 1:
            raise ValueError(f'limit={limit} of "{self.name}".each() must be at least 1, or None for no limit.')
        return Pipeline(self._wrapped(Each(limit)))

    def optional(self: Stage[_A, _B, _E1]) -> Pipeline[_A, _B | None, _E1]:
        """Turns a skip into None, so that what follows runs."""
        return Pipeline(self._wrapped(OrNone()))

    def settled(self: Stage[_A, _B, _E1]) -> Pipeline[_A, Success[_B] | Failure[_E1 | StageExecutionError], Never]:
        """Turns a failure, a defect too, into a value; a skip or cancellation stays what it is."""
        return Pipeline(self._wrapped(Settle()))

    def recover(
        self: Stage[_A, _B, _E1], handler: Callable[[_E1], Awaitable[Result[StageOutput[_C], _E2]]]
    ) -> Pipeline[_A, _B | _C, _E2]:
        """Handles every failure that is in the type; a defect passes through."""
        return Pipeline(self._wrapped(Recover(cast("Callable[[StageError], Awaitable[Given]]", handler))))

    def when(self: Stage[_A, _B, _E1], predicate: Callable[[StageInputs[_A]], bool]) -> Pipeline[_A, _B, _E1]:
        """Skips the stage where the predicate is false."""
        return Pipeline(self._wrapped(When(cast("Callable[[StageInputs[object]], bool]", predicate))))

    def using(self: Stage[_A, _B, _E1], interceptor: Interceptor[_E2], /) -> Pipeline[_A, _B, _E1 | _E2]:
        """Wraps the stage, as it is by now, in an interceptor: the last is the outermost."""
        return Pipeline(self._wrapped(Using(cast("Wraps", interceptor))))

    def replacing(self, stage: Stage[_A, _B, _E2], /) -> Replacing[Self, _A, _B, _E2]:
        """Puts another stage in the place of one inside this: ``pipeline.replacing(fetch).by(stub)``."""
        return Replacing(self, shape_of(stage))

    async def run(
        self: Stage[_A, _B, _E1], value: _A, /, *, context: PipelineContext | None = None
    ) -> PipelineResult[_B, _E1 | StageExecutionError]:
        """Runs the stage as a pipeline, with a default runner; see `Runner.run`.

        Raises:
            PipelineValidationError: it does not build; nothing was started.
        """
        outcome = await driver()(self._built(), value, context)
        return cast("PipelineResult[_B, _E1 | StageExecutionError]", outcome)

    def graph(self: Stage[_A, _B, _E1]) -> UnifiedStageGraph[_A, _B, _E1]:
        """The graph of this stage, built once.

        Raises:
            PipelineValidationError: it does not build.
        """
        return cast("UnifiedStageGraph[_A, _B, _E1]", self._built())

    def diagram(self) -> Diagram:
        """What the graph of this stage looks like, as data: `stageflow.views` draws it.

        Raises:
            PipelineValidationError: it does not build.
        """
        return self._built().diagram()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Mapping[str, str]:
        """The diagram, in a notebook; what does not build is shown as its text."""
        graph = built(self._shape)
        if isinstance(graph, Failure):
            return {"text/plain": f"{self!r} does not build: {graph.failure()}"}
        return self.diagram()._repr_mimebundle_(include, exclude)  # pyright: ignore[reportPrivateUsage]  (a notebook's protocol)

    def _built(self) -> UnifiedStageGraph[Never, object, StageError]:
        if self._graph is None:
            self._graph = graph_of(self._shape)
        return self._graph

    def _wrapped(self, how: Wrapper) -> Wrapped:
        return Wrapped.of(self._shape, how)

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return (_again, (type(self), in_order(self._shape), self._shape))


def _again(kind: Callable[[Shape], StageHandle[object]], _: object, shape: Shape) -> StageHandle[object]:
    return kind(shape)


class Pipeline(Stage[_I, _O, _E]):
    """Stages that follow one another; itself a stage wherever a stage is wanted."""

    __slots__ = ()

    @staticmethod
    def of(input: type[_T], /) -> Pipeline[_T, StageOutputs, Never]:
        """A pipeline without stages yet, of this type of input, to be added to by `with_stage`."""
        return Pipeline(Source(input))

    @staticmethod
    def from_specs(specs: Iterable[UnifiedStageSpec], /) -> Pipeline[object, StageOutputs, StageError]:
        """A pipeline of many stages at once, wired by names; a compatibility door: types are checked at build."""
        return Pipeline(Step(Source(object), tuple([spec.wire() for spec in specs])))

    @overload
    def with_stage(
        self: Pipeline[_A, object, _E1], stage: Stage[_A, _B, _E2], /
    ) -> Pipeline[_A, StageOutputs, _E1 | _E2]: ...
    @overload
    def with_stage(
        self: Pipeline[_A, object, _E1], stage: Stage[_B, _C, _E2], /, *, after: Stage[Never, _B, StageError]
    ) -> Pipeline[_A, StageOutputs, _E1 | _E2]: ...
    @overload
    def with_stage(
        self: Pipeline[_A, object, _E1],
        stage: Stage[tuple[_T1, _T2], _C, _E2],
        /,
        *,
        after: tuple[Stage[Never, _T1, StageError], Stage[Never, _T2, StageError]],
    ) -> Pipeline[_A, StageOutputs, _E1 | _E2]: ...
    @overload
    def with_stage(
        self: Pipeline[_A, object, _E1],
        stage: Stage[tuple[_T1, _T2, _T3], _C, _E2],
        /,
        *,
        after: tuple[Stage[Never, _T1, StageError], Stage[Never, _T2, StageError], Stage[Never, _T3, StageError]],
    ) -> Pipeline[_A, StageOutputs, _E1 | _E2]: ...
    @overload
    def with_stage(
        self: Pipeline[_A, object, _E1],
        stage: Stage[tuple[_T1, _T2, _T3, _T4], _C, _E2],
        /,
        *,
        after: tuple[
            Stage[Never, _T1, StageError],
            Stage[Never, _T2, StageError],
            Stage[Never, _T3, StageError],
            Stage[Never, _T4, StageError],
        ],
    ) -> Pipeline[_A, StageOutputs, _E1 | _E2]: ...
    @overload
    def with_stage(
        self: Pipeline[_A, object, _E1],
        stage: Stage[tuple[_T1, _T2, _T3, _T4, _T5], _C, _E2],
        /,
        *,
        after: tuple[
            Stage[Never, _T1, StageError],
            Stage[Never, _T2, StageError],
            Stage[Never, _T3, StageError],
            Stage[Never, _T4, StageError],
            Stage[Never, _T5, StageError],
        ],
    ) -> Pipeline[_A, StageOutputs, _E1 | _E2]: ...
    @overload
    def with_stage(
        self: Pipeline[_A, object, _E1],
        stage: Stage[tuple[_T1, _T2, _T3, _T4, _T5, _T6], _C, _E2],
        /,
        *,
        after: tuple[
            Stage[Never, _T1, StageError],
            Stage[Never, _T2, StageError],
            Stage[Never, _T3, StageError],
            Stage[Never, _T4, StageError],
            Stage[Never, _T5, StageError],
            Stage[Never, _T6, StageError],
        ],
    ) -> Pipeline[_A, StageOutputs, _E1 | _E2]: ...
    @overload
    def with_stage(
        self: Pipeline[_A, object, _E1],
        name: str,
        stage: Stage[Never, object, _E2],
        kind: StageKind | None = None,
        /,
        *,
        dependencies: Sequence[str] = (),
    ) -> Pipeline[_A, StageOutputs, _E1 | _E2]: ...
    def with_stage(
        self,
        stage: StageHandle[object] | str,
        named: StageHandle[object] | None = None,
        kind: StageKind | None = None,
        /,
        *,
        after: StageHandle[object] | tuple[StageHandle[object], ...] = (),
        dependencies: Sequence[str] = (),
    ) -> object:
        """Adds a stage: on the pipeline's input, after others (their handles), or by names.

        Args:
            stage: the stage; or its name in this pipeline.
            named: the stage, where a name comes first.
            kind: what it is for, where a name comes first.
            after: what it follows: one handle, whose output it gets, or several, for a tuple.
            dependencies: the same by name, checked at build.
        """
        if isinstance(stage, str):
            if not isinstance(named, StageHandle):
                raise TypeError(f'with_stage("{stage}", ...) needs the stage after its name; it was given {named!r}.')
            names = checked_names(dependencies, stage)
            wire = Wire(Named(named.shape, stage, kind, keeps=True), names, len(names) == 1)
        elif isinstance(after, StageHandle):
            wire = Wire(shape_of(stage), (after.shape,), True)
        else:
            wire = Wire(shape_of(stage), tuple([handle.shape for handle in after]), False)
        return Pipeline(Step(self._shape, (wire,)))

    def compose(
        self: Pipeline[_A, object, _E1], other: Pipeline[_A, object, _E2], /
    ) -> Pipeline[_A, StageOutputs, _E1 | _E2]:
        """The stages of both pipelines, on the same input; one name for two stages is a build problem."""
        return Pipeline(Union(self._shape, shape_of(other)))

    def returning(self: Pipeline[_A, object, _E1], stage: Stage[Never, _T, StageError], /) -> Pipeline[_A, _T, _E1]:
        """The same pipeline, with the output of one of its stages as its own."""
        return Pipeline(Returning(self._shape, shape_of(stage)))

    def build(self: Pipeline[_A, _B, _E1]) -> Result[UnifiedStageGraph[_A, _B, _E1], PipelineValidationError]:
        """The graph, checked; or every problem at once, each with where it is and how to fix it."""
        graph = Success(self._graph) if self._graph is not None else built(self._shape)
        if isinstance(graph, Success):
            self._graph = graph.unwrap()
        return cast("Result[UnifiedStageGraph[_A, _B, _E1], PipelineValidationError]", graph)


class Parallel(Generic[_A, Unpack[_Ts], _E1]):
    """Branches on the same input. It becomes a stage once piped, or by `into` or `together`."""

    __slots__ = ("_shape",)

    def __init__(self, shape: Both) -> None:
        self._shape = shape

    @property
    def shape(self) -> Both:
        """What the graph knows the branches by."""
        return self._shape

    def __and__(self, other: Stage[_A, _D, _E2], /) -> Parallel[_A, Unpack[_Ts], _D, _E1 | _E2]:
        """These branches and one more."""
        return Parallel(Both(self._shape, shape_of(other)))

    def __or__(self, other: Stage[tuple[Unpack[_Ts]], _C, _E2], /) -> Pipeline[_A, _C, _E1 | _E2]:
        """These branches, then a stage on the tuple of what they give."""
        return Pipeline(Then(self._shape, shape_of(other)))

    def together(self) -> Pipeline[_A, tuple[Unpack[_Ts]], _E1]:
        """The branches as one stage, which gives the tuple of what they give."""
        return Pipeline(Together(self._shape))

    def into(self, build: Callable[[Unpack[_Ts]], _T], /) -> Pipeline[_A, _T, _E1]:
        """The branches as one stage, which gives what ``build`` makes of their outputs: a dataclass, say."""
        joined = lifted_leaf(_Joined(build), getattr(build, "__name__", "into"), placement=LOCAL)
        return Pipeline(Then(self._shape, joined))

    async def run(
        self, value: _A, /, *, context: PipelineContext | None = None
    ) -> PipelineResult[tuple[Unpack[_Ts]], _E1 | StageExecutionError]:
        """Runs the branches, with a default runner."""
        return await self.together().run(value, context=context)


@final
class _Joined(Generic[Unpack[_Ts], _T]):
    """What makes one value of the tuple that branches give; a class, so that it pickles where ``build`` does."""

    __slots__ = ("joined_by",)

    def __init__(self, build: Callable[[Unpack[_Ts]], _T]) -> None:
        self.joined_by: Callable[[Unpack[_Ts]], _T] = build

    def __call__(self, values: tuple[Unpack[_Ts]], /) -> _T:
        return self.joined_by(*values)


@final
class Replacing(Generic[_P, _In, _Out, _Err]):
    """A pipeline in which one stage is about to give way to another."""

    __slots__ = ("_old", "_whole")

    def __init__(self, whole: _P, old: Shape) -> None:
        self._whole = whole
        self._old = old

    def by(self, stage: Stage[_In, _Out, _Err], /) -> _P:
        """The pipeline with this stage in the place of the other, under the other's name and handle."""
        whole = cast("Stage[object, object, StageError]", self._whole)
        return cast("_P", type(whole)(Replaced(whole.shape, self._old, shape_of(stage))))


@final
class Route(Generic[_A, _K, _O, _E]):
    """A selector, and a stage for what it gives; finish it with `otherwise` or `exhaustive`."""

    __slots__ = ("_cases", "_selector")

    def __init__(self, selector: Shape, cases: Case | None = None) -> None:
        self._selector = selector
        self._cases = cases

    def case(self: Route[_A, _K, _B, _E1], key: _K, stage: Stage[_A, _C, _E2], /) -> Route[_A, _K, _B | _C, _E1 | _E2]:
        """The stage to run, on the selector's own input, where the selector gives this key."""
        try:
            hash(key)
        except TypeError:
            raise TypeError(f"A case's key must be hashable, and {key!r} is not. Let the selector give one.") from None
        return Route(self._selector, Case(self._cases, key, shape_of(stage)))

    def otherwise(self: Route[_A, _K, _B, _E1], stage: Stage[_A, _C, _E2], /) -> Pipeline[_A, _B | _C, _E1 | _E2]:
        """The stage to run where no case fits."""
        return Pipeline(Routed(self._selector, self._cases, shape_of(stage)))

    def exhaustive(self: Route[_A, _K, _B, _E1]) -> Pipeline[_A, _B, _E1]:
        """The cases are all there are: checked at build against the selector's ``Literal``, ``Enum`` or ``bool``."""
        return Pipeline(Routed(self._selector, self._cases, None))


def shape_of(other: object) -> Shape:
    """The shape of a stage or of branches.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(other, StageHandle):
        return cast("StageHandle[object]", other).shape
    if isinstance(other, Parallel):
        return cast("Parallel[object, Unpack[tuple[object, ...]], StageError]", other).shape
    raise TypeError(say.no_stage_to_compose(other))


def _direct(shape: Shape) -> Call | None:
    """The function that a stage is, where it needs no run: interceptors and conditions are called as they are."""
    call: Call | None = None
    while not isinstance(shape, Leaf):
        if isinstance(shape, Wrapped) and isinstance(shape.how, Using | When):
            call = call or shape.call
        elif not isinstance(shape, Named):
            return None
        shape = shape.inner
    return call or shape.call


def _as_result(outcome: Outcome) -> Given:
    match outcome:
        case Completed(value):
            return ok(value)
        case Failed(error):
            return Failure(error)
        case Cancelled(reason):
            return cancelled(reason)
        case _:
            return skip(outcome.reason)
