"""What a stage declares that it takes and gives, for the codec to go by."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Literal, Never, TypeVar

import pytest
from returns.result import Failure, Result, Success

from stageflow import (
    Completed,
    Interceptor,
    Pipeline,
    StageError,
    StageInputs,
    StageOutput,
    identity,
    lift,
    ok,
    route,
    skip,
    stage,
)
from stageflow.codec import Codec, Declared, declared

T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    url: str


class NotFoundError(StageError):
    url: str


@stage
async def fetch(inputs: StageInputs[str]) -> Result[StageOutput[Page], NotFoundError]:
    if not inputs.value:
        return Failure(NotFoundError("no such page", url=inputs.value))
    return skip("hidden") if inputs.value == "hidden" else ok(Page(inputs.value))


@stage
async def never(inputs: StageInputs[Page]) -> Result[StageOutput[Never], NotFoundError]:
    return skip("nothing")


@lift
def length(page: Page) -> int:
    return len(page.url)


@lift
async def words(page: Page) -> Result[tuple[str, ...], NotFoundError]:
    return Success(tuple(page.url.split()))


@lift
def later(page: Page) -> Awaitable[Result[int, NotFoundError]]:
    raise NotImplementedError


@lift
def same(value: T) -> T:
    return value


@stage
async def bare(inputs):
    return ok(inputs.value)


@lift
def form(page: Page) -> Literal["a", "b"]:
    return "a" if page.url else "b"


async def instead(error: NotFoundError) -> Result[StageOutput[str], Never]:
    return ok(error.url)


class Passing(Interceptor[Never]):
    def wrap(self, call, /):
        return call


@dataclass(frozen=True)
class Counted:
    length: int
    words: tuple[str, ...]


def counted(length: int, words: tuple[str, ...]) -> Counted:
    return Counted(length, words)


ROUTED = route(form).case("a", length).otherwise(words)
DECLARED = {
    "a stage": (fetch, Declared(str, Page)),
    "its shape": (fetch.shape, Declared(str, Page)),
    "a stage that gives nothing": (never, Declared(Page, Never)),
    "a lifted function": (length, Declared(Page, int)),
    "a lifted async function of a Result": (words, Declared(Page, tuple[str, ...])),
    "a lifted function that gives an awaitable": (later, Declared(Page, int)),
    "a type variable": (same, Declared(object, object)),
    "no annotations": (bare, Declared(object, object)),
    "a builtin": (lift(len), Declared(object, object)),
    "a lambda": (lift(lambda x: x), Declared(object, object)),
    "a class": (lift(Page), Declared(str, Page)),
    "branches into a class": ((length & words).into(Counted), Declared(Page, Counted)),
    "branches into what a function gives": ((length & words).into(counted), Declared(Page, Counted)),
    "branches into what nobody says": ((length & words).into(lambda a, b: a), Declared(Page, object)),
    "identity": (identity(Page), Declared(Page, Page)),
    "a pipe": (fetch | length, Declared(str, int)),
    "a named one": ((fetch | length).named("x"), Declared(str, int)),
    "optional": (fetch.optional(), Declared(str, Page | None)),
    "optional of what is not known": (bare.optional(), Declared(object, object)),
    "settled": (fetch.settled(), Declared(str, Success[Page] | Failure[StageError])),
    "recovered": (fetch.recover(instead), Declared(str, Page | str)),
    "conditional": (fetch.when(lambda inputs: True), Declared(str, Page)),
    "intercepted": (fetch.using(Passing()), Declared(str, Page)),
    "each": (fetch.each(), Declared(Sequence[str], tuple[Page, ...])),
    "each settled": (fetch.settled().each(), Declared(Sequence[str], tuple[Success[Page] | Failure[StageError], ...])),
    "together": ((length & words).together(), Declared(Page, tuple[int, tuple[str, ...]])),
    "a route": (ROUTED, Declared(Page, int | tuple[str, ...])),
    "a route, one case of which gives nothing": (route(form).case("a", never).otherwise(length), Declared(Page, int)),
    "handles": (Pipeline.of(str).with_stage(fetch).returning(fetch), Declared(str, Page)),
    "no output of its own": (Pipeline.of(str).with_stage(fetch), Declared(str, object)),
}


@pytest.mark.parametrize("name", DECLARED)
def test_a_stage_declares_what_it_takes_and_gives(name: str) -> None:
    made, wanted = DECLARED[name]
    assert declared(made) == wanted


@pytest.mark.parametrize(
    ("made", "value"),
    [
        (fetch, "a"),
        (fetch.optional(), "hidden"),
        (fetch.settled(), ""),
        (fetch.settled(), "a"),
        (fetch.recover(instead), ""),
        (fetch.settled().each(), ("a", "", "b")),
        ((length & words).together(), Page("a b")),
        ((length & words).into(Counted), Page("a b")),
        ((length & words).into(counted), Page("a b")),
        (lift(Page), "a"),
        (ROUTED, Page("a")),
        (ROUTED, Page("")),
    ],
)
async def test_what_a_stage_gives_crosses_by_its_declared_type(made, value) -> None:
    outcome = await made.run(value)
    assert isinstance(outcome, Completed)
    codec, of = Codec(), declared(made).output
    assert codec.decode(codec.encode(outcome.value, of).unwrap(), of).unwrap() == outcome.value
    codec.encode(value, declared(made).input).unwrap()


def test_a_long_pipe_is_looked_through_without_recursion() -> None:
    pipe = identity(str) | fetch
    for _ in range(5_000):
        pipe |= identity(Page)
    assert declared(pipe) == Declared(str, Page)
