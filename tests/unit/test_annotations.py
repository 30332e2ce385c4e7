"""What stages say of their types at run time, for string wiring and exhaustive routes."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Literal, Protocol, TypeVar

import pytest
from returns.result import Result

from stageflow import Pipeline, StageError, StageInputs, StageOutput, TimeoutInterceptor, identity, lift, ok, stage
from stageflow.graph.building.annotations import UNKNOWN, cases, disjoint, gives, shown, takes

T = TypeVar("T")


class Colour(Enum):
    RED = 1
    BLUE = 2


class Animal:
    pass


class Dog(Animal):
    pass


class Closes(Protocol):
    def close(self) -> None: ...


@stage
async def fetch(inputs: StageInputs[str]) -> Result[StageOutput[bytes], StageError]:
    return ok(inputs.value.encode())


@lift
def parse(page: bytes) -> Result[int, StageError]:
    raise NotImplementedError


@lift
def unsaid(value):
    return value


@lift
def unresolved(value: NoSuchName) -> NoSuchName:  # noqa: F821  (that is the point)
    return value


@stage
async def generic(inputs: StageInputs[T]) -> Result[StageOutput[T], StageError]:
    return ok(inputs.value)


class Weigh:
    def __call__(self, dog: Dog) -> float:
        return 1.0


@pytest.mark.parametrize(
    ("made", "taken", "given"),
    [
        (fetch, str, bytes),
        (parse, bytes, int),
        (lift(Weigh()), Dog, float),
        (unsaid, UNKNOWN, UNKNOWN),
        (unresolved, UNKNOWN, UNKNOWN),
        (generic, UNKNOWN, UNKNOWN),
        (lift(len), UNKNOWN, UNKNOWN),
        (identity(str), str, str),
        (fetch | parse, str, int),
        (fetch.named("get"), str, bytes),
        (fetch.using(TimeoutInterceptor(1)).when(lambda inputs: True), str, bytes),
        (fetch.optional(), UNKNOWN, UNKNOWN),
        (fetch.each(), UNKNOWN, UNKNOWN),
        ((fetch & parse).together(), UNKNOWN, UNKNOWN),
        (Pipeline.of(str), str, UNKNOWN),
        (Pipeline.of(str).with_stage(fetch), str, UNKNOWN),
        (Pipeline.of(str).with_stage(fetch).returning(fetch), str, bytes),
    ],
    ids=lambda given: given.name if hasattr(given, "name") else "",
)
def test_a_stage_says_what_it_takes_and_gives_as_far_as_it_does(made, taken, given) -> None:
    assert takes(made.shape, {}) is taken
    assert gives(made.shape, {}) is given


def test_annotations_of_one_function_are_read_once() -> None:
    known: dict[object, Mapping[str, object]] = {}
    takes(parse.shape, known)
    assert list(known.values()) == [{"page": bytes, "return": Result[int, StageError]}]
    (code,) = known
    known[code] = {"page": str}
    assert takes(parse.shape, known) is str


@pytest.mark.parametrize(
    ("given", "wanted", "expected"),
    [
        (int, str, True),
        (int, int, False),
        (Dog, Animal, False),
        (Animal, Dog, False),
        (int, float, False),
        (bool, complex, False),
        (None, str, True),
        (None, type(None), False),
        (UNKNOWN, str, False),
        (str, object, False),
        (object, str, False),
        (int | None, str, True),
        (int | None, str | None, False),
        (str, int | bytes, True),
        (str, int | str, False),
        (typing.Optional[int], str, True),  # noqa: UP045  (the older way to write it)
        (list[int], list[str], False),
        (list[int], dict[str, int], True),
        (str, Sequence[int], False),
        (int, Closes, False),
        (Literal["a"], int, False),
        (tuple[int, str], tuple[int, str], False),
        (tuple[int, str], tuple[int, bytes], True),
        (tuple[int, str], tuple[int], True),
        (tuple[int, ...], tuple[str, str], False),
        (tuple, tuple[str, str], False),
        (T, str, False),
    ],
)
def test_types_are_disjoint_where_no_value_can_be_of_both_as_far_as_can_be_told(given, wanted, expected) -> None:
    assert disjoint(given, wanted) is expected


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (bool, (True, False)),
        (None, (None,)),
        (type(None), (None,)),
        (Colour, (Colour.RED, Colour.BLUE)),
        (Literal["a", 2], ("a", 2)),
        (Colour | None, (Colour.RED, Colour.BLUE, None)),
        (Colour | str, ()),
        (int, ()),
        (UNKNOWN, ()),
    ],
)
def test_the_cases_of_a_type_are_told_where_they_can_be_listed(of, expected) -> None:
    assert cases(of) == expected


@pytest.mark.parametrize(
    ("of", "expected"),
    [(int, "int"), (list[int], "list[int]"), (typing.Literal["a"], "Literal['a']"), (int | None, "int | None")],
)
def test_a_type_is_shown_as_it_is_written(of, expected) -> None:
    assert shown(of) == expected


def test_wiring_by_name_passes_over_what_is_not_told() -> None:
    for first in (unsaid, unresolved, generic):
        chain = Pipeline.of(str).with_stage("first", first).with_stage("second", parse, dependencies=("first",))
        assert chain.build().unwrap().stages == ("first", "second")


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (tuple[bytes, int], True),
        (tuple[bytes, ...], False),
        (tuple[object, ...], True),
        (tuple, True),
        (object, True),
        (Sequence[object], True),
        (tuple[bytes], False),
        (str, False),
    ],
)
def test_a_stage_of_several_takes_a_tuple_that_fits(wanted, fits) -> None:
    def join(pair):
        return pair

    join.__annotations__["pair"] = wanted
    both = Pipeline.of(str).with_stage("one", fetch).with_stage("two", parse, dependencies=("one",))
    built = both.with_stage("join", lift(join), dependencies=("one", "two")).build()
    assert (type(built).__name__ == "Success") is fits
