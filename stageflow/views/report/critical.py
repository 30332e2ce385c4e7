"""The critical path: the chain of stages that determined when a run ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple


class Span(NamedTuple):
    """When a stage began and ended, in milliseconds from the run's start."""

    start: float
    end: float


CLOCK = 0.002  # milliseconds: what ended closer together than starts are recorded ended at once


def critical_path(spans: Mapping[str, Span], followed: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
    """The stages that determined the end, first to last: the last to end, before it what it waited for longest, and on.

    Only what it is given counts: leave out of ``spans`` what never started, and what others cut short. Of several that
    ended at once it takes the last in the order of ``spans``, which is to be that of the graph. Each step looks at what
    one stage follows, so the cost is that of the path and not of the graph.

    >>> spans = {"a": Span(0, 3), "b": Span(0, 9), "c": Span(9, 12), "d": Span(0, 11)}
    >>> critical_path(spans, lambda name: {"c": ("a", "b")}.get(name, ()))
    ('b', 'c')
    """
    order = {name: number for number, name in enumerate(spans)}
    path: dict[str, None] = {}
    last = _last(spans, order)
    while last is not None and last not in path:
        path[last] = None
        before = {name: spans[name] for name in followed(last) if name in spans}
        last = _last(before, order)
    return tuple(reversed(path))


def _last(spans: Mapping[str, Span], order: Mapping[str, int]) -> str | None:
    end = max((span.end for span in spans.values()), default=0.0)
    at_once = (name for name, span in spans.items() if span.end >= end - CLOCK)
    return max(at_once, key=order.__getitem__, default=None)
