"""Pipelines by name: `PipelineRegistry`."""

from __future__ import annotations

import pytest

from stageflow import Completed, Pipeline, PipelineRegistry, lift


@lift
def length(text: str) -> int:
    return len(text)


@lift
def half(number: int) -> float:
    return number / 2


untyped = lift(name="untyped")(lambda value: value)


def test_a_registry_lists_names_in_the_order_they_came() -> None:
    registry = PipelineRegistry()
    assert registry.list() == ()
    registry.register("length", length)
    registry.register("half", length | half)
    assert registry.list() == ("length", "half")


async def test_a_registered_pipeline_is_got_by_its_name_and_types() -> None:
    registry = PipelineRegistry()
    registry.register("half", length | half)
    found = registry.get("half", input=str, output=float)
    assert isinstance(found, Pipeline)
    outcome = await found.run("abc")
    assert isinstance(outcome, Completed)
    assert outcome.value == 1.5


def test_a_name_is_taken_once_unless_it_is_to_be_replaced() -> None:
    registry = PipelineRegistry()
    registry.register("count", length)
    with pytest.raises(ValueError, match=r'registered as "count" already.*replace=True'):
        registry.register("count", half)
    registry.register("count", half, replace=True)
    assert registry.get("count", input=int, output=float).shape is half.shape
    assert registry.list() == ("count",)


@pytest.mark.parametrize("name", ["", "  "])
def test_a_name_is_not_blank(name) -> None:
    with pytest.raises(ValueError, match="needs a name"):
        PipelineRegistry().register(name, length)


def test_an_unknown_name_is_a_key_error_with_the_nearest() -> None:
    registry = PipelineRegistry()
    with pytest.raises(KeyError, match=r"Register it first"):
        registry.get("count", input=str, output=int)
    registry.register("count", length)
    with pytest.raises(KeyError, match=r'Did you mean "count"\?'):
        registry.get("cuont", input=str, output=int)


@pytest.mark.parametrize(
    ("input", "output", "said"), [(int, int, "takes str, not int"), (str, bytes, "gives int, not")]
)
def test_other_types_than_the_pipelines_are_refused(input, output, said) -> None:
    registry = PipelineRegistry()
    registry.register("count", length)
    with pytest.raises(TypeError, match=said):
        registry.get("count", input=input, output=output)


def test_types_that_are_not_told_pass() -> None:
    registry = PipelineRegistry()
    registry.register("untyped", untyped)
    assert registry.get("untyped", input=str, output=bytes).name == "untyped"


def test_a_factory_is_called_when_first_asked_and_once() -> None:
    calls: list[str] = []

    def make():
        calls.append("made")
        return length

    registry = PipelineRegistry()
    registry.register("count", make)
    assert calls == []
    assert registry.list() == ("count",)
    first, second = (registry.get("count", input=str, output=int) for _ in range(2))
    assert first.shape is second.shape
    assert calls == ["made"]


def test_a_factory_that_makes_no_pipeline_is_refused_by_name() -> None:
    registry = PipelineRegistry()
    registry.register("count", lambda: 3)  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match=r'The factory of "count" gave 3, which is no pipeline'):
        registry.get("count", input=str, output=int)


def test_two_registries_share_nothing() -> None:
    PipelineRegistry().register("count", length)
    assert PipelineRegistry().list() == ()
