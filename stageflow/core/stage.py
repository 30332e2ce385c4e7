"""What every stage has: a kind, a status, and a handle that stands for its output."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic

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


class Shape:
    """How stages are put together, as data: the base of what a graph is built from."""

    __slots__ = ()

    @property
    def label(self) -> str:
        """The name that the report and the error texts use."""
        raise NotImplementedError


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
