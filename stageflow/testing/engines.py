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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from stageflow.context.pipeline import PipelineContext
from stageflow.core.record import StageResult
from stageflow.engines import LocalEngine
from stageflow.engines.answers import read
from stageflow.errors import PipelineValidationError, StageError, StageExecutionError, WorkerLostError
from stageflow.graph.outcome import Completed, Failed, Outcome
from stageflow.graph.outputs import StageOutputs
from stageflow.pipeline.builder import Stage
from stageflow.pipeline.functions import lift
from stageflow.ports import CorrelationIds, Engine, Placement, StageCall
from stageflow.running.handle import RunHandle
from stageflow.running.runner import Runner
from stageflow.testing import misdeeds
from stageflow.testing.corpus import GRAPHS, PORTS, Graph, double, increment

_PATIENCE: Final = 60.0  # seconds; workers may have to be started
_MOMENT: Final = 0.02
_RUN: Final = UUID(int=7)
_IDS: Final = CorrelationIds(trace_id="4bf92f3577b34da6a3ce929d0e0e4736", extra={"tenant": "acme"})
_TIMES: Final = frozenset({"duration_ms", "run_id"})

Told = tuple[str, tuple[tuple[str, str], ...]]


class EngineBrokenError(AssertionError):
    """An engine is not what a run counts on; the text says in what."""


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
    expected, got = await _seen(None, graph), await _seen(engine, graph)
    if got.outcome != expected.outcome:
        raise _broken(engine, f'gives "{name}" the outcome {got.outcome}, and without it that is {expected.outcome}')
    if got.stages != expected.stages:
        raise _broken(engine, f'reports of "{name}"\n{got.stages}\nand without it\n{expected.stages}')
    if got.each != expected.each:
        raise _broken(engine, f'tells of "{name}"\n{got.each}\nand without it\n{expected.each}')
    if got.ends != expected.ends:
        raise _broken(engine, f'begins and ends what it tells of "{name}" with {got.ends}, and not {expected.ends}')
    for earlier, later in expected.before - got.before:
        raise _broken(engine, f'tells of "{name}" {later} before {earlier}, which causes it')


async def check_errors(engine: Engine) -> None:
    """Holds an engine to what may go wrong in a stage or on a worker: the same failure as on `LocalEngine`."""
    wrong: Mapping[str, Stage[int, object, StageError]] = {
        "a stage that exits": misdeeds.exits,
        "an output of another type": double | misdeeds.ill_typed,
        "an undeclared read": double | increment | misdeeds.reads_undeclared,
        "an undeclared port": misdeeds.asks_for_port,
    }
    for name, stage in wrong.items():
        expected, got = await _run(LocalEngine(), stage, 3), await _run(engine, stage, 3)
        if not isinstance(got, Failed) or got.error != _error(expected):
            raise _broken(engine, f"makes of {name} {got!r}, and not {expected!r}")
        if got.error.__cause__ is None:
            raise _broken(engine, f"loses what caused the defect of {name}")
    await _unknown_target(engine)


async def check_travelling(engine: Engine) -> None:
    """Holds an engine to running bodies where it says that it does, and a run to refusing what cannot go there."""
    there = _value(await _run(engine, misdeeds.process, 0), engine)
    if engine.capabilities.remote is (there == os.getpid()):
        raise _broken(engine, f"says remote={engine.capabilities.remote}, and runs a body in process {there}")

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
    raise _broken(engine, "starts a run with stages that cannot travel")


async def check_interruption(engine: Engine, shared: Path) -> None:
    """Holds an engine to interrupting a body, if it says that it can, and to ending a call only after its body."""
    remote = [misdeeds.computes_marked] if engine.capabilities.remote else []
    for body in [misdeeds.waits_marked, *remote] if engine.capabilities.interrupts_running else []:
        marks = shared / str(uuid4())
        handle = Runner(engine=engine).start(body, str(marks))
        await _marked(engine, marks, handle)
        handle.cancel("enough")
        outcome = await _ended(engine, handle)
        if misdeeds.marks_in(marks) != 2:  # noqa: PLR2004  (at its start and at its end)
            raise _broken(engine, f'has ended a cancelled call ({outcome!r}) before the body of "{body.name}" has')
    if not isinstance(await _run(engine, double, 3), Completed):
        raise _broken(engine, "does not go on after a body was interrupted")


