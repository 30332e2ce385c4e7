"""What is to be seen of a run, on an engine or on none: what two runs of one graph are compared by."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias
from uuid import UUID

from stageflow.context.pipeline import PipelineContext
from stageflow.core.record import StageResult
from stageflow.errors import StageError
from stageflow.graph.execution.outputs import StageOutputs
from stageflow.graph.outcome import Completed, Failed, Outcome
from stageflow.pipeline.builder import Stage
from stageflow.placement import Engine
from stageflow.ports import CorrelationIds
from stageflow.running.handle import RunHandle
from stageflow.running.runner import Runner
from stageflow.testing.corpus import PORTS, Graph

PATIENCE: Final = 60.0  # seconds; workers may have to be started
_RUN: Final = UUID(int=7)
_IDS: Final = CorrelationIds(trace_id="4bf92f3577b34da6a3ce929d0e0e4736", extra={"tenant": "acme"})
_TIMES: Final = frozenset({"duration_ms", "made_at", "run_id"})

Told: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]


class EngineBrokenError(AssertionError):
    """An engine is not what a run counts on; the text says in what."""


@dataclass(frozen=True, slots=True)
class Seen:
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


async def seen(engine: Engine | None, graph: Graph) -> Seen:
    """What is to be seen of a run of a graph, on an engine or on none."""
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
    outcome = await ended(engine, sink.handle)
    return Seen(
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
    timeless = replace(_timeless(result), artifacts=(), events=())
    return f"{timeless!r} {artifacts} {events} {result.started_at is not None}"


def _timeless(result: StageResult) -> StageResult:
    return replace(result, started_at=None, duration_ms=0.0, tries=tuple(map(_timeless, result.tries)))


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


async def ended(engine: Engine | None, handle: RunHandle[object, StageError]) -> Outcome:
    """What a run comes to; not waited for for ever."""

    async def awaited() -> Outcome:
        return await handle

    try:
        return await asyncio.wait_for(awaited(), PATIENCE)
    except TimeoutError as error:
        raise broken(engine, f"does not end a run within {PATIENCE:g} s") from error


def broken(engine: Engine | None, what: str) -> EngineBrokenError:
    """The error that says in what an engine does not hold."""
    return EngineBrokenError(f"The engine {engine!r} {what}.")
