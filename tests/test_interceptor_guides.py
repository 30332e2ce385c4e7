"""The guide to interceptors: each has its four words in its docstring and in the guide."""

from pathlib import Path

import pytest

import stageflow
import stageflow.interceptors.correlation
from stageflow import BaseInterceptor

FOLDER = Path(__file__).parents[1] / "docs" / "guides"


def built_in() -> list[type[BaseInterceptor[object]]]:
    for name in stageflow.__all__:
        getattr(stageflow, name)  # each is imported when asked for
    own = [one for one in BaseInterceptor.__subclasses__() if one.__module__.startswith("stageflow.interceptors.")]
    return sorted({one.__name__: one for one in own}.values(), key=lambda one: one.__name__)


@pytest.mark.parametrize("interceptor", built_in(), ids=lambda one: one.__name__)
def test_every_interceptor_says_when_where_what_it_adds_and_what_it_costs(interceptor: type) -> None:
    lines = [line.strip() for line in (interceptor.__doc__ or "").splitlines()]
    for word in ("When: ", "Where: ", "Adds: ", "Costs: "):
        assert sum(line.startswith(word) for line in lines) == 1, word
    text = (FOLDER / "interceptors.md").read_text(encoding="utf-8")
    section = text.partition(f"\n### {interceptor.__name__}\n")[2].partition("\n### ")[0]
    for row in ("| when |", "| where |", "| adds to `E` |", "| costs |"):
        assert row in section, row


def test_all_eight_interceptors_are_held_to_that() -> None:
    assert len(built_in()) == 8
