"""What `stageflow.graph` is given to draw with, the first time that somebody asks for a diagram."""

from __future__ import annotations

from collections.abc import Mapping

from stageflow.graph.diagram import Diagram
from stageflow.views.describing import described
from stageflow.views.mermaid import to_mermaid
from stageflow.views.tree import to_tree

__all__ = ["bundle", "described"]


def bundle(diagram: Diagram) -> Mapping[str, str]:
    """The diagram by MIME type: Mermaid, which JupyterLab draws with what it brings along, and a tree elsewhere."""
    return {"text/plain": to_tree(diagram), "text/vnd.mermaid": to_mermaid(diagram)}
