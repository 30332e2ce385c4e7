"""What stands around a stage: its conditions, what becomes of its failures and skips, its interceptors."""

from __future__ import annotations

from dataclasses import dataclass

from stageflow.core.stage import Shape
from stageflow.graph.diagram import DiagramMark
from stageflow.graph.shape import Leaf, Named
from stageflow.graph.wrapping import Each, OrNone, Recover, Settle, Using, When, Wrapped, Wrapper


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around a stage, the outermost first.

    Attributes:
        interceptors: their classes.
        marks: conditions and the like.
    """

    interceptors: tuple[str, ...] = ()
    marks: tuple[DiagramMark, ...] = ()

    def over(self, inner: Around) -> Around:
        """This, and within it the other."""
        return Around(self.interceptors + inner.interceptors, self.marks + inner.marks)


NOTHING = Around()


def unwrapped(shape: Shape) -> tuple[Around, Shape]:
    """What stands around a shape at its place in a plan, and what is inside: a function, a route, an ``.each``."""
    interceptors: list[str] = []
    marks: list[DiagramMark] = []
    while isinstance(shape, Wrapped | Named):
        if isinstance(shape, Wrapped):
            if isinstance(shape.how, Each):
                break
            if isinstance(shape.how, Using):
                interceptors.append(type(shape.how.interceptor).__name__)
            elif (mark := _mark(shape.how)) is not None:
                marks.append(mark)
            if isinstance(shape.how, OrNone | Settle | Recover) and not is_function(shape.inner):
                return Around(tuple(interceptors), tuple(marks)), shape.inner
        shape = shape.inner
    return Around(tuple(interceptors), tuple(marks)), shape


def is_function(shape: Shape) -> bool:
    """Whether a shape is one function in wrappers that hide nothing: it has no plan of its own then."""
    while isinstance(shape, Wrapped) and isinstance(shape.how, Using | When):
        shape = shape.inner
    return isinstance(shape, Leaf)


def _mark(how: Wrapper) -> DiagramMark | None:
    match how:
        case When(predicate):
            return DiagramMark("when", _name(predicate))
        case OrNone():
            return DiagramMark("optional")
        case Settle():
            return DiagramMark("settled")
        case Recover(handler):
            return DiagramMark("recover", _name(handler))
        case _:
            return None


def _name(function: object) -> str:
    """The name of a function; empty where it has none, as a lambda."""
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) and name != "<lambda>" else ""
