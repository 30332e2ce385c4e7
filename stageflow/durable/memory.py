"""What is recorded of a run that goes on, handed out stage by stage when its turn comes."""

from __future__ import annotations

from typing import final

from stageflow.durable.chart import path_of
from stageflow.durable.replaying import Replaying, Sealed, rebuilt
from stageflow.durable.values import Recalled
from stageflow.errors import ResumeError
from stageflow.graph.execution.ledger import Ledger
from stageflow.graph.scheduler import Scheduler, Topology
from stageflow.graph.shape import Given


@final
class RunMemory:
    """What is recorded of a run; each record is handed out once, so that what is tried again as a whole runs again.

    Only what a stage gave that must not run twice stands for the rest of the run.

    Args:
        recorded: what is recorded, by path.
        lasting: the paths of the stages that must not run twice.
        over: whether the run had completed, so that nothing is to run.
    """

    __slots__ = ("_lasting", "_over", "_recorded", "_sealing")

    def __init__(self, recorded: dict[str, Recalled], lasting: frozenset[str], *, over: bool) -> None:
        self._recorded = recorded
        self._lasting = lasting
        self._over = over
        self._sealing = 0

    def scheduler(self, ledger: Ledger, topology: Topology) -> Scheduler:
        """What says what may run next in an execution."""
        if not (self._recorded or self._over or self._sealing):
            return Scheduler(topology)
        return (Sealed if self._sealing else Replaying)(topology, ledger, self)

    def recall(self, ledger: Ledger, slot: int, /) -> Recalled | None:
        """What is recorded of a stage whose turn has come; None where it is to run."""
        path = path_of(ledger, slot)
        found = None if path is None else self._recorded.pop(path, None)
        if found is not None and (found.reused or self._sealing):
            if path in self._lasting:
                self._recorded[path] = found
            return found
        if self._over and ledger.kind(slot) is not None and not self._sealing:
            raise ResumeError(
                f'Run {ledger.run.run_id} completed, but its journal has "{ledger.name(slot)}" no more: it was pruned, '
                "or damaged, and the outcome cannot be given again. Run the pipeline anew."
            )
        if found is not None and found.tried:
            ledger.attempts[slot] = found.tried
        return None

    def rebuilt(self, ledger: Ledger, slot: int, /) -> Given | None:
        """What is inside a stage that only contains others, made of the records alone."""
        self._sealing += 1
        try:
            return rebuilt(ledger, slot)
        finally:
            self._sealing -= 1

    def forget(self, path: str) -> None:
        """Drops what is recorded under a path."""
        self._recorded.pop(path, None)
