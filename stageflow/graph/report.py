"""The report of a run: how every stage went, in graph order, whatever finished first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import final
from uuid import UUID

from typing_extensions import override

from stageflow.core.output import StageOutput
from stageflow.core.record import StageResult
from stageflow.core.stage import StageKind, StageStatus
from stageflow.errors import StageError
from stageflow.graph.execution.ledger import NEVER, Ledger
from stageflow.graph.execution.outputs import StageOutputs
from stageflow.graph.names import stages_inside
from stageflow.graph.plan import Plan
from stageflow.ports import CorrelationIds

_NO_RIDER: StageOutput[None] = StageOutput(StageStatus.OK, None)


@final
class RunReport:
    """How a run went."""

    __slots__ = ("_correlation", "_duration_ms", "_ledger", "_outputs", "_run_id", "_stages", "_started_at")

    def __init__(
        self,
        run_id: UUID,
        correlation: CorrelationIds,
        started_at: datetime,
        duration_ms: float,
        stages: tuple[StageResult, ...] = (),
        outputs: StageOutputs | None = None,
        *,
        ledger: Ledger | None = None,
    ) -> None:
        self._run_id = run_id
        self._correlation = correlation
        self._started_at = started_at
        self._duration_ms = duration_ms
        self._ledger = ledger
        self._outputs = StageOutputs(ledger=ledger) if outputs is None else outputs
        self._stages: Mapping[str, StageResult] | None = None
        if ledger is None:
            self._stages = MappingProxyType({stage.name: stage for stage in stages})

    @property
    def run_id(self) -> UUID:
        """The run."""
        return self._run_id

    @property
    def correlation(self) -> CorrelationIds:
        """The ids that tie it to what caused it."""
        return self._correlation

    @property
    def started_at(self) -> datetime:
        """When it started, in UTC."""
        return self._started_at

    @property
    def duration_ms(self) -> float:
        """Milliseconds from its start to its end."""
        return self._duration_ms

    @property
    def stages(self) -> Mapping[str, StageResult]:
        """How each stage went, by its full name, in graph order; made when first asked for."""
        if self._stages is None:
            found = results(self._ledger) if self._ledger is not None else ()
            self._stages = MappingProxyType({stage.name: stage for stage in found})
        return self._stages

    @property
    def outputs(self) -> StageOutputs:
        """What the stages gave, by handle or name."""
        return self._outputs

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunReport) and (self.run_id, self.stages) == (other.run_id, other.stages)

    @override
    def __hash__(self) -> int:
        return hash(self.run_id)

    @override
    def __repr__(self) -> str:
        stages = ", ".join(f"{name}: {stage.status.value}" for name, stage in self.stages.items())
        return f"RunReport({stages})"

    @override
    def __reduce__(self) -> tuple[object, ...]:
        parts = (self.run_id, self.correlation, self.started_at, self.duration_ms)
        return (RunReport, (*parts, tuple(self.stages.values()), self._outputs))


def results(ledger: Ledger) -> Iterator[StageResult]:
    """How every stage of an execution went, with those inside others in their place."""
    unseen: list[tuple[Ledger, int] | list[StageResult]] = [(ledger, 0)]
    while unseen:
        part = unseen.pop()
        if isinstance(part, list):
            yield from part
            continue
        current, start = part
        for slot in range(start, len(current.states)):
            kind = current.kind(slot)
            if kind is not None:
                yield _result(current, slot, kind)
                continue
            unseen.append((current, slot + 1))
            unseen += reversed(_inside(current, slot))
            break


def _inside(ledger: Ledger, slot: int) -> list[tuple[Ledger, int] | list[StageResult]]:
    """What is inside a stage that only contains others, in graph order: what ran, and the stages of what did not."""
    plans = (ledger.plan,) if ledger.each else ledger.plan.inner.get(slot, ())
    ran = [(plan, ledger.children.get((slot, plan))) for plan in plans]
    return [_never_ran(ledger, slot, plan) if child is None else (child, 0) for plan, child in ran]


def _result(ledger: Ledger, slot: int, kind: StageKind) -> StageResult:
    status = ledger.states[slot] or StageStatus.CANCEL
    begun = ledger.begun[slot]
    note = ledger.notes.get(slot)
    rider = ledger.riders.get(slot, _NO_RIDER)
    own = isinstance(note, str) and ledger.scheduler.origin(slot) is None
    reason = (note if own and isinstance(note, str) else ledger.why(slot)) if status is not StageStatus.OK else ""
    return StageResult(
        name=ledger.name(slot),
        kind=kind,
        status=status,
        attempts=ledger.attempt(slot) - (begun == NEVER),
        started_at=None if begun == NEVER else ledger.run.timer.moment(begun),
        duration_ms=ledger.ended[slot] * 1000,
        reason=_cause(ledger, status, reason),
        error=note if isinstance(note, StageError) and status is StageStatus.FAIL else None,
        artifacts=rider.artifacts,
        events=rider.events,
        data=ledger.values[slot] if status is StageStatus.OK else None,
        tries=_tries(ledger, slot, kind) if ledger.tries else (),
    )


def _tries(ledger: Ledger, slot: int, kind: StageKind) -> tuple[StageResult, ...]:
    name, moment, tries = ledger.name(slot), ledger.run.timer.moment, (ledger.tries or {}).get(slot, ())
    return tuple(
        StageResult(
            name, kind, StageStatus.RETRY, number, moment(one.began), (one.ended - one.began) * 1000, error=one.error
        )
        for number, one in enumerate(tries, ledger.attempt(slot) - len(tries))
    )


def _cause(ledger: Ledger, status: StageStatus, reason: str) -> str:
    if status is StageStatus.CANCEL and not reason:
        return ledger.stopped_by() or "the run ended before it could start"
    return "" if status is StageStatus.FAIL else reason


def _never_ran(ledger: Ledger, slot: int, plan: Plan) -> list[StageResult]:
    """The stages of a plan that was not run, though the stage that contains it is settled."""
    chosen, state, note = (ledger.chosen or {}).get(slot), ledger.states[slot], ledger.notes.get(slot, "")
    stopped = chosen is None and state not in {StageStatus.OK, StageStatus.SKIP}
    status = StageStatus.CANCEL if stopped else StageStatus.SKIP
    reason = chosen or (str(note) if state is StageStatus.OK else ledger.why(slot))
    items = (*ledger.items, slot) if ledger.each else ledger.items
    return [
        StageResult(name=name, kind=kind, status=status, reason=_cause(ledger, status, reason))
        for name, kind in stages_inside(plan, items)
    ]
