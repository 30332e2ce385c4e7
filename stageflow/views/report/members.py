"""The stages of a run by the nodes that they are of: one for each item, where a node is inside an ``.each``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import final

from stageflow.views.report.drawing import Drawing, DrawnNode

_NUMBER = re.compile(r"\[(\d+)\]")


def numbers_of(name: str) -> tuple[int, ...]:
    """The numbers of the items that a stage is inside of, outermost first.

    >>> numbers_of("site[2].fetch[7]")
    (2, 7)
    """
    return tuple(int(found) for found in _NUMBER.findall(name))


@final
class Members:
    """Which stages of a run belong to which node, and which stages each of them follows."""

    __slots__ = ("_drawing", "_edges", "_items", "_named", "_nodes")

    def __init__(self, drawing: Drawing, names: Iterable[str]) -> None:
        self._drawing = drawing
        self._named = {node.name: number for number, node in enumerate(drawing.nodes) if node.name}
        self._nodes: dict[str, int] = {}
        self._items: list[list[tuple[tuple[int, ...], str]]] = [[] for _ in drawing.nodes]
        self._edges: list[list[int]] = [[] for _ in drawing.nodes]
        for edge in drawing.edges:
            self._edges[edge.after].append(edge.before)
        for name in names:
            self._add(name)

    def _add(self, name: str) -> None:
        template = name if name in self._named else _NUMBER.sub("[]", name)
        number = self._named.get(template)
        if number is not None:
            self._nodes[name] = number
            self._items[number].append((numbers_of(name), name))

    def node(self, name: str) -> int:
        """The number of the node of a stage; -1 where the graph has none."""
        return self._nodes.get(name, -1)

    def of(self, node: int) -> tuple[str, ...]:
        """The names of a node's stages."""
        return tuple(name for _, name in self._items[node])

    def followed(self, name: str) -> Iterator[str]:
        """The stages that one follows: of what is inside the same ``.each``, those of the same item."""
        node = self._nodes.get(name)
        if node is None:
            return
        items = numbers_of(name)
        for before in self.before(node):
            shared = _shared(self._drawing.nodes[before], self._drawing.nodes[node])
            yield from (other for numbers, other in self._items[before] if numbers[:shared] == items[:shared])

    def before(self, node: int) -> Iterator[int]:
        """The nodes right before one, past junctions."""
        unseen = list(self._edges[node])
        seen: set[int] = set()
        while unseen:
            before = unseen.pop()
            if before in seen:
                continue
            seen.add(before)
            if self._drawing.nodes[before].name:
                yield before
            else:
                unseen += self._edges[before]


def _shared(one: DrawnNode, other: DrawnNode) -> int:
    """How many ``.each`` two nodes are both inside of."""
    same = 0
    for left, right in zip(one.each, other.each, strict=False):
        if left != right:
            break
        same += 1
    return same
