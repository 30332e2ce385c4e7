"""Schedulers that know what is recorded: it is settled when its turn comes, and does not run."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol, cast

from returns.result import Failure, Success
from typing_extensions import override

from stageflow.core.output import StageOutput
from stageflow.core.stage import StageStatus
from stageflow.durable.values import ABSENT, Recalled
from stageflow.errors import StageError
from stageflow.graph.execution.inputs import RunInputs
from stageflow.graph.execution.ledger import NEVER, Ledger
from stageflow.graph.execution.pool import within
from stageflow.graph.scheduler import Scheduler, Topology
from stageflow.graph.shape import Given


class Memory(Protocol):
    """What is recorded of a run."""

    def recall(self, ledger: Ledger, slot: int, /) -> Recalled | None:
        """What is recorded of a stage whose turn has come; given once, and None where it is to run."""
        ...

    def rebuilt(self, ledger: Ledger, slot: int, /) -> Given | None:
        """What is inside a stage that only contains others, made of the records alone; None where it cannot be."""
        ...


class Replaying(Scheduler):
    """Gives out what is not recorded. What is recorded is settled with all that it brings, and nobody is told."""

    __slots__ = ("_ledger", "_memory")

    def __init__(self, topology: Topology, ledger: Ledger, memory: Memory) -> None:
        super().__init__(topology)
        self._ledger = ledger
        self._memory = memory

    @override
    def start(self) -> Sequence[int]:
        return self._replayed(super().start())

    @override
    def finished(self, stage: int, status: StageStatus) -> list[int]:
        ready = super().finished(stage, status)
        return self._replayed(ready) if ready else ready

    def _replayed(self, ready: Sequence[int]) -> list[int]:
        fresh: list[int] = []
        unseen = deque(ready)
        while unseen:
            slot = unseen.popleft()
            recalled = self._memory.recall(self._ledger, slot)
            if recalled is None or recalled.status is None:
                fresh.append(slot)
                continue
            if self._ledger.kind(slot) is None:
                self._memory.rebuilt(self._ledger, slot)
            refill(self._ledger, slot, recalled)
            told = len(self._settled)
            unseen.extend(super().finished(slot, recalled.status))
            del self._settled[told:]  # what is skipped with it was told of when it was
        return fresh


class Sealed(Replaying):
    """Settles all that is recorded, failures too, and gives nothing out: what was handled or hidden further out."""

    __slots__ = ()

    @override
    def start(self) -> Sequence[int]:
        for slot in range(len(self.states)):
            if self.states[slot] is None and not self._waiting[slot] and slot not in self.spoiled:
                self._seal(slot)
        failed = next((slot for slot, state in enumerate(self.states) if state is StageStatus.FAIL), None)
        if failed is not None:  # what was cut off beside it
            self._ledger.stop(self._ledger.why(failed))
        self.close()
        return ()

    def _seal(self, slot: int) -> None:
        ledger = self._ledger
        recalled = self._memory.recall(ledger, slot)
        inside = self._memory.rebuilt(ledger, slot) if ledger.kind(slot) is None else None
        if recalled is not None and recalled.status is not None:
            refill(ledger, slot, recalled)
            Scheduler.finished(self, slot, recalled.status)
        elif inside is not None:
            Scheduler.finished(self, slot, _kept(ledger, slot, inside))


def refill(ledger: Ledger, slot: int, recalled: Recalled) -> None:
    """Puts what was recorded of a stage into the ledger."""
    record = recalled.record
    if record.started_at is not None:
        ledger.begun[slot] = ledger.run.timer.reading(record.started_at)
    ledger.ended[slot] = record.duration_ms / 1000
    if record.attempt > 1:
        ledger.attempts[slot] = record.attempt - 1
    if recalled.status is StageStatus.OK:
        ledger.values[slot] = recalled.value
    else:
        ledger.notes[slot] = recalled.note
    if recalled.inside is not ABSENT:
        ledger.inside[slot] = recalled.inside


def rebuilt(ledger: Ledger, slot: int) -> Given | None:
    """Runs what is inside a stage that only contains others, where nothing of it is given out: so it does not wait."""
    result = _rebuilt(ledger, slot)
    for (at, plan), child in tuple(ledger.children.items()):
        if at == slot and not child.children and all(begun == NEVER for begun in child.begun):
            del ledger.children[at, plan]  # nothing in it ever ran
    return result


def _rebuilt(ledger: Ledger, slot: int) -> Given | None:
    source = slot if ledger.each else ledger.nodes[slot][1]
    value = tuple([ledger.values[one] for one in source]) if isinstance(source, tuple) else ledger.values[source]
    if not ledger.each and slot not in ledger.plan.cores:  # a tuple of branches
        return Success(StageOutput.ok(value))
    call = within(ledger.plan) if ledger.each else ledger.core(slot)
    try:
        next(call(RunInputs.of(value, ledger, slot)).__await__())
    except StopIteration as stop:
        return cast("Given", stop.value)
    except Exception:  # noqa: BLE001  (a value that it cannot go through: then nothing inside it ran)
        return None
    raise AssertionError("Nothing inside is given out, so there is nothing to wait for.")


def _kept(ledger: Ledger, slot: int, result: Given) -> StageStatus:
    """How what only contains others went, by what is inside it."""
    inside = [child for (at, _), child in ledger.children.items() if at == slot]
    failed = [note for child in inside for note in child.notes.values() if isinstance(note, StageError)]
    if failed or isinstance(result, Failure):
        ledger.notes[slot] = failed[0] if failed else result.failure()
        return StageStatus.FAIL
    output = result.unwrap()
    if output.status is StageStatus.OK:
        ledger.values[slot] = output.data
    else:
        ledger.notes[slot] = output.reason
    return output.status
