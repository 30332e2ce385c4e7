"""How far one run is: what its events have told so far, counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, final

_NUMBER: Final = re.compile(r"\[\d+\]")
_ENDS: Final = frozenset({"failed", "skipped", "cancelled"})


@final
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


@final
class Board:
    """How far one run is. The run writes, and the display's thread looks a few times a second.

    Attributes:
        pipeline: what is run.
        since: when it began, on the display's clock.
        ok: how many stages were OK.
        others: how many ended otherwise.
        retries: how often a stage was tried again.
        going: the stages under way, by name, with the attempt.
        items: how far each ``.each`` is, by name.
        errors: what failed and is not shown yet.
        told: how many errors were shown.
        status: how the run ended; empty while it goes on.
    """

    __slots__ = ("_seen", "errors", "going", "items", "ok", "others", "pipeline", "retries", "since", "status", "told")

    def __init__(self, pipeline: str, since: float) -> None:
        self.pipeline: str = pipeline
        self.since: float = since
        self.ok: int = 0
        self.others: Counter[str] = Counter()
        self.retries: int = 0
        self.going: dict[object, int] = {}
        self.items: dict[str, Items] = {}
        self.errors: list[str] = []
        self.told: int = 0
        self.status: str = ""
        self._seen: dict[object, float] = {}  # of stages that were shown under way, when they were first

    def expect(self, stage: str, items: int, done: Callable[[], int], now: float) -> None:
        """Counts the items of an ``.each`` that is about to begin."""
        name = _NUMBER.sub("[]", stage)
        if name not in self.items:
            self.items[name] = Items(now)
        self.items[name].open.append((items, done))

    def otherwise(self, what: str, stage: object, data: Mapping[str, object]) -> None:
        """Counts a further attempt of a stage, or that it ended otherwise than OK; nothing else."""
        if what == "retrying":
            self.retries += 1
            self.going[stage] = self.going.get(stage, 0) + 1
        elif what in _ENDS:
            self.going.pop(stage, None)
            self.others[what] += 1
        if what == "failed":
            self.errors.append(f"{stage}: {data.get('error_type', '')}: {data.get('error', '')}")

    def under_way(self, most: int, now: float) -> list[tuple[str, float, int]]:
        """Some of the stages under way: the name, for how long it has been seen so, and the attempt."""
        # One call into C, which the run's thread cannot get in between.
        going = list(islice(self.going.items(), most))
        self._seen = {stage: self._seen.get(stage, now) for stage, _ in going}
        return [(str(stage), now - self._seen[stage], attempt) for stage, attempt in going]
