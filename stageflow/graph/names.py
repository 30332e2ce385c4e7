"""The names of stages inside plans that run once per item: ``fetch[7]``."""

from __future__ import annotations

from collections.abc import Iterator

from stageflow.core.stage import StageKind
from stageflow.graph.plan import Plan

ITEM = "\0"  # where the number of an item goes
PER_ITEM = f"[{ITEM}]"


def filled(name: str, items: tuple[int, ...]) -> str:
    """The name with the numbers of its items; a place without a number goes."""
    for item in items:
        name = name.replace(ITEM, str(item), 1)
    return name.replace(PER_ITEM, "")


def stages_inside(plan: Plan, items: tuple[int, ...]) -> Iterator[tuple[str, StageKind]]:
    """The name and kind of every stage in a plan and the plans inside it, in graph order."""
    unseen: list[tuple[Plan, int]] = [(plan, 0)]
    while unseen:
        current, start = unseen.pop()
        for slot in range(start, len(current.names)):
            kind = current.kinds[slot]
            if kind is not None:
                yield filled(current.names[slot], items), kind
            else:
                unseen.append((current, slot + 1))
                unseen += [(inner, 0) for inner in reversed(current.inner.get(slot, ()))]
                break
