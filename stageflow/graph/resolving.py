"""From a handle to the stage whose output it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from stageflow.core.stage import Shape
from stageflow.graph.shape import Replaced, Then
from stageflow.graph.wired import Returning

_P = TypeVar("_P")


def resolved(shape: Shape, places: Mapping[Shape, _P]) -> _P | None:
    """Where a shape's output stands: its own place, or that of what its output comes from."""
    while True:
        found = places.get(shape)
        if found is not None:
            return found
        match shape:
            case Then(second=inner) | Returning(output=inner) | Replaced(inner=inner):
                shape = inner
            case _:
                return None
