"""What every stage has: a kind, a status, and a handle that stands for its output."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, cast

from typing_extensions import TypeVar, override

_O = TypeVar("_O", covariant=True, default=object)


class StageKind(StrEnum):
    """What a stage is for; it changes nothing in how the stage runs."""

    TRANSFORM = "transform"
    ENRICH = "enrich"
    ROUTE = "route"
    GUARD = "guard"
    WORK = "work"
    AGENT = "agent"


class StageStatus(StrEnum):
    """How a stage ended; RETRY marks an attempt that will be tried again."""

    OK = "ok"
    SKIP = "skip"
    CANCEL = "cancel"
    FAIL = "fail"
    RETRY = "retry"


class Part:
    """A part of how stages are put together."""

    __slots__ = ()

    def made_of(self) -> tuple[Part, ...]:
        """The parts that it is made of itself, without those inside them: whichever of its fields are parts."""
        names: tuple[str, ...] = type(self).__slots__
        values: list[object] = [getattr(self, name) for name in names]
        for value in tuple(values):
            if isinstance(value, tuple):
                values += cast("tuple[object, ...]", value)
        return tuple([value for value in values if isinstance(value, Part)])


class Shape(Part):
    """How stages are put together, as data: the base of what a graph is built from."""

    __slots__ = ("_label",)
    _label: str

    @property
    def label(self) -> str:
        """The name that the report and the error texts use; put together when first asked for, at any depth."""
        try:
            return self._label
        except AttributeError:
            return _labelled(self)

    def called_after(self) -> tuple[Shape, ...]:
        """The shapes whose labels its own is made of."""
        return ()

    def called(self, *labels: str) -> str:
        """Its label, of the labels of what it is `called_after`; the first of them where it is called as that is."""
        if not labels:
            raise NotImplementedError
        return labels[0]


def in_order(part: Part) -> tuple[Part, ...]:
    """A part, last, and all that it is made of, each once and after what it is made of itself.

    What is pickled in that order is pickled without recursion: all that a part refers to is known by then.
    """
    order: list[Part] = []
    seen: set[int] = set()
    unseen: list[tuple[Part, bool]] = [(part, False)]
    while unseen:
        current, complete = unseen.pop()
        if complete:
            order.append(current)
        elif id(current) not in seen:
            seen.add(id(current))
            unseen.append((current, True))
            unseen += [(inner, False) for inner in reversed(current.made_of())]
    return tuple(order)


def _labelled(shape: Shape) -> str:
    unseen = [shape]
    while unseen:
        current = unseen[-1]
        after = current.called_after()
        missing = [one for one in after if type(one).label is Shape.label and not hasattr(one, "_label")]
        if missing:
            unseen += missing
        else:
            object.__setattr__(unseen.pop(), "_label", current.called(*[one.label for one in after]))
    return shape.label


class StageHandle(Generic[_O]):
    """What ``inputs[...]`` and ``outputs[...]`` take: it stands for the output of one stage, and carries its type.

    Attributes:
        shape: what the graph knows the stage by. Handles of one shape read the same output.
    """

    __slots__ = ("_shape",)
    _shape: Shape

    def __init__(self, shape: Shape) -> None:
        self._shape = shape

    @property
    def shape(self) -> Shape:
        """What the graph knows this stage by."""
        return self._shape

    @property
    def name(self) -> str:
        """The stage's name, without the names of the pipelines around it."""
        return self._shape.label

    @override
    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"
