"""Whether one stage comes after another, by however many steps."""

from __future__ import annotations

from typing import final

from stageflow.graph.scheduler import Topology


@final
class Ancestry:
    """Answers whether one stage is an ancestor of another, fast where stages form chains.

    A run of stages that each follow one stage alone, and alone follow it, is one chain: within it, order answers.
    """

    __slots__ = ("_answers", "_heads", "_parents")

    def __init__(self, topology: Topology) -> None:
        self._parents = topology.parents
        self._answers: dict[tuple[int, int], bool] = {}
        heads: list[int] = []
        for stage, follows in enumerate(topology.parents):
            alone = len(follows) == 1 and len(topology.successors[follows[0]]) == 1
            heads.append(heads[follows[0]] if alone else stage)
        self._heads = heads

    def follows(self, stage: int, ancestor: int) -> bool:
        """Whether the stage comes after the ancestor."""
        answer = self._answers.get((stage, ancestor))
        if answer is None:
            answer = self._answers[stage, ancestor] = self._search(stage, ancestor)
        return answer

    def _search(self, stage: int, ancestor: int) -> bool:
        heads, wanted = self._heads, self._heads[ancestor]
        seen: set[int] = set()
        unseen = [*self._parents[stage]]
        while unseen:
            found = unseen.pop()
            head = heads[found]
            if head == wanted and found >= ancestor:
                return True
            if head not in seen and found > ancestor:
                seen.add(head)
                unseen += self._parents[head]
        return False
