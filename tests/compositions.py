"""Random compositions of stages from int to int: every way to compose is in them, and every way to end."""

from __future__ import annotations

import asyncio
import random
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

from returns.result import Failure, Result, Success
from typing_extensions import Never

from stageflow import (
    RetryInterceptor,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    cancel,
    fail,
    lift,
    ok,
    route,
    skip,
    stage,
)

IntStage = Stage[int, int, StageError]
KINDS = (*["then"] * 2, "beside", "each", "settled-each", "optional", "settled", "recover")
KINDS += ("when", "route", "named", "retry")


class BrokenError(StageError):
    by: str


def mixed(*what: object) -> int:
    """A value that tells everything apart."""
    return zlib.crc32(repr(what).encode()) % 100_000


def spread_over(count: int) -> Callable[[int], tuple[int, ...]]:
    def spread(value: int) -> tuple[int, ...]:
        return tuple([mixed(value, number) for number in range(count)])

    return spread


def both(values: tuple[int, int]) -> int:
    return mixed(values)


def every(values: tuple[int, ...]) -> int:
    return mixed(values)


def settled_every(results: tuple[Success[int] | Failure[StageError], ...]) -> int:
    return mixed([result.value_or(0) for result in results])


def settled_one(result: Success[int] | Failure[StageError]) -> int:
    return mixed(result.value_or(-1))


def or_nothing(value: int | None) -> int:
    return mixed(value)


def which(value: int) -> Literal["a", "b", "c"]:
    cases: Sequence[Literal["a", "b", "c"]] = ("a", "b", "c")
    return cases[value % 3]


async def handled(error: StageError) -> Result[StageOutput[int], Never]:
    return ok(mixed(type(error).__name__))


async def handled_broken(error: BrokenError) -> Result[StageOutput[int], Never]:
    return ok(mixed(error.by))


class Composer:
    """Makes a composition up, and counts what runs in it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.bad = self.rng.choice((0.0, 0.05, 0.15, 0.3))
        self.made = 0
        self.ran: Counter[str] = Counter()
        self.runs_again = False  # whether a retry may run what has ended

    def name(self, prefix: str) -> str:
        self.made += 1
        return f"{prefix}{self.made}"

    def leaf(self) -> IntStage:
        name, rng = self.name("s"), self.rng
        does = rng.choice(("skip", "skip", "fail", "fail", "raise", "cancel")) if rng.random() < self.bad else "ok"
        every_nth, turns, flaky = rng.choice((1, 1, 2, 3)), rng.choice((0, 0, 1, 2)), rng.random() < 0.15

        @stage(name=name)
        async def leaf(inputs: StageInputs[int]) -> Result[StageOutput[int], BrokenError]:
            self.ran[inputs.context.stage] += 1
            for _ in range(turns):
                await asyncio.sleep(0)
            value = mixed(name, inputs.value)
            if flaky and inputs.context.attempt == 1:
                return Failure(BrokenError("flaky", by=name, retryable=True))
            match does if value % every_nth == 0 else "ok":
                case "skip":
                    return skip(f"{name} skips")
                case "fail":
                    return fail(BrokenError(f"{name} fails", by=name))
                case "raise":
                    raise ValueError(name)
                case "cancel":
                    return cancel(f"{name} cancels")
                case _:
                    return ok(value)

        return leaf.using(RetryInterceptor(attempts=2, backoff=0.0)) if flaky else leaf

    def composed(self, depth: int) -> IntStage:
        rng = self.rng
        inner = (lambda: self.composed(depth - 1)) if depth > 1 else self.leaf
        limit, number = rng.choice((None, 1, 2)), rng.randint(0, 3)
        spread = lift(spread_over(number), name=self.name("spread"))
        match rng.choice(KINDS):
            case "beside":
                return (inner() & inner()) | lift(both, name=self.name("both"))
            case "each":
                return spread | inner().each(limit=limit) | lift(every, name=self.name("every"))
            case "settled-each":
                return spread | inner().settled().each(limit=limit) | lift(settled_every, name=self.name("every"))
            case "optional":
                return inner().optional() | lift(or_nothing, name=self.name("or"))
            case "settled":
                return inner().settled() | lift(settled_one, name=self.name("one"))
            case "recover":
                return inner().recover(rng.choice((handled, handled_broken)))  # type: ignore[arg-type]
            case "when":
                holds = rng.random() < 0.6
                return inner().when(lambda _: holds)
            case "route":
                chosen = route(lift(which, name=self.name("which"))).case("a", inner()).case("b", inner())
                return chosen.otherwise(inner()) if rng.random() < 0.5 else chosen.case("c", inner()).exhaustive()
            case "named":
                return inner().named(self.name("n"))
            case "retry":
                self.runs_again = True
                return inner().using(RetryInterceptor(attempts=2, backoff=0.0, retry_when=lambda _: True))
            case _:
                return inner() | inner()
