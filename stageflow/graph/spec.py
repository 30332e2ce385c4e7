"""Stages as data (a compatibility door): wired by names, as `UnifiedStageSpec` or in the style of exceptions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from stageflow.context.inputs import StageInputs
from stageflow.context.pipeline import PipelineContext
from stageflow.core.stage import StageHandle, StageKind
from stageflow.graph.building.by_name import checked_names
from stageflow.graph.shape import Named
from stageflow.graph.wired import Wire
from stageflow.graph.wrapping import When, Wrapped

Runner: TypeAlias = Callable[[PipelineContext], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class UnifiedStageSpec:
    """A stage of a graph, wired by names: for `Pipeline.from_specs`.

    Attributes:
        name: its name in the graph.
        stage: the stage.
        kind: what it is for; None keeps the stage's own.
        dependencies: the names of what it follows. It gets the output of the one, a tuple of the several, and the
            pipeline's input where there are none.
        when: whether it runs, asked with its inputs; a false answer is a skip.
    """

    name: str
    stage: StageHandle[object]
    kind: StageKind | None = None
    dependencies: tuple[str, ...] = ()
    when: Callable[[StageInputs[object]], bool] | None = None

    def __post_init__(self) -> None:
        if type(self.dependencies) is not tuple or self.dependencies:
            object.__setattr__(self, "dependencies", checked_names(self.dependencies, self.name))

    @property
    def conditional(self) -> bool:
        """Whether it has a predicate."""
        return self.when is not None

    def wire(self) -> Wire:
        """The stage as a pipeline declares it."""
        shape = self.stage.shape
        if self.when is not None:
            shape = Wrapped.of(shape, When(self.when))
        return Wire(Named(shape, self.name, self.kind, keeps=True), self.dependencies, len(self.dependencies) == 1)


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A stage in the exception style (a door for code that does not speak Result): for `StageGraph`.

    Attributes:
        name: its name in the graph.
        runner: an async function of the run's `PipelineContext`, which returns data or raises. It reads what it
            follows through ``context.outputs``, by name.
        kind: what it is for.
        dependencies: the names of what it follows.
        when: whether it runs, asked with its context; a false answer is a skip.
    """

    name: str
    runner: Runner
    kind: StageKind = StageKind.TRANSFORM
    dependencies: tuple[str, ...] = ()
    when: Callable[[PipelineContext], bool] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "dependencies", checked_names(self.dependencies, self.name))

    @property
    def conditional(self) -> bool:
        """Whether it has a predicate."""
        return self.when is not None
