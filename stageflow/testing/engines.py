"""What every `Engine` is held to; run it over your own in one line: ``await check_engine(engine, shared=tmp_path)``.

==============  ============================================================================================
graphs          of the corpus have the outcome, report and events that they have without an engine
events          come from the run, in causal order, each exactly once
errors          of every kind are the same typed failure as on `LocalEngine`, and equal
remote          what cannot travel is refused before anything starts, all of it at once
cancelled       a body is interrupted, where the engine says so, and the call ends after it
lost            a stage whose worker is killed is started again, and the report says so; one that kills every worker
                fails as a `WorkerLostError` after exactly as many starts as it is allowed
==============  ============================================================================================

The engine needs two workers, or one with two threads. Workers need stageflow, its tests' own modules included.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from stageflow.engines import LocalEngine
from stageflow.engines.answers import read
from stageflow.errors import PipelineValidationError, StageError, StageExecutionError, WorkerLostError
from stageflow.graph.outcome import Completed, Failed, Outcome
from stageflow.pipeline.builder import Stage
from stageflow.pipeline.functions import lift
from stageflow.placement import Engine, Placement, StageCall
from stageflow.ports import CorrelationIds
from stageflow.running.handle import RunHandle
from stageflow.running.runner import Runner
from stageflow.testing.corpus import GRAPHS
from stageflow.testing.deeds import double, increment
from stageflow.testing.misdeeds import (
    asks_for_port,
    computes_marked,
    exits,
    ill_typed,
    killed_once,
    marks_in,
    poison,
    poison_once,
    process,
    reads_undeclared,
    waits_marked,
)
from stageflow.testing.observing import PATIENCE, broken, ended, seen

_MOMENT: Final = 0.02  # seconds
_RUN: Final = UUID(int=7)


async def check_engine(engine: Engine, *, shared: Path | None = None) -> None:
    """Holds an engine to all that a run counts on.

    Args:
        engine: the engine; it is used for each check, and not closed.
        shared: a folder that this process and the workers share. Without it, what needs one is not checked: that a
            body is interrupted, and that a worker may be lost.

    Raises:
        EngineBrokenError: it does not hold.
    """
    for name in GRAPHS:
        await check_graph(engine, name)
    await check_errors(engine)
    await check_travelling(engine)
    if shared is not None:
        await check_interruption(engine, shared)
        await check_losses(engine, shared)


async def check_graph(engine: Engine, name: str) -> None:
    """Holds an engine to one graph of the corpus, by its name in `GRAPHS`."""
    graph = GRAPHS[name]
    expected, got = await seen(None, graph), await seen(engine, graph)
    if got.outcome != expected.outcome:
        raise broken(engine, f'gives "{name}" the outcome {got.outcome}, and without it that is {expected.outcome}')
    if got.stages != expected.stages:
        raise broken(engine, f'reports of "{name}"\n{got.stages}\nand without it\n{expected.stages}')
    if got.each != expected.each:
        raise broken(engine, f'tells of "{name}"\n{got.each}\nand without it\n{expected.each}')
    if got.ends != expected.ends:
        raise broken(engine, f'begins and ends what it tells of "{name}" with {got.ends}, and not {expected.ends}')
    for earlier, later in expected.before - got.before:
        raise broken(engine, f'tells of "{name}" {later} before {earlier}, which causes it')


async def check_errors(engine: Engine) -> None:
    """Holds an engine to what may go wrong in a stage or on a worker: the same failure as on `LocalEngine`."""
    wrong: Mapping[str, Stage[int, object, StageError]] = {
        "a stage that exits": exits,
        "an output of another type": double | ill_typed,
        "an undeclared read": double | increment | reads_undeclared,
        "an undeclared port": asks_for_port,
    }
    for name, stage in wrong.items():
        expected, got = await _run(LocalEngine(), stage, 3), await _run(engine, stage, 3)
        if not isinstance(got, Failed) or got.error != _error(expected):
            raise broken(engine, f"makes of {name} {got!r}, and not {expected!r}")
        if got.error.__cause__ is None:
            raise broken(engine, f"loses what caused the defect of {name}")
    await _unknown_target(engine)


async def check_travelling(engine: Engine) -> None:
    """Holds an engine to running bodies where it says that it does, and a run to refusing what cannot go there."""
    there = _value(await _run(engine, process, 0), engine)
    if engine.capabilities.remote is (there == os.getpid()):
        raise broken(engine, f"says remote={engine.capabilities.remote}, and runs a body in process {there}")

    def local(number: int) -> int:
        return number

    def nameless(number: int) -> int:
        return number

    nameless.__qualname__ = "<lambda>"
    try:
        await _run(engine, lift(local) | lift(nameless), 3)
    except PipelineValidationError as error:
        if len(error.problems) == 2:  # noqa: PLR2004  (both)
            return
    raise broken(engine, "starts a run with stages that cannot travel")


async def check_interruption(engine: Engine, shared: Path) -> None:
    """Holds an engine to interrupting a body, if it says that it can, and to ending a call only after its body."""
    remote = [computes_marked] if engine.capabilities.remote else []
    for body in [waits_marked, *remote] if engine.capabilities.interrupts_running else []:
        marks = shared / str(uuid4())
        handle = Runner(engine=engine).start(body, str(marks))
        await _marked(engine, marks, handle)
        handle.cancel("enough")
        outcome = await ended(engine, handle)
        if marks_in(marks) != 2:  # noqa: PLR2004  (at its start and at its end)
            raise broken(engine, f'has ended a cancelled call ({outcome!r}) before the body of "{body.name}" has')
    if not isinstance(await _run(engine, double, 3), Completed):
        raise broken(engine, "does not go on after a body was interrupted")


async def check_losses(engine: Engine, shared: Path) -> None:
    """Holds an engine to surviving the loss of workers, if it says that it does and they are processes."""
    if not (engine.capabilities.survives_worker_loss and engine.capabilities.remote):
        return
    for body, starts, lost in (
        (killed_once, 2, False),
        (poison, 3, True),
        (poison_once, 1, True),
    ):
        marks = shared / str(uuid4())
        handle = Runner(engine=engine).start(body, str(marks))
        outcome = await ended(engine, handle)
        if isinstance(outcome, Failed) is not lost or (lost and not isinstance(_error(outcome), WorkerLostError)):
            raise broken(engine, f'makes of the loss of a worker, of "{body.name}", {outcome!r}')
        reported = outcome.report.stages[body.name].attempts
        if (marks_in(marks), reported) != (starts, starts):
            raise broken(engine, f'starts "{body.name}" {marks_in(marks)} times and reports {reported}, not {starts}')
    if not isinstance(await _run(engine, double, 3), Completed):
        raise broken(engine, "does not go on after workers were lost")


async def _run(engine: Engine, stage: Stage[int, object, StageError], value: int) -> Outcome:
    return await ended(engine, Runner(engine=engine).start(stage, value))


async def _marked(engine: Engine, marks: Path, handle: RunHandle[object, StageError]) -> None:
    """Waits until a body has begun, in whatever process."""
    for _ in range(int(PATIENCE / _MOMENT)):
        if marks_in(marks) or handle.done:
            return
        await asyncio.sleep(_MOMENT)
    raise broken(engine, f"does not start a body within {PATIENCE:g} s")


async def _unknown_target(engine: Engine) -> None:
    call = StageCall(
        run_id=_RUN,
        stage="nowhere",
        kind="work",
        attempt=1,
        target="stageflow.testing.deeds:nowhere",
        lifted=True,
        value=b"1",
        reads=(),
        started_at=datetime.now(UTC),
        elapsed=0.0,
        deadline=None,
        timeout=None,
        correlation=CorrelationIds(),
        carrier=(),
        placement=Placement(),
        configured=False,
    )
    expected, got = read(await LocalEngine().call(call), int), read(await engine.call(call), int)
    if got.escaped != expected.escaped or not isinstance(got.escaped, StageExecutionError):
        raise broken(engine, f"makes of a target that is not there {got!r}, and not {expected!r}")


def _error(outcome: Outcome) -> StageExecutionError | StageError | None:
    return outcome.error if isinstance(outcome, Failed) else None


def _value(outcome: Outcome, engine: Engine) -> object:
    if isinstance(outcome, Completed):
        return outcome.value
    raise broken(engine, f"does not run a plain stage: {outcome!r}")
