"""Stages that do to their worker what no stage should: what engines are held to beside the corpus."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from returns.result import Result
from typing_extensions import Never

from stageflow.context.inputs import StageInputs
from stageflow.context.ports import PortKey
from stageflow.core.output import StageOutput, ok
from stageflow.pipeline.functions import lift, stage
from stageflow.placement import Placement
from stageflow.testing.deeds import double

_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
UNDECLARED: PortKey[int] = PortKey("undeclared")


@lift
def exits(number: int) -> int:
    """Ends its process, as it thinks."""
    sys.exit(number)


@lift
def ill_typed(number: int) -> int:
    """Gives what its annotation does not say."""
    return {number}  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # that is what it is for


@stage
async def reads_undeclared(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    """Reads an ancestor without saying so."""
    return ok(inputs[double])


@stage
async def asks_for_port(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    """Asks for a port without saying so."""
    return ok(inputs.ports[UNDECLARED])


@lift
def process(_: int) -> int:
    """The process that it runs in."""
    return os.getpid()


@lift(placement=Placement(attempts=3))
def killed_once(marks: str) -> str:
    """Kills its process, the first time."""
    if _mark(marks) == 1:
        os.kill(os.getpid(), _KILL)
    return marks


@lift(placement=Placement(attempts=3))
def poison(marks: str) -> str:
    """Kills its process, every time."""
    _mark(marks)
    os.kill(os.getpid(), _KILL)
    return marks


@lift(placement=Placement(attempts=1))
def poison_once(marks: str) -> str:
    """The same, and is not to be started again."""
    _mark(marks)
    os.kill(os.getpid(), _KILL)
    return marks


@lift
async def waits_marked(marks: str) -> str:
    """Marks that it began, waits to be cancelled, and marks that it was."""
    _mark(marks)
    try:
        await asyncio.sleep(3600)
    finally:
        _mark(marks)
    return marks


@lift
def computes_marked(marks: str) -> str:
    """The same, without ever waiting."""
    _mark(marks)
    try:
        while Path(marks).exists():
            pass
    finally:
        _mark(marks)
    return marks


def marks_in(path: str | Path) -> int:
    """How many marks a file has by now."""
    return len(Path(path).read_bytes()) if Path(path).exists() else 0


def _mark(path: str) -> int:
    with Path(path).open("ab") as file:
        file.write(b"x")
    return marks_in(path)
