"""What ``.using()``, ``.when()``, ``.optional()``, ``.settled()``, ``.recover()`` and ``.each()`` make of a stage.

All but the last are decorators of a stage function, as an interceptor is: so they nest in any order and to any depth.
They are applied once, where the pipeline is composed, so that the state of a breaker or limiter belongs to the place
where it was wrapped. What they wrap is either a function of the user's, called as it is, or `inside`: whatever the
executor finds at the stage's place in the graph.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Protocol, TypeAlias

from returns.result import Failure, Success
from typing_extensions import override

from stageflow.context.inputs import StageInputs
from stageflow.core.output import StageOutput, ok, skip
from stageflow.core.stage import Shape, StageStatus
from stageflow.errors import StageError
from stageflow.graph import problems as say
from stageflow.graph.errors import defect, no_result
from stageflow.graph.execution.inputs import of_run
from stageflow.graph.shape import Call, Given, Leaf, Named
from stageflow.graph.stepping import DEEP, in_own_task


class Wraps(Protocol):
    """An interceptor, as the graph knows it."""

    def wrap(self, call: Call, /) -> Call:
        """The function, changed."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Using:
    """Wrapped by an interceptor."""

    interceptor: Wraps

    def __post_init__(self) -> None:
        if isinstance(self.interceptor, type) or not hasattr(self.interceptor, "wrap"):
            raise TypeError(say.no_interceptor(self.interceptor))


@dataclass(frozen=True, slots=True, eq=False)
class When:
    """Skipped where the predicate is false."""

    predicate: Callable[[StageInputs[object]], bool]

    def __post_init__(self) -> None:
        if iscoroutinefunction(self.predicate):
            raise TypeError(say.async_condition(self.predicate))


@dataclass(frozen=True, slots=True, eq=False)
class OrNone:
    """Its skip becomes None."""


@dataclass(frozen=True, slots=True, eq=False)
class Settle:
    """Its failure becomes a value."""


@dataclass(frozen=True, slots=True, eq=False)
class Recover:
    """Its failure is handled."""

    handler: Callable[[StageError], Awaitable[Given]]


@dataclass(frozen=True, slots=True, eq=False)
class Each:
    """Run once per item, at most so many at once."""

    limit: int | None


Wrapper: TypeAlias = Using | When | OrNone | Settle | Recover | Each
Absorber: TypeAlias = OrNone | Settle | Recover


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Wrapped(Shape):
    """A shape that is run in a changed way.

    Attributes:
        call: what the executor calls.
        depth: how many wrappers there are, one in the other.
    """

    inner: Shape
    how: Wrapper
    call: Call
    depth: int

    @staticmethod
    def of(inner: Shape, how: Wrapper) -> Wrapped:
        """The inner shape, changed as the wrapper says."""
        depth = inner.depth + 1 if isinstance(inner, Wrapped) else 1
        return Wrapped(inner, how, applied(_around(inner, how), how, depth), depth)

    @override
    def called_after(self) -> tuple[Shape, ...]:
        return (self.inner,)

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return (Wrapped.of, (self.inner, self.how))


def _around(inner: Shape, how: Wrapper) -> Call:
    """What a wrapper is put around: a function as it is, or what the executor finds at the place."""
    while isinstance(inner, Named):
        inner = inner.inner
    if isinstance(how, Absorber) or (isinstance(inner, Wrapped) and isinstance(inner.how, Each)):
        return inside
    return inner.call if isinstance(inner, Leaf | Wrapped) else inside


async def inside(inputs: StageInputs[object]) -> Given:
    """Runs what stands inside the wrappers at the stage's place in the graph."""
    around = of_run(inputs)
    ledger, slot = around.ledger, around.slot
    result = await ledger.core(slot)(inputs)
    output: object = result.unwrap() if isinstance(result, Success) else None
    if isinstance(output, StageOutput):
        if output.status is StageStatus.OK:
            ledger.inside[slot] = output.data
        return result
    failure: object = result.failure() if isinstance(result, Failure) else None
    if isinstance(failure, StageError):
        return result
    made = no_result(ledger.name(slot), result)
    ledger.run.defects.add(made)
    return Failure(made)


def applied(call: Call, how: Wrapper, depth: int) -> Call:
    """The function in a wrapper, which is that many wrappers deep; on a stack of its own every so many."""
    changed = _changed(call, how)
    return changed if depth % DEEP else in_own_task(changed)


def _changed(call: Call, how: Wrapper) -> Call:
    match how:
        case Using(interceptor):
            return interceptor.wrap(call)
        case When(predicate):
            return _when(call, predicate)
        case OrNone():
            return _or_none(call)
        case Settle():
            return _settled(call)
        case Recover(handler):
            return _recovering(call, handler)
        case Each():
            return inside


def _when(call: Call, predicate: Callable[[StageInputs[object]], bool]) -> Call:
    async def run_when(inputs: StageInputs[object]) -> Given:
        return await call(inputs) if predicate(inputs) else skip("its condition was false")

    return run_when


def _or_none(call: Call) -> Call:
    async def run_or_none(inputs: StageInputs[object]) -> Given:
        result = await call(inputs)
        if isinstance(result, Success) and result.unwrap().status is StageStatus.SKIP:
            return ok(None)
        return result

    return run_or_none


def _settled(call: Call) -> Call:
    async def run_settled(inputs: StageInputs[object]) -> Given:
        around = of_run(inputs)
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        try:
            result = await call(inputs)
        except (Exception, asyncio.CancelledError) as escaped:
            if isinstance(escaped, asyncio.CancelledError) and task is not None and task.cancelling() > before:
                raise
            result = Failure(defect(around.ledger.name(around.slot), escaped))
        if isinstance(result, Failure):
            error = result.failure()
            return result if error in around.ledger.run.foreign else ok(Failure(error))
        output = result.unwrap()
        return ok(Success(output.data)) if output.status is StageStatus.OK else result

    return run_settled


def _recovering(call: Call, handler: Callable[[StageError], Awaitable[Given]]) -> Call:
    async def run_recovering(inputs: StageInputs[object]) -> Given:
        result = await call(inputs)
        if isinstance(result, Success):
            return result
        error, run = result.failure(), of_run(inputs).ledger.run
        if error in run.foreign or error in run.defects:
            return result
        handling = handler(error)
        if not hasattr(type(handling), "__await__"):
            raise TypeError(say.handler_not_async(handler, handling))
        return await handling

    return run_recovering
