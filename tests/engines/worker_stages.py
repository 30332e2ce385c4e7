"""Stages that workers import by the name of this module."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from returns.result import Result
from typing_extensions import Never

from stageflow import Placement, PortKey, StageError, StageInputs, StageOutput, fail, lift, ok, stage
from stageflow.placement import LOCAL

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
def marked(path: str) -> str:
    """Leaves a mark for each time that it ran."""
    with Path(f"{path}.marks").open("a") as file:
        file.write("x")
    return path


@lift(effects="once")
def charged(number: int) -> int:
    return number


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


@lift
def interrupts_itself(_: int) -> int:
    raise KeyboardInterrupt


@lift
async def waits(number: int) -> int:
    _STARTED.set()
    await asyncio.sleep(3600)
    return number


@lift
def computes(number: int) -> int:
    _STARTED.set()
    while _STARTED.is_set():
        number += 1
    return number


@lift
async def leaves_a_task(number: int) -> int:
    LEFT.append(asyncio.create_task(asyncio.sleep(3600)))
    return number


_STARTED = threading.Event()
LEFT: list[asyncio.Task[None]] = []


def started() -> None:
    """Waits until `waits` or `computes` has begun in this process, and forgets that."""
    assert _STARTED.wait(60)


def forgotten() -> None:
    _STARTED.clear()


@lift
async def cleans_up_after_computing(number: int) -> int:
    _STARTED.set()
    try:
        while _STARTED.is_set():
            number += 1
    finally:
        await asyncio.sleep(0)
        CLEANED.append(number)
    return number


CLEANED: list[int] = []
