"""The graphs that are run, and the answers that a run of them must give."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

MASK = 0xFFFF


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph whose stages add up what they follow, and one.

    Attributes:
        name: what the table calls it.
        parents: of each stage, the numbers of the stages that it follows, all lower than its own.
        suspends: whether each stage waits for the event loop once.
    """

    name: str
    parents: tuple[tuple[int, ...], ...]
    suspends: bool = False

    def sinks(self) -> list[int]:
        followed = {parent for follows in self.parents for parent in follows}
        return [stage for stage in range(len(self.parents)) if stage not in followed]

    def answer(self, value: int) -> int:
        """The sum of what the sinks give."""
        given: list[int] = []
        for follows in self.parents:
            given.append(((sum(given[parent] for parent in follows) if follows else value) + 1) & MASK)
        return sum(given[sink] for sink in self.sinks())

    def suspending(self) -> Graph:
        return replace(self, name=f"{self.name}, suspending once", suspends=True)


def chain(stages: int) -> Graph:
    return Graph(f"chain of {stages}", tuple((stage - 1,) if stage else () for stage in range(stages)))


def fan(width: int) -> Graph:
    return Graph(f"fan of {width}", ((), *[(0,)] * width, tuple(range(1, width + 1))))


def layered(layers: int, width: int, follows: int = 3) -> Graph:
    """Layers in which each stage follows some of the layer before."""
    pick = random.Random(7)
    parents: list[tuple[int, ...]] = [()] * width
    for layer in range(1, layers):
        before = range((layer - 1) * width, layer * width)
        parents += [tuple(sorted(pick.sample(before, follows))) for _ in range(width)]
    return Graph(f"layered {layers}x{width}", tuple(parents))


def sparse(stages: int) -> Graph:
    """A random graph in which each stage follows one to three that were declared before it."""
    pick = random.Random(11)
    follows = [
        {pick.randrange(stage) for _ in range(pick.randint(1, 3))} if stage else set() for stage in range(stages)
    ]
    return Graph(f"sparse {stages:,}", tuple(tuple(sorted(parents)) for parents in follows))


SMALL = Graph("ten stages", ((), (0,), (0,), (0,), (1, 2), (2, 3), (1, 3), (4, 5), (5, 6), (7, 8)))
