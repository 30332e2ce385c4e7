"""How far one run is: what its events have told so far, counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

_NUMBER: Final = re.compile(r"\[\d+\]")
_ENDS: Final = {"completed": "ok", "failed": "failed", "skipped": "skipped", "cancelled": "cancelled"}
_RUN_ENDS: Final = ("completed", "failed", "cancelled")


@dataclass(slots=True)
class Going:
    """A stage under way: since when, on the display's clock, and in which attempt."""

    since: float
    attempt: int = 1


@dataclass(slots=True)
class Items:
    """How far all ``.each`` of one name are.

    Attributes:
        since: when the first began, on the display's clock.
        over: how many items are in those that are done with.
        open: of the others, how many items they have and what tells how many are done.
    """

    since: float
    over: int = 0
    open: list[tuple[int, Callable[[], int]]] = field(default_factory=list[tuple[int, Callable[[], int]]])

    def count(self) -> tuple[int, int]:
        """How many items are done, and how many there are."""
        done = total = 0
        left: list[tuple[int, Callable[[], int]]] = []
        for items, settled in self.open:
            so_far = settled()
            if so_far >= items:
                self.over += items
            else:
                left.append((items, settled))
                done += so_far
                total += items
        self.open = left
        return self.over + done, self.over + total


@dataclass(slots=True)
class Board:
    """How far one run is.

    Attributes:
        pipeline: what is run.
        since: when it began, on the display's clock.
        counts: how many stages ended how.
        going: the stages under way, by name.
        items: how far each ``.each`` is, by name.
        retries: how often a stage was tried again.
        errors: what failed and is not shown yet.
        told: how many errors were shown.
        status: how the run ended; empty while it goes on.
    """

    pipeline: str
    since: float
    counts: Counter[str] = field(default_factory=Counter[str])
    going: dict[str, Going] = field(default_factory=dict[str, Going])
    items: dict[str, Items] = field(default_factory=dict[str, Items])
    retries: int = 0
    errors: list[str] = field(default_factory=list[str])
    told: int = 0
    status: str = ""

    def expect(self, stage: str, items: int, done: Callable[[], int], now: float) -> None:
        """Counts the items of an ``.each`` that is about to begin."""
        name = _NUMBER.sub("", stage)
        if name not in self.items:
            self.items[name] = Items(now)
        self.items[name].open.append((items, done))

    def hear(self, type: str, data: Mapping[str, object], now: float) -> None:
        """Takes an event of the run."""
        what = type.rpartition(".")[2]
        stage = data.get("stage")
        if type.startswith("pipeline."):
            if what in _RUN_ENDS:
                self.status = "skipped" if data.get("status") == "skip" else what
                self.going.clear()
        elif isinstance(stage, str) and type.startswith("stage."):
            self._hear_stage(what, stage, data, now)

    def _hear_stage(self, what: str, stage: str, data: Mapping[str, object], now: float) -> None:
        if what == "started":
            self.going[stage] = Going(now)
        elif what == "retrying":
            self.retries += 1
            if stage in self.going:
                self.going[stage].attempt += 1
        elif what in _ENDS:
            self.going.pop(stage, None)
            self.counts[_ENDS[what]] += 1
            if what == "failed":
                self.errors.append(f"{stage}: {data.get('error_type', '')}: {data.get('error', '')}")
