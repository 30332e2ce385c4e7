"""What draws graphs, as they know it: `stageflow` gives them a module of `stageflow.views`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from stageflow.core.stage import Shape
from stageflow.graph.above import given
from stageflow.graph.plan import Atlas

if TYPE_CHECKING:  # it is imported when the first diagram is made
    from stageflow.graph.diagram import Diagram


class Drawing(Protocol):
    """What draws graphs: a module of `stageflow.views`."""

    def described(self, shape: Shape, atlas: Atlas, /) -> Diagram:
        """The diagram of a graph."""
        ...


def drawing() -> Drawing:
    """What draws graphs."""
    return cast("Drawing", given("drawing"))
