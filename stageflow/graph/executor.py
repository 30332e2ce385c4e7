"""The graphs: `UnifiedStageGraph`, which every pipeline becomes, and `StageGraph`, its exception-style face."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Generic, cast, final

from returns.result import Failure, Result, Success
from typing_extensions import Never, TypeVar, override

from stageflow.context.pipeline import PipelineContext
from stageflow.core.stage import Shape, in_order
from stageflow.errors import PipelineValidationError, StageError, StageExecutionError
from stageflow.graph.above import given
from stageflow.graph.building.build import laid_out
from stageflow.graph.drawing import drawing
from stageflow.graph.outcome import Outcome, PipelineResult
from stageflow.graph.plan import Atlas

if TYPE_CHECKING:  # it is imported when the first diagram is made
    from stageflow.graph.diagram import Diagram

_I = TypeVar("_I", contravariant=True, default=Never)
_O = TypeVar("_O", covariant=True, default=object)
_E = TypeVar("_E", covariant=True, bound=StageError, default=StageError)
_A = TypeVar("_A")
_B = TypeVar("_B")
_E1 = TypeVar("_E1", bound=StageError)


@final
class UnifiedStageGraph(Generic[_I, _O, _E]):
    """A pipeline that was built: frozen, checked, indexed, and safe to run many times at once."""

    __slots__ = ("__weakref__", "_atlas", "_shape")

    def __init__(self, shape: Shape, atlas: Atlas) -> None:
        self._shape = shape
        self._atlas = atlas

    @property
    def name(self) -> str:
        """What the graph is called in events and logs."""
        return self._shape.label

    @property
    def atlas(self) -> Atlas:
        """Where everything in the graph stands: for what executes or draws it."""
        return self._atlas

    @property
    def shape(self) -> Shape:
        """What it was built from."""
        return self._shape

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the outermost stages, in graph order: topological, ties by declaration."""
        return self._atlas.root.names

    def diagram(self) -> Diagram:
        """What the graph looks like, as data: `stageflow.views` draws it."""
        return drawing().described(self._shape, self._atlas)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Mapping[str, str]:
        """The diagram, in a notebook."""
        return self.diagram()._repr_mimebundle_(include, exclude)  # pyright: ignore[reportPrivateUsage]  (a notebook's protocol)

    def __len__(self) -> int:
        return len(self._atlas.root.names)

    async def run(
        self: UnifiedStageGraph[_A, _B, _E1], value: _A, /, *, context: PipelineContext | None = None
    ) -> PipelineResult[_B, _E1 | StageExecutionError]:
        """Runs the graph with a default runner; see `Runner.run`."""
        return cast("PipelineResult[_B, _E1 | StageExecutionError]", await driver()(self, value, context))

    @override
    def __repr__(self) -> str:
        return f"<UnifiedStageGraph {self.name!r} of {len(self)} stages>"

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return (_again, (in_order(self._shape), self._shape))


AnyGraph = UnifiedStageGraph[Never, object, StageError]
Driver = Callable[[AnyGraph, object, PipelineContext | None], Awaitable[Outcome]]


def driver() -> Driver:
    """What runs graphs."""
    return cast("Driver", given("driver"))


def built(shape: Shape) -> Result[AnyGraph, PipelineValidationError]:
    """The graph of a shape, or every problem of it."""
    match laid_out(shape):
        case Success(atlas):
            return Success(UnifiedStageGraph(shape, atlas))
        case Failure(error):
            return Failure(error)
        case _:
            raise AssertionError(shape)


def graph_of(shape: Shape) -> AnyGraph:
    """The graph of a shape.

    Raises:
        PipelineValidationError: it has problems.
    """
    result = built(shape)
    if isinstance(result, Failure):
        raise result.failure()
    return result.unwrap()


def _again(_: object, shape: Shape) -> AnyGraph:
    return graph_of(shape)
