"""Having the bodies of stages run on an engine: done by `stageflow.engines`, which gives itself when it is imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from stageflow.graph.executor import AnyGraph
from stageflow.graph.run import Elsewhere, Wrapping
from stageflow.ports import Engine


class Placed(Wrapping, Elsewhere, Protocol):
    """The stages of a graph, as an engine runs them."""


Placing = Callable[[Engine, AnyGraph], Placed]
_placing: list[Placing] = []


def place_with(placing: Placing) -> None:
    """Says what places stages on engines: a lower layer cannot import a higher one, so that one gives itself."""
    _placing[:] = [placing]


def placed(engine: Engine, graph: AnyGraph) -> Placed:
    """The stages of a graph, as the engine runs them.

    Raises:
        PipelineValidationError: some of them cannot be sent to it; all of them are named.
    """
    if not _placing:
        raise RuntimeError("Nothing can send a stage to an engine before stageflow.engines is imported.")
    return _placing[0](engine, graph)
