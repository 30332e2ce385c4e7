"""The shape of a pipeline whose stages are wired by handles or names: `Pipeline.of(T).with_stage(...)`."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from stageflow.core.stage import Part, Shape


@dataclass(frozen=True, slots=True, eq=False)
class Source(Shape):
    """A pipeline without stages, of one type of input."""

    type: object

    @override
    def called(self, *labels: str) -> str:
        return f"Pipeline.of({getattr(self.type, '__name__', self.type)})"


@dataclass(frozen=True, slots=True, eq=False)
class Wire(Part):
    """A stage of a pipeline that is wired by handles or names.

    Attributes:
        stage: the stage.
        after: what it follows: handles or names; nothing means the pipeline's input.
        single: whether it takes the output of the one it follows, rather than a tuple.
    """

    stage: Shape
    after: tuple[Shape | str, ...]
    single: bool


@dataclass(frozen=True, slots=True, eq=False)
class Step(Shape):
    """Stages more: one of `with_stage`, or all of `from_specs`."""

    before: Shape
    wires: tuple[Wire, ...]

    @override
    def called_after(self) -> tuple[Shape, ...]:
        return (self.wires[-1].stage if self.wires else self.before,)

    @override
    def called(self, *labels: str) -> str:
        return f"...{labels[0]}" if self.wires else labels[0]


@dataclass(frozen=True, slots=True, eq=False)
class Union(Shape):
    """The stages of two pipelines."""

    left: Shape
    right: Shape

    @override
    def called_after(self) -> tuple[Shape, ...]:
        return (self.left, self.right)

    @override
    def called(self, *labels: str) -> str:
        return "+".join(labels)


@dataclass(frozen=True, slots=True, eq=False)
class Returning(Shape):
    """A pipeline whose output is that of one of its stages."""

    inner: Shape
    output: Shape

    @override
    def called_after(self) -> tuple[Shape, ...]:
        return (self.output,)