async def check_losses(engine: Engine, shared: Path) -> None:
    """Holds an engine to surviving the loss of workers, if it says that it does and they are processes."""
    if not (engine.capabilities.survives_worker_loss and engine.capabilities.remote):
        return
    for body, starts, lost in (
        (misdeeds.killed_once, 2, False),
        (misdeeds.poison, 3, True),
        (misdeeds.poison_once, 1, True),
    ):
        marks = shared / str(uuid4())
        handle = Runner(engine=engine).start(body, str(marks))
        outcome = await _ended(engine, handle)
        if isinstance(outcome, Failed) is not lost or (lost and not isinstance(_error(outcome), WorkerLostError)):
            raise _broken(engine, f'makes of the loss of a worker, of "{body.name}", {outcome!r}')
        reported = outcome.report.stages[body.name].attempts
        if (misdeeds.marks_in(marks), reported) != (starts, starts):
            raise _broken(
                engine, f'starts "{body.name}" {misdeeds.marks_in(marks)} times and reports {reported}, not {starts}'
            )
    if not isinstance(await _run(engine, double, 3), Completed):
        raise _broken(engine, "does not go on after workers were lost")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is to be seen of a run, but for what differs between two runs.

    Attributes:
        outcome: what came out.
        stages: the report, in graph order.
        each: by what they are of, the run or a stage, the events in order.
        before: pairs of events of which one causes the other: the end of a stage, and the start of what follows it.
        ends: the first event and the last.
    """

    outcome: str
    stages: str
    each: Mapping[str, Sequence[Told]]
    before: frozenset[tuple[str, str]]
    ends: tuple[str, str]


class _Telling:
    """A sink that remembers, and cancels a run at an event."""

    def __init__(self, at: str) -> None:
        self.told: list[tuple[str, Mapping[str, object]]] = []
        self._at = at
        self.handle: RunHandle[object, StageError] | None = None

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.told.append((type, data or {}))
        if self.handle is not None and type == self._at:
            asyncio.get_running_loop().call_soon(self.handle.cancel, "enough")

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.try_emit(type=type, data=data)


async def _seen(engine: Engine | None, graph: Graph) -> _Seen:
    sink = _Telling(graph.stops)
    runner = Runner(
        engine=engine,
        sink=sink,
        on_failure="finish" if graph.finish else "cancel",
        deadline=graph.deadline,
        ports=PORTS,
    )
    context = PipelineContext(run_id=_RUN, correlation=_IDS)
    sink.handle = runner.start(graph.pipeline, graph.value, context=context)
    outcome = await _ended(engine, sink.handle)
    return _Seen(
        _shown(outcome),
        "\n".join(map(_stage, outcome.report.stages.values())),
        _by_subject(sink.told),
        _causes(sink.told, graph.pipeline),
        (sink.told[0][0], sink.told[-1][0]),
    )


def _shown(outcome: Outcome) -> str:
    match outcome:
        case Completed(value):
            return f"Completed {dict(_outputs(outcome, value)) if isinstance(value, StageOutputs) else value!r}"
        case Failed(error):
            notes = [getattr(one, "__notes__", []) for one in outcome.errors]
            return f"Failed {error!r} {outcome.errors!r} {notes}"
        case other:
            return f"{type(other).__name__} {other.reason!r}"


def _outputs(outcome: Outcome, value: StageOutputs) -> list[tuple[str, object]]:
    return [(name, value[name]) for name in outcome.report.stages]


def _stage(result: StageResult) -> str:
    artifacts = [(one.type, one.payload) for one in result.artifacts]
    events = [(one.type, dict(one.data)) for one in result.events]
    timeless = replace(result, started_at=None, duration_ms=0.0, artifacts=(), events=())
    return f"{timeless!r} {artifacts} {events} {result.started_at is not None}"


def _by_subject(told: Sequence[tuple[str, Mapping[str, object]]]) -> Mapping[str, Sequence[Told]]:
    found: dict[str, list[Told]] = {}
    for type, data in told:
        kept = tuple(sorted((key, repr(value)) for key, value in data.items() if key not in _TIMES))
        found.setdefault(str(data.get("stage", "")), []).append((type, kept))
    return found


def _causes(
    told: Sequence[tuple[str, Mapping[str, object]]], pipeline: Stage[int, object, StageError]
) -> frozenset[tuple[str, str]]:
    """The pairs of events of which the first came first, of those where it must: as the graph has it."""
    at = {type: place for place, (type, _) in reversed(tuple(enumerate(told)))}
    pairs: set[tuple[str, str]] = set()
    for plan in pipeline.graph().atlas.plans:
        for slot, parents in enumerate(plan.topology.parents):
            for parent in parents:
                ended, started = f"stage.{plan.names[parent]}.completed", f"stage.{plan.names[slot]}.started"
                if ended in at and started in at and at[ended] < at[started]:
                    pairs.add((ended, started))
    return frozenset(pairs)


async def _run(engine: Engine, stage: Stage[int, object, StageError], value: int) -> Outcome:
    return await _ended(engine, Runner(engine=engine).start(stage, value))


async def _ended(engine: Engine | None, handle: RunHandle[object, StageError]) -> Outcome:
    async def awaited() -> Outcome:
        return await handle

    try:
        return await asyncio.wait_for(awaited(), _PATIENCE)
    except TimeoutError as error:
        raise _broken(engine, f"does not end a run within {_PATIENCE:g} s") from error


async def _marked(engine: Engine, marks: Path, handle: RunHandle[object, StageError]) -> None:
    """Waits until a body has begun, in whatever process."""
    for _ in range(int(_PATIENCE / _MOMENT)):
        if misdeeds.marks_in(marks) or handle.done:
            return
        await asyncio.sleep(_MOMENT)
    raise _broken(engine, f"does not start a body within {_PATIENCE:g} s")


async def _unknown_target(engine: Engine) -> None:
    call = StageCall(
        run_id=_RUN,
        stage="nowhere",
        kind="work",
        attempt=1,
        target="stageflow.testing.corpus:nowhere",
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
        raise _broken(engine, f"makes of a target that is not there {got!r}, and not {expected!r}")


def _error(outcome: Outcome) -> StageExecutionError | StageError | None:
    return outcome.error if isinstance(outcome, Failed) else None


def _value(outcome: Outcome, engine: Engine) -> object:
    if isinstance(outcome, Completed):
        return outcome.value
    raise _broken(engine, f"does not run a plain stage: {outcome!r}")


def _broken(engine: Engine | None, what: str) -> EngineBrokenError:
    return EngineBrokenError(f"The engine {engine!r} {what}.")
