"""Stages that every worker can import, a few of each kind: what the graphs of the corpus are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from returns.result import Failure, Result, Success
from typing_extensions import Never

from stageflow.context.inputs import StageInputs
from stageflow.context.ports import PortKey
from stageflow.core.output import StageArtifact, StageEvent, StageOutput, cancel, fail, ok, skip
from stageflow.core.stage import StageKind
from stageflow.errors import StageError, StageExecutionError
from stageflow.pipeline.functions import lift, stage

FOREVER: Final = 3600.0
FACTOR: PortKey[int] = PortKey("factor")


class OddError(StageError):
    """The number was odd.

    Attributes:
        number: which.
        seen: the numbers before it.
    """

    number: int
    seen: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum and what went into it."""

    of: tuple[int, ...]
    total: int


class StubbornError(Exception):
    """Does not pickle, as exceptions with a constructor of their own do not."""

    def __init__(self, what: str, *, needed: int) -> None:
        super().__init__(f"{what} needs {needed}")
        self.callback: Callable[[], int] = lambda: needed


@lift
def double(number: int) -> int:
    """Twice the number."""
    return number * 2


@lift
async def increment(number: int) -> int:
    """One more, a turn of the loop later."""
    await asyncio.sleep(0)
    return number + 1


@lift
def total(numbers: tuple[int, int]) -> Sum:
    """The sum of two."""
    return Sum(numbers, sum(numbers))


@lift
def spread(number: int) -> list[int]:
    """The numbers below it."""
    return list(range(number))


@lift
def sum_up(numbers: tuple[int, ...]) -> Sum:
    """The sum of many."""
    return Sum(numbers, sum(numbers))


@lift
def present(number: int | None) -> str:
    """What there is, as a text."""
    return "nothing" if number is None else f"number {number}"


@lift
def size(number: int) -> Literal["small", "large"]:
    """Which of the cases of a route it is."""
    return "small" if number < 10 else "large"  # noqa: PLR2004  (as good as any)


@stage(kind=StageKind.GUARD)
async def even(inputs: StageInputs[int]) -> Result[StageOutput[int], OddError]:
    """The number, where it is even."""
    if inputs.value % 2:
        return fail(OddError(f"{inputs.value} is odd", number=inputs.value, seen=(1, 2)))
    return ok(inputs.value)


@stage
async def skip_odd(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    """The number, where it is even; else a skip."""
    return skip(f"{inputs.value} is odd") if inputs.value % 2 else ok(inputs.value)


@stage
async def stop(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    """Cancels the run."""
    return cancel(f"{inputs.value} is enough")


@stage(kind=StageKind.WORK)
async def wait(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    """Waits until it is cancelled."""
    await asyncio.sleep(FOREVER)
    return ok(inputs.value)


@stage
async def telling(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    """Emits, and gives events and artifacts along."""
    inputs.context.emit("corpus.emitted", {"number": inputs.value, "pair": (1, 2)})
    event = StageEvent("corpus.rode", {"number": inputs.value})
    return ok(inputs.value, artifacts=(StageArtifact("corpus.note", b"a note"),), events=(event,))


@stage
async def third_time(inputs: StageInputs[int]) -> Result[StageOutput[int], OddError]:
    """Fails twice, retryably, with the attempt in its error."""
    if inputs.attempt < 3 or inputs.context.attempt < 3:  # noqa: PLR2004  (so many)
        return fail(OddError("once more", retryable=True, number=inputs.attempt))
    return ok(inputs.value)


@stage(reads=(double,))
async def beside(inputs: StageInputs[int]) -> Result[StageOutput[tuple[int, int]], Never]:
    """Its value, and what an ancestor gave."""
    return ok((inputs.value, inputs[double]))


@stage(requires=(FACTOR,))
async def scaled(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    """Needs a port, and so stays where the run is."""
    return ok(inputs.value * inputs.ports[FACTOR])


@stage
async def about(inputs: StageInputs[int]) -> Result[StageOutput[dict[str, str]], Never]:
    """What a stage sees of its run."""
    context = inputs.context
    late = context.remaining is not None and 0 < context.remaining < FOREVER
    seen = {"stage": context.stage, "kind": context.kind.value, "attempt": str(context.attempt), "late": str(late)}
    return ok({**seen, **{key: str(value) for key, value in context.correlation.as_mapping().items()}})


@lift
def count_settled(outcomes: tuple[Success[int] | Failure[OddError | StageExecutionError], ...]) -> list[str]:
    """How each item went."""
    return [f"{type(one).__name__} of {one.value_or(None)}" for one in outcomes]


@lift
def divide(number: int) -> int:
    """Raises for nothing."""
    return 10 // number


@lift
def stubborn(number: int) -> int:
    """Raises what does not pickle."""
    raise StubbornError("this", needed=number)


@stage
async def several(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    """Raises a group."""
    raise ExceptionGroup("several", [ValueError(str(inputs.value)), KeyError("b")])


@stage
async def raises_typed(inputs: StageInputs[int]) -> Result[StageOutput[int], OddError]:
    """Raises an error of its type, which makes a defect of it."""
    raise OddError("raised", number=inputs.value)


@stage
async def cancels_itself(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    """Raises a cancellation that nobody asked for."""
    raise asyncio.CancelledError(str(inputs.value))


@stage
async def bare(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    """Returns what is no Result."""
    return inputs.value  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # that is what it is for


async def handled(error: StageError) -> Result[StageOutput[int], Never]:
    """Handles any error."""
    return ok(len(error.message))
