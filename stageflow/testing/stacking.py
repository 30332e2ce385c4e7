"""Interceptors to stack others with, and playing a script under a stack: what the laws are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar, cast, final

from returns.result import Failure, Result, Success
from typing_extensions import Never, override

from stageflow.context.inputs import StageFunction, StageInputs
from stageflow.context.stage import StageContext
from stageflow.core.output import StageOutput
from stageflow.core.stage import StageStatus
from stageflow.errors import StageError
from stageflow.pipeline.builder import Interceptor
from stageflow.testing.clock import run_virtually
from stageflow.testing.script import Act, ScriptedError, ScriptedStage

_A = TypeVar("_A")
_B = TypeVar("_B")
_E1 = TypeVar("_E1", bound=StageError)
AnyCall: TypeAlias = StageFunction[object, object, StageError]
AnyInterceptor: TypeAlias = Interceptor[StageError]
Script: TypeAlias = Sequence[Act]

CALLS: Final = 8  # enough to open a breaker of the default size, and to see it open


@final
class Transparent(Interceptor[Never]):
    """Does nothing, but is there: unlike hooks that are not overridden, it is a call of its own."""

    @override
    def wrap(self, call: StageFunction[_A, _B, _E1], /) -> StageFunction[_A, _B, _E1]:
        async def run_through(inputs: StageInputs[_A], /) -> Result[StageOutput[_B], _E1]:
            return await call(inputs)

        return run_through


@final
@dataclass(frozen=True, slots=True)
class Marking(Interceptor[Never]):
    """Notes when a call comes by, and when it is over.

    Attributes:
        name: what it notes.
        log: where.
    """

    name: str
    log: list[str]

    @override
    def wrap(self, call: StageFunction[_A, _B, _E1], /) -> StageFunction[_A, _B, _E1]:
        async def run_marked(inputs: StageInputs[_A], /) -> Result[StageOutput[_B], _E1]:
            self.log.append(f"{self.name} begins")
            try:
                return await call(inputs)
            finally:
                self.log.append(f"{self.name} ends")

        return run_marked


@final
@dataclass(frozen=True, slots=True)
class Stacked(Interceptor[StageError]):
    """Two interceptors as one.

    Attributes:
        outer: sees the call first.
        inner: sees what the outer lets through.
    """

    outer: AnyInterceptor
    inner: AnyInterceptor

    @override
    def wrap(self, call: StageFunction[_A, _B, _E1], /) -> StageFunction[_A, _B, _E1 | StageError]:
        return self.outer.wrap(self.inner.wrap(call))


@final
@dataclass(frozen=True, slots=True)
class Played:
    """What several calls in a row came to.

    Attributes:
        came: what each call gave or raised, as text without times, so that two plays compare.
        reached: how often the stage itself was called.
    """

    came: tuple[str, ...]
    reached: int

    @override
    def __str__(self) -> str:
        return f"[{'; '.join(self.came)}] with {self.reached} calls of the stage"


def inputs_of(number: int) -> StageInputs[object]:
    """The inputs of one call, as a test makes them: no run is around."""
    return StageInputs(f"value {number}", context=StageContext(stage="scripted"))


def play(interceptor: AnyInterceptor, script: Script) -> Played:
    """Calls a scripted stage in an interceptor several times in a row, in virtual time."""

    async def play_all() -> Played:
        scripted = ScriptedStage(*script)
        call: AnyCall = interceptor.wrap(scripted)
        came = [await came_of(call, number) for number in range(1, CALLS + 1)]
        return Played(tuple(came), len(scripted.calls))

    return run_virtually(play_all())


async def came_of(call: AnyCall, number: int) -> str:
    """What one call gives or raises, as text."""
    try:
        return said(await call(inputs_of(number)))
    except asyncio.CancelledError:
        return "a CancelledError that nobody asked for"
    except Exception as error:  # noqa: BLE001  (it is what came)
        return f"raised {type(error).__name__}: {error}"


def said(result: object) -> str:
    """A result as text; of errors that interceptors made only the type, since they may tell times."""
    match cast("Success[StageOutput[object]] | Failure[object] | None", result):
        case Success(StageOutput(status=StageStatus.OK, data=data)):
            return f"ok({data!r})"
        case Success(StageOutput(status=status, reason=reason)):
            return f"{status.value}({reason})"
        case Failure(ScriptedError() as error):
            return f"failure: {error}"
        case Failure(error):
            return f"failure of type {type(error).__name__}"
        case _:
            return f"no Result: {result!r}"
