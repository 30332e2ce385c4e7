"""Random compositions whose store is lost again and again: resumed, they come to what an undisturbed run comes to.

Every way to compose is in them, and every way to end. What is recorded as ended does not run again.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal
from uuid import uuid4

import pytest
from returns.result import Failure, Result, Success
from typing_extensions import Never

from stageflow import (
    Completed,
    Failed,
    PipelineContext,
    RetryInterceptor,
    Runner,
    RunStoreError,
    Skipped,
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
from tests.lost_store import Losing

IntStage = Stage[int, int, StageError]
BLOCK, BLOCKS = 75, 8
LIVES = 6  # of a store: then it stays
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


def seen(outcome: object) -> tuple[str, object, object]:
    """What must be the same; how often something was tried need not be, since what was cut off counts."""
    match outcome:
        case Completed(value):
            what: object = value
        case Failed(_, errors):
            return "failed", sorted(map(str, errors)), None  # who else was cancelled meanwhile is a race
        case Skipped(reason):
            what = reason
        case _:
            return "cancelled", None, None
    stages = {
        name: (result.status, result.reason, str(result.error), result.data)
        for name, result in outcome.report.stages.items()
        if result.error is None and not isinstance(result.data, Failure)
    }
    return type(outcome).__name__, what, stages


async def undisturbed_and_resumed(seed: int) -> int:
    """Compares the two, and says how often the store was lost."""
    composer, rng = Composer(seed), random.Random(-seed)
    pipeline, run_id, lost = composer.leaf() | composer.composed(rng.randint(2, 4)), uuid4(), 0
    on_failure: Literal["cancel", "finish"] = rng.choice(("cancel", "finish"))
    expected = seen(await Runner(on_failure=on_failure).run(pipeline, 5))
    composer.ran.clear()
    store = Losing(rng.randint(0, 12), acknowledges=rng.random() < 0.5)

    def runner() -> Runner[Never]:
        return Runner(store=store, on_failure=on_failure, max_concurrency=rng.choice((None, 1, 2)))

    going = runner().run(pipeline, 5, context=PipelineContext(run_id=run_id))
    while True:
        before, ended = composer.ran.copy(), [one.path for one in await recorded(store, run_id)]
        try:
            outcome = await asyncio.wait_for(going, 30)
        except RunStoreError:
            outcome = None
        assert composer.runs_again or {path: composer.ran[path] - before[path] for path in ended} == dict.fromkeys(
            ended, 0
        )
        if outcome is not None:
            assert seen(outcome) == expected
            return lost
        lost += 1
        store.left = rng.randint(0, 12) if lost < LIVES else 1_000_000
        await store.freed(run_id)
        going = runner().resume(pipeline, run_id)


async def recorded(store: Losing, run_id: object):
    return [one for one in await store.load(run_id) if one.status in {"ok", "skip"}]


@pytest.mark.parametrize("block", range(BLOCKS))
async def test_a_composition_whose_store_is_lost_comes_to_what_it_would_have(block: int) -> None:
    lost = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        try:
            lost += await undisturbed_and_resumed(seed)
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
    assert lost > BLOCK / 4
