"""The shape of a pipeline: how stages are put together, as immutable data that sharing keeps small.

`stageflow.pipeline` gives these typed faces; `stageflow.graph.build` lays them out as a graph. Two shapes are the
same stage where they are the same object.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from returns.result import Result
from typing_extensions import Never, override

from stageflow.context.inputs import StageFunction, StageInputs
from stageflow.context.ports import AnyPortKey
from stageflow.core.output import StageOutput
from stageflow.core.stage import Shape, StageKind
from stageflow.errors import StageError

AnyStageFunction: TypeAlias = StageFunction[Never, object, StageError]
Call: TypeAlias = Callable[[StageInputs[object]], Awaitable[Result[StageOutput[object], StageError]]]
Wrap: TypeAlias = Callable[[Call], Call]


class Build(Protocol):
    """What joins the outputs of branches into one value."""

    def __call__(self, *values: object) -> object:
        """The joined value."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Leaf(Shape):
    """One function of the user's."""

    name: str
    call: Call
    kind: StageKind
    requires: tuple[AnyPortKey, ...]
    reads: tuple[Shape, ...]
    function: object
    lifted: bool

    @property
    @override
    def label(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, eq=False)
class Identity(Shape):
    """What comes in goes out."""

    type: object

    @property
    @override
    def label(self) -> str:
        return "identity"


@dataclass(frozen=True, slots=True, eq=False)
class Then(Shape):
    """One after the other."""

    first: Shape
    second: Shape

    @property
    @override
    def label(self) -> str:
        first, last, between = self.first, self.second, ""
        while isinstance(first, Then):
            first, between = first.first, "...|"
        while isinstance(last, Then):
            last, between = last.second, "...|"
        return f"{first.label}|{between}{last.label}"


@dataclass(frozen=True, slots=True, eq=False)
class Both(Shape):
    """Branches on the same input; flat, in order, however they are nested."""

    left: Shape
    right: Shape

    @property
    @override
    def label(self) -> str:
        return "&".join(branch.label for branch in self.branches())

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
class Join(Shape):
    """Branches, and what makes one value of their outputs; without ``build``, a tuple."""

    branches: Both
    build: Build | None

    @property
    @override
    def label(self) -> str:
        return self.branches.label if self.build is None else getattr(self.build, "__name__", "into")


@dataclass(frozen=True, slots=True, eq=False)
class Using:
    """Wrapped by an interceptor."""

    wrap: Wrap


@dataclass(frozen=True, slots=True, eq=False)
class When:
    """Skipped where the predicate is false."""

    predicate: Callable[[StageInputs[object]], bool]


@dataclass(frozen=True, slots=True, eq=False)
class OrNone:
    """Its skip becomes None."""


@dataclass(frozen=True, slots=True, eq=False)
class Settle:
    """Its failure becomes a value."""


@dataclass(frozen=True, slots=True, eq=False)
class Recover:
    """Its failure is handled."""

    handler: Callable[[StageError], Awaitable[Result[StageOutput[object], StageError]]]


@dataclass(frozen=True, slots=True, eq=False)
class Each:
    """Run once per item."""

    limit: int | None


Wrapper: TypeAlias = Using | When | OrNone | Settle | Recover | Each


@dataclass(frozen=True, slots=True, eq=False)
class Wrapped(Shape):
    """A shape that is run in a changed way."""

    inner: Shape
    how: Wrapper

    @property
    @override
    def label(self) -> str:
        inner = self.inner
        while isinstance(inner, Wrapped):
            inner = inner.inner
        return inner.label


@dataclass(frozen=True, slots=True, eq=False)
class Named(Shape):
    """A shape under a name; the names inside it are dotted."""

    inner: Shape
    name: str
    kind: StageKind | None = None

    @property
    @override
    def label(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, eq=False)
class Case:
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

    @property
    @override
    def label(self) -> str:
        return f"route({self.selector.label})"


@dataclass(frozen=True, slots=True, eq=False)
class Source(Shape):
    """A pipeline without stages, of one type of input."""

    type: object

    @property
    @override
    def label(self) -> str:
        return f"Pipeline.of({getattr(self.type, '__name__', self.type)})"


@dataclass(frozen=True, slots=True, eq=False)
class Step(Shape):
    """A stage more, and what it follows: handles, names, or nothing (the pipeline's input)."""

    before: Shape
    stage: Shape
    after: tuple[Shape | str, ...]
    single: bool

    @property
    @override
    def label(self) -> str:
        return f"...{self.stage.label}"


@dataclass(frozen=True, slots=True, eq=False)
class Union(Shape):
    """The stages of two pipelines."""

    left: Shape
    right: Shape

    @property
    @override
    def label(self) -> str:
        return f"{self.left.label}+{self.right.label}"


@dataclass(frozen=True, slots=True, eq=False)
class Returning(Shape):
    """A pipeline whose output is that of one of its stages."""

    inner: Shape
    output: Shape

    @property
    @override
    def label(self) -> str:
        return self.output.label


@dataclass(frozen=True, slots=True, eq=False)
class Replaced(Shape):
    """A shape in which one stage gives way to another, under the first one's name and handle."""

    inner: Shape
    old: Shape
    new: Shape

    @property
    @override
    def label(self) -> str:
        return self.inner.label
