"""The order of a diagram: that of what follows what, ties by id, so that no order of declaration shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from heapq import heapify, heappop, heappush

from stageflow.graph.diagram import Diagram, DiagramCluster, DiagramEdge


def ordered(diagram: Diagram) -> Diagram:
    """The same diagram in its order, without clusters that nothing is in."""
    ids = _topological([node.id for node in diagram.nodes], diagram.edges)
    at = {id: number for number, id in enumerate(ids)}
    ends = len(ids)

    def place(edge: DiagramEdge) -> tuple[int, int, str, bool]:
        source = at[edge.source] if edge.source else -1
        return (source, at[edge.target] if edge.target else ends, edge.label, edge.reads)

    return replace(
        diagram,
        nodes=tuple(sorted(diagram.nodes, key=lambda node: at[node.id])),
        edges=tuple(sorted(dict.fromkeys(diagram.edges), key=place)),
        clusters=tuple(_filled(diagram, at)),
    )


def _filled(diagram: Diagram, at: dict[str, int]) -> Iterable[DiagramCluster]:
    """The clusters with something in them, in the order of the first of it, the outer before the inner."""
    parents = {cluster.id: cluster.parent for cluster in diagram.clusters}
    first: dict[str, int] = {}
    for node in sorted(diagram.nodes, key=lambda node: at[node.id]):
        around = node.cluster
        while around and around not in first:
            first[around] = at[node.id]
            around = parents[around]
    depth = {"": 0}
    for cluster in diagram.clusters:  # the outer come before the inner already
        depth[cluster.id] = depth[cluster.parent] + 1
    kept = [cluster for cluster in diagram.clusters if cluster.id in first]
    return sorted(kept, key=lambda cluster: (first[cluster.id], depth[cluster.id]))


def _topological(ids: list[str], edges: Iterable[DiagramEdge]) -> list[str]:
    waiting = dict.fromkeys(ids, 0)
    followers: dict[str, list[str]] = {id: [] for id in ids}
    for edge in edges:
        if edge.source and edge.target:
            waiting[edge.target] += 1
            followers[edge.source].append(edge.target)
    ready = [id for id, left in waiting.items() if not left]
    heapify(ready)
    order: list[str] = []
    while ready:
        order.append(heappop(ready))
        for follower in followers[order[-1]]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heappush(ready, follower)
    return order
