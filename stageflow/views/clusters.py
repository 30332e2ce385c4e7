"""The clusters of a diagram while it is made: which stages stand together."""

from __future__ import annotations

from stageflow.graph.diagram import ClusterKind, DiagramCluster
from stageflow.graph.names import filled
from stageflow.graph.plan import Atlas
from stageflow.views.wrappers import NOTHING, Around


class Clusters:
    """The clusters so far, by id."""

    def __init__(self, atlas: Atlas) -> None:
        self._scopes = atlas.scopes
        self._scope_names = [filled(name, ()) for name in atlas.scope_names]
        self._clusters: dict[str, DiagramCluster] = {}
        self._names: dict[str, str] = {}  # of each, its full name
        self._entered: dict[tuple[int, str], str] = {}  # by naming scope and the cluster around

    def all(self) -> tuple[DiagramCluster, ...]:
        """The clusters, the outer before the inner."""
        return tuple(self._clusters.values())

    def own(self, name: str, scope: int) -> str:
        """The name of what stands in a naming scope, without that of the scope."""
        return name.removeprefix(f"{self._scope_names[scope]}.") if scope else name

    def add(
        self,
        name: str,
        kind: ClusterKind,
        parent: str,
        label: str,
        around: Around = NOTHING,
        *,
        limit: int | None = None,
    ) -> str:
        """Adds a cluster, and gives its id."""
        id, number = f"{parent}/{kind}:{name}", 1
        while id in self._clusters:
            number += 1
            id = f"{parent}/{kind}:{name}#{number}"
        self._clusters[id] = DiagramCluster(id, label, kind, limit, around.interceptors, around.marks, parent)
        self._names[id] = name
        return id

    def of_scope(self, scope: int, around: str) -> str:
        """The cluster of what is in a naming scope, in a plan that is in a cluster."""
        chain: list[int] = []
        while scope > 0 and (scope, around) not in self._entered:
            chain.append(scope)
            scope = self._scopes[scope]
        found = self._entered.get((scope, around), around)
        for inner in reversed(chain):
            found = self._entered[inner, around] = self._enter(inner, found)
        return found

    def _enter(self, scope: int, around: str) -> str:
        """The cluster that a pipeline's name stands for: one that is around already, or one more."""
        name, outer = self._scope_names[scope], around
        while outer:
            if self._names[outer] == name and self._clusters[outer].kind is not ClusterKind.CASE:
                return around
            outer = self._clusters[outer].parent
        id = f"{around}/{ClusterKind.PIPELINE}:{name}"
        if id in self._clusters:
            return id
        return self.add(name, ClusterKind.PIPELINE, around, self.own(name, self._scopes[scope]))
