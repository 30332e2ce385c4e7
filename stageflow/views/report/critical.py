"""The critical path: the chain of stages that determined when a run ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple


class Span(NamedTuple):
    """When a stage began and ended, in milliseconds from the run's start."""

    start: float
    end: float


def critical_path(spans: Mapping[str, Span], followed: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
    """The stages that determined the end, first to last: the last to end, before it what it waited for longest, and on.

    Only what it is given counts: leave out of ``spans`` what never started, and what others cut short. Each step looks
    at what one stage follows, so the cost is that of the path and not of the graph.

    >>> spans = {"a": Span(0, 3), "b": Span(0, 9), "c": Span(9, 12), "d": Span(0, 11)}
    >>> critical_path(spans, lambda name: {"c": ("a", "b")}.get(name, ()))
    ('b', 'c')
    """
    path: dict[str, None] = {}
    last = max(spans, key=lambda name: spans[name].end, default=None)
    while last is not None and last not in path:
        path[last] = None
        before = (name for name in followed(last) if name in spans)
        last = max(before, key=lambda name: spans[name].end, default=None)
    return tuple(reversed(path))
