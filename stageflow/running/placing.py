"""Having the bodies of stages run on an engine: done by `stageflow.engines`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

from stageflow.graph.above import given
from stageflow.graph.execution.seams import Elsewhere, Wrapping
from stageflow.graph.executor import AnyGraph
from stageflow.placement import Engine


class Placed(Wrapping, Elsewhere, Protocol):
    """The stages of a graph, as an engine runs them."""


def placed(engine: Engine, graph: AnyGraph) -> Placed:
    """The stages of a graph, as the engine runs them.

    Raises:
        PipelineValidationError: some of them cannot be sent to it; all of them are named.
        ImportError: msgspec is not installed.
    """
    return cast("Callable[[Engine, AnyGraph], Placed]", given("placing"))(engine, graph)
