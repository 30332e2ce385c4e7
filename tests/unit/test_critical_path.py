"""The critical path: the chain of stages that determined when a run ended."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stageflow.views.report import Span, critical_path


def path(spans: dict[str, tuple[float, float]], **follows: tuple[str, ...]) -> tuple[str, ...]:
    return critical_path({name: Span(*span) for name, span in spans.items()}, lambda name: follows.get(name, ()))


def test_a_run_in_which_nothing_ran_has_none() -> None:
    assert path({}) == ()


def test_a_chain_is_its_own_critical_path() -> None:
    assert path({"a": (0, 1), "b": (1, 2), "c": (2, 3)}, b=("a",), c=("b",)) == ("a", "b", "c")


def test_of_two_branches_the_one_that_ended_last_counts() -> None:
    spans = {"a": (0, 1), "slow": (1, 9), "fast": (1, 2), "join": (9, 10)}
    assert path(spans, slow=("a",), fast=("a",), join=("fast", "slow")) == ("a", "slow", "join")


def test_it_is_when_a_stage_ended_that_counts_and_not_how_long_it_took() -> None:
    spans = {"long": (0, 5), "waited": (6, 7), "join": (7, 8)}
    assert path(spans, join=("long", "waited")) == ("waited", "join")


def test_it_ends_with_the_stage_that_ended_last_also_where_nothing_follows_it() -> None:
    spans = {"a": (0, 1), "output": (1, 2), "side": (1, 8)}
    assert path(spans, output=("a",), side=("a",)) == ("a", "side")


def test_of_what_ended_at_once_the_last_in_graph_order_counts() -> None:
    spans = {"a": (0, 1), "b": (1, 2), "instant": (2, 2), "rounded": (2, 1.9995)}
    assert path(spans, b=("a",), instant=("b",), rounded=("instant",)) == ("a", "b", "instant", "rounded")


def test_what_never_ran_is_not_on_it() -> None:
    assert path({"a": (0, 1), "c": (1, 2)}, c=("a", "skipped"), skipped=("a",)) == ("a", "c")


@st.composite
def runs(draw) -> tuple[dict[str, Span], dict[str, tuple[str, ...]]]:
    """Runs in which each stage starts when all that it follows has ended, or some time later."""
    spans: dict[str, Span] = {}
    follows: dict[str, tuple[str, ...]] = {}
    for number in range(draw(st.integers(1, 12))):
        before = draw(st.lists(st.sampled_from(sorted(spans)), unique=True, max_size=4)) if spans else []
        start = max((spans[name].end for name in before), default=0) + draw(st.integers(0, 3))
        spans[f"s{number}"] = Span(start, start + draw(st.integers(0, 9)))
        follows[f"s{number}"] = tuple(before)
    return spans, follows


@given(runs())
def test_each_on_it_follows_the_one_before_and_no_other_that_it_follows_ended_later(run) -> None:
    spans, follows = run
    found = critical_path(spans, follows.__getitem__)
    assert spans[found[-1]].end == max(span.end for span in spans.values())
    assert follows[found[0]] == ()
    for before, after in pairwise(found):
        assert before in follows[after]
        assert spans[before].end == max(spans[name].end for name in follows[after])
        assert spans[before].end <= spans[after].start
