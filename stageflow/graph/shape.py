"""The shape of a pipeline: how stages are put together, as immutable data that sharing keeps small.

`stageflow.pipeline` gives these typed faces; `stageflow.graph.building` lays them out as a graph. Two shapes are the
same stage where they are the same object.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from returns.result import Result
from typing_extensions import override

from stageflow.context.inputs import StageInputs
from stageflow.context.ports import AnyPortKey
from stageflow.core.output import StageOutput
from stageflow.core.stage import Part, Shape, StageKind
from stageflow.errors import StageError
from stageflow.placement import Placement

Given: TypeAlias = Result[StageOutput[object], StageError]
Call: TypeAlias = Callable[[StageInputs[object]], Awaitable[Given]]


@dataclass(frozen=True, slots=True, eq=False)
class Leaf(Shape):
    """One function of the user's.

    Attributes:
        name: what reports and events call it.
        call: the function, as the executor calls it.
        kind: what it is for.
        requires: the ports without which no run of it starts.
        reads: the stages that it reads beside what it follows.
        function: the user's own function, for its annotations.
        lifted: whether that is a plain function, which takes and gives bare values.
        thread: whether it runs in a thread.
        once: whether it must not run twice, since what it does outside cannot be repeated.
        placement: where its runner's engine is to run it.
    """

    name: str
    call: Call
    kind: StageKind
    requires: tuple[AnyPortKey, ...]
    reads: tuple[Shape, ...]
    function: object
    lifted: bool = False
    thread: bool = False
    once: bool = False
    placement: Placement | None = None

    @override
    def made_of(self) -> tuple[Part, ...]:
        return ()  # what it reads is found where the leaf is found, or is pickled with it

    @property
    @override
    def label(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, eq=False)
class Identity(Shape):
    """What comes in goes out."""

    type: object

    @override
    def called(self, *labels: str) -> str:
        return "identity"


@dataclass(frozen=True, slots=True, eq=False)
class Then(Shape):
    """One after the other."""

    first: Shape
    second: Shape

    @override
    def called_after(self) -> tuple[Shape, ...]:
        first, last = self.first, self.second
        while isinstance(first, Then):
            first = first.first
        while isinstance(last, Then):
            last = last.second
        return (first, last)

    @override
    def called(self, *labels: str) -> str:
        two = not isinstance(self.first, Then) and not isinstance(self.second, Then)
        return ("|" if two else "|...|").join(labels)

    def parts(self, but: Callable[[Shape], bool]) -> list[Shape]:
        """What follows one another, flat, in order; ``but`` says what is to stay whole."""
        found: list[Shape] = []
        unseen: list[Shape] = [self.second, self.first]
        while unseen:
            shape = unseen.pop()
            if isinstance(shape, Then) and not but(shape):
                unseen += (shape.second, shape.first)
            else:
                found.append(shape)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Both(Shape):
    """Branches on the same input; flat, in order, however they are nested."""

    left: Shape
    right: Shape

    @override
    def called_after(self) -> tuple[Shape, ...]:
        return tuple(branch for branch in self.branches() if not isinstance(branch, Together))

    @override
    def called(self, *labels: str) -> str:
        names = iter(labels)
        return "&".join("(...)" if isinstance(branch, Together) else next(names) for branch in self.branches())

    def branches(self) -> tuple[Shape, ...]:
        """The branches, in order."""
        found: list[Shape] = []
        unseen: list[Shape] = [self]
        while unseen:
            shape = unseen.pop()
            if isinstance(shape, Both):
                unseen += (shape.right, shape.left)
            else:
                found.append(shape)
        return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Together(Shape):
    """Branches as one stage, which gives the tuple of their outputs."""

    branches: Both

    @override
    def called_after(self) -> tuple[Shape, ...]:
        return (self.branches,)


@dataclass(frozen=True, slots=True, eq=False)
class Named(Shape):
    """A shape under another name; the names inside it are dotted.

    Attributes:
        keeps: whether the handle of what is inside stays good; `.named` gives a handle of its own instead.
    """

    inner: Shape
    name: str
    kind: StageKind | None = None
    keeps: bool = False

    @property
    @override
    def label(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, eq=False)
class Case(Part):
    """One case of a route, and those before it."""

    before: Case | None
    key: object
    stage: Shape

    def all(self) -> tuple[Case, ...]:
        """This case and those before it, in order."""
        cases: list[Case] = []
        case: Case | None = self
        while case is not None:
            cases.append(case)
            case = case.before
        return tuple(reversed(cases))


@dataclass(frozen=True, slots=True, eq=False)
class Routed(Shape):
    """A selector, and a stage for each of what it may give; ``otherwise`` is None where the cases are all."""

    selector: Shape
    cases: Case | None
    otherwise: Shape | None

    @override
    def called_after(self) -> tuple[Shape, ...]:
        return (self.selector,)

    @override
    def called(self, *labels: str) -> str:
        return f"route({labels[0]})"


@dataclass(frozen=True, slots=True, eq=False)
class Replaced(Shape):
    """A shape in which one stage gives way to another, under the first one's name and handle."""

    inner: Shape
    old: Shape
    new: Shape

    @override
    def called_after(self) -> tuple[Shape, ...]:
        return (self.inner,)
