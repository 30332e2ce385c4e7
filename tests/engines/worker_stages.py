"""Stages that workers import by the name of this module."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from returns.result import Result
from typing_extensions import Never

from stageflow import Placement, PortKey, StageError, StageInputs, StageOutput, fail, lift, ok, stage
from stageflow.ports import LOCAL

CLOCK: PortKey[int] = PortKey("clock")
ON_GPU = Placement(resources={"GPU": 1})


class TornError(StageError):
    part: int


@lift
def process(_: int) -> int:
    return os.getpid()


@lift(placement=LOCAL)
def here(_: int) -> int:
    return os.getpid()


@stage(requires=(CLOCK,))
async def with_port(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    return ok(os.getpid())


@lift(placement=ON_GPU)
def on_gpu(_: int) -> int:
    return os.getpid()


@lift(placement=Placement(workers=("no-such-worker",)))
def nowhere(number: int) -> int:
    return number


@lift
def add(number: int) -> int:
    return number + 1


@lift
def divide(number: int) -> int:
    return 1 // number


@stage
async def torn(inputs: StageInputs[int]) -> Result[StageOutput[int], TornError]:
    return fail(TornError("torn", part=inputs.value, retryable=True))


@lift
def pid_then_wait(path: str) -> str:
    """Says which process it is in, and goes on when the file is gone."""
    partial = Path(f"{path}.partial")
    partial.write_text(str(os.getpid()))
    partial.rename(path)
    while Path(path).exists():
        time.sleep(0.01)
    return path


@lift
def pid_then_count(path: str) -> str:
    """Says which process it is in, and counts in one call into C, which hears nothing."""
    partial = Path(f"{path}.partial")
    partial.write_text(str(os.getpid()))
    partial.rename(path)
    return str(sum(range(10**12)))


@dataclass(frozen=True)
class Span:
    trace: int
    parent: int


@stage
async def traced(inputs: StageInputs[int]) -> Result[StageOutput[Span], Never]:
    from opentelemetry.sdk.trace import TracerProvider

    with TracerProvider().get_tracer("worker").start_as_current_span("inside") as span:
        parent = span.parent
        return ok(Span(span.get_span_context().trace_id, parent.span_id if parent is not None else 0))


class Opaque:
    """Has no fields that anyone could know."""

    def __init__(self, *parts: object) -> None:
        self._parts = parts


@lift
def opaque(number: int) -> Opaque:
    return Opaque(number)


def plain(number: int) -> int:
    return number * 100


lifted_elsewhere = lift(name="lifted elsewhere")(plain)
