"""Seeing pipelines: diagrams of their shape, as text that others draw or a terminal shows. Needs no extra.

``pipeline.diagram()`` gives a `Diagram`: frozen data, equal for equal shapes.
"""

from stageflow.graph.diagram import ClusterKind, Diagram, DiagramCluster, DiagramEdge, DiagramMark, DiagramNode
from stageflow.views.dot import to_dot
from stageflow.views.mermaid import to_mermaid
from stageflow.views.tree import to_tree

__all__ = [
    "ClusterKind",
    "Diagram",
    "DiagramCluster",
    "DiagramEdge",
    "DiagramMark",
    "DiagramNode",
    "to_dot",
    "to_mermaid",
    "to_tree",
]
