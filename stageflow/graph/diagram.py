"""What a graph looks like, as frozen data: for people, renderers and reports; `stageflow.views` draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, cast, final

from typing_extensions import override

from stageflow.core.stage import StageKind
from stageflow.graph.above import given


class ClusterKind(StrEnum):
    """What a cluster of stages is: a pipeline inside another, the body of an ``.each``, a route, one of its cases."""

    PIPELINE = "pipeline"
    EACH = "each"
    ROUTE = "route"
    CASE = "case"


@final
@dataclass(frozen=True, slots=True)
class DiagramMark:
    """What is changed about how a stage runs.

    Attributes:
        what: ``when``, ``optional``, ``settled`` or ``recover``.
        by: the name of the predicate or handler, where it has one.
    """

    what: str
    by: str = ""

    @override
    def __str__(self) -> str:
        return f"{self.what} {self.by}" if self.by else self.what


@final
@dataclass(frozen=True, slots=True)
class DiagramNode:
    """One function of the user's.

    Attributes:
        id: its full name, with ``[]`` for each number of an item: ``pages[].fetch``; no two nodes have the same.
        name: the full name without these, as the stage's report has it where there is no item: ``pages.fetch``.
        label: the name without those of the pipelines around it: ``fetch``.
        kind: what it is for.
        input: the type of its value, as it is written; empty where it does not say.
        output: the type of its output, the same.
        interceptors: the classes of what is around it, the outermost first.
        marks: conditions and the like, the outermost first.
        ports: the names of the ports that it requires.
        cluster: the id of the cluster it is in; empty where it is in none.
    """

    id: str
    name: str
    label: str
    kind: StageKind
    input: str = ""
    output: str = ""
    interceptors: tuple[str, ...] = ()
    marks: tuple[DiagramMark, ...] = ()
    ports: tuple[str, ...] = ()
    cluster: str = ""


@final
@dataclass(frozen=True, slots=True)
class DiagramEdge:
    """One stage after another.

    Attributes:
        source: the id of the node that comes first; empty for the pipeline's input.
        target: the id of the one that follows; empty for the pipeline's output.
        label: the case of a route that leads there.
        reads: whether it follows only in what it declares to read.
    """

    source: str
    target: str
    label: str = ""
    reads: bool = False


@final
@dataclass(frozen=True, slots=True)
class DiagramCluster:
    """Stages that stand together.

    Attributes:
        id: what nodes and clusters inside it know it by.
        label: its name; of a case, the case.
        kind: what it is.
        limit: of an ``.each``, how many items run at once; None for all.
        interceptors: the classes of what is around the whole, the outermost first.
        marks: conditions and the like of the whole, the outermost first.
        parent: the id of the cluster it is in; empty where it is in none.
    """

    id: str
    label: str
    kind: ClusterKind
    limit: int | None = None
    interceptors: tuple[str, ...] = ()
    marks: tuple[DiagramMark, ...] = ()
    parent: str = ""


class _Bundling(Protocol):
    """What shows diagrams: a module of `stageflow.views`."""

    def bundle(self, diagram: Diagram, /) -> Mapping[str, str]:
        """What a notebook is shown of a diagram, by MIME type."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Diagram:
    """What a graph looks like: equal for equal shapes, in whatever order they were declared.

    Attributes:
        name: what the graph is called.
        input: the type of its input, as it is written; empty where it does not say.
        output: the type of its output, the same.
        nodes: its stages: what follows comes after what it follows, ties by id.
        edges: in the order of the nodes.
        clusters: the outer before the inner.
    """

    name: str
    input: str
    output: str
    nodes: tuple[DiagramNode, ...]
    edges: tuple[DiagramEdge, ...]
    clusters: tuple[DiagramCluster, ...] = ()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Mapping[str, str]:  # noqa: ARG002  (a notebook gives them)
        """What a notebook shows: Mermaid where it draws it, else a tree."""
        return cast("_Bundling", given("drawing")).bundle(self)
