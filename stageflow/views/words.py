"""What every rendering says of a diagram's nodes and clusters, and in what order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from stageflow.graph.diagram import ClusterKind, Diagram, DiagramCluster, DiagramMark, DiagramNode

Entry: TypeAlias = DiagramNode | DiagramCluster | None  # None closes the cluster that was opened last


def printable(text: str) -> str:
    """The text on one line, with a backslash's word for what a terminal or a page would act on."""
    return "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])


def signature(node: DiagramNode) -> str:
    """What a stage takes and gives; empty where it says neither."""
    return f"{node.input or '?'} → {node.output or '?'}" if node.input or node.output else ""


def changes(interceptors: tuple[str, ...], marks: tuple[DiagramMark, ...]) -> str:
    """What stands around a stage, on one line."""
    return ", ".join([*map(str, marks), *interceptors])


def node_lines(node: DiagramNode) -> list[str]:
    """What a box says of a stage: its name, its types, what stands around it."""
    return [node.label, *[line for line in (signature(node), changes(node.interceptors, node.marks)) if line]]


def cluster_title(cluster: DiagramCluster) -> str:
    """What a cluster is, and its name."""
    match cluster.kind:
        case ClusterKind.EACH:
            limit = "" if cluster.limit is None else f", {cluster.limit} at once"
            return f"each {cluster.label}{limit}"
        case ClusterKind.CASE:
            return f"case {cluster.label}"
        case ClusterKind.ROUTE | ClusterKind.PIPELINE:
            return cluster.label


def cluster_lines(cluster: DiagramCluster) -> list[str]:
    """What the frame of a cluster says."""
    around = changes(cluster.interceptors, cluster.marks)
    return [cluster_title(cluster), around] if around else [cluster_title(cluster)]


def contents(diagram: Diagram) -> Iterator[tuple[int, Entry]]:
    """Every node and cluster with how deep it is, each cluster followed by what is in it and a None."""
    inside: dict[str, list[DiagramNode | DiagramCluster]] = {"": []}
    for cluster in diagram.clusters:
        inside[cluster.id] = []
    seen: set[str] = set()
    parents = {cluster.id: cluster for cluster in diagram.clusters}
    for node in diagram.nodes:  # a cluster stands where the first of its nodes does
        entry: DiagramNode | DiagramCluster = node
        around = node.cluster
        while True:
            inside[around].append(entry)
            if not around or around in seen:
                break
            seen.add(around)
            entry = parents[around]
            around = entry.parent
    unseen: list[tuple[int, Entry]] = [(0, entry) for entry in reversed(inside[""])]
    while unseen:
        depth, what = unseen.pop()
        yield depth, what
        if isinstance(what, DiagramCluster):
            unseen.append((depth, None))
            unseen += [(depth + 1, entry) for entry in reversed(inside[what.id])]
