"""From a laid-out graph to its diagram."""

from __future__ import annotations

from stageflow.core.stage import Shape
from stageflow.graph.building.annotations import Known, gives, takes
from stageflow.graph.diagram import Diagram, DiagramEdge
from stageflow.graph.plan import Atlas
from stageflow.graph.wired import Step, Union
from stageflow.views.ordering import ordered
from stageflow.views.scribe import Origin, Origins, Scribe, Visit, of_wires
from stageflow.views.type_names import type_name


def described(shape: Shape, atlas: Atlas) -> Diagram:
    """The diagram of a graph.

    Args:
        shape: what the graph was built from.
        atlas: the graph.
    """
    scribe = Scribe(atlas)
    outputs = _walk(scribe, Visit(atlas.root, (Origin(),), ""))
    scribe.add_reads()
    edges = [*scribe.edges, *[DiagramEdge(origin.node, "", origin.case) for origin in outputs]]
    name = of_wires(atlas.root) if isinstance(shape, Step | Union) else shape.label
    known: Known = {}
    types = (type_name(takes(shape, known)), type_name(gives(shape, known)))
    return ordered(Diagram(name, *types, tuple(scribe.nodes), tuple(edges), scribe.clusters.all()))


def _walk(scribe: Scribe, first: Visit) -> Origins:
    """Draws plans on a stack of their own, so that depth costs no recursion."""
    stack = [scribe.draw(first)]
    answer: Origins | None = None
    while stack:
        try:
            wanted = next(stack[-1]) if answer is None else stack[-1].send(answer)
        except StopIteration as stop:
            stack.pop()
            answer = stop.value
        else:
            answer = None
            stack.append(scribe.draw(wanted))
    return answer or ()
