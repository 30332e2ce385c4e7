"""The journal of one run: what the executor asks and tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, final
from uuid import UUID

from returns.result import Failure

from stageflow.core.output import cancel
from stageflow.durable.chart import Chart, path_of
from stageflow.durable.lease import HeldLease, owner
from stageflow.durable.means import Means
from stageflow.durable.memory import RunMemory
from stageflow.durable.records import of_failure, of_result, of_start
from stageflow.durable.writing import Writer
from stageflow.errors import StageError
from stageflow.graph.execution.ledger import NEVER, Ledger
from stageflow.graph.execution.run import Run
from stageflow.graph.scheduler import Scheduler, Topology
from stageflow.graph.shape import Given
from stageflow.journal import StageRecord
from stageflow.observability.propagation import carrier
from stageflow.ports import RunRecord

_HOW_IT_ENDED = ("error", "error_type", "reason")  # what is kept beside the status of a run that ended


@final
class RunJournal:
    """The journal of one run.

    Args:
        run: the run.
        chart: the places of its graph.
        means: what makes it durable.
        about: what is kept of it beside its id and status; of one that goes on, what was kept.
        held: of one that goes on, its lease; None of one that had completed, so that nothing is written.
        memory: of one that goes on, what is recorded.
    """

    __slots__ = ("_about", "_chart", "_means", "_memory", "_run", "_writer")

    def __init__(
        self,
        run: Run,
        chart: Chart,
        means: Means,
        about: Mapping[str, object],
        *,
        held: HeldLease | None = None,
        memory: RunMemory | None = None,
    ) -> None:
        self._run = run
        self._chart = chart
        self._means = means
        self._about = about
        self._memory = memory
        self._writer = Writer(means.store, held)

    @property
    def resumed(self) -> bool:
        """Whether the run goes on where another process left it."""
        return self._memory is not None

    @property
    def former_trace(self) -> str:
        """The trace of the process that had the run before, as a ``traceparent``; empty where there is none."""
        return str(self._about.get("traceparent", "")) if self.resumed else ""

    async def create_run(self, run_id: UUID, **metadata: object) -> RunRecord:  # noqa: ARG002  (it has its own)
        """Keeps a new run, or says that it runs again; its lease is renewed from then on."""
        store = self._means.store
        if self._memory is None:
            about = {"pipeline": self._run.pipeline, **self._about, **carrier()}
            lease = await store.begin(run_id, owner(), self._means.lease_seconds, **about)
            self._writer.held = HeldLease(store, lease, self._means.lease_seconds)
        elif self._writer.held is not None:
            ended = {name: None for name in _HOW_IT_ENDED if name in self._about}
            await store.update_status(run_id, "running", **ended, **carrier())
        if self._writer.held is not None:
            self._writer.held.keep(self._lose)
        started = self._run.timer.started_at
        return RunRecord(run_id, "running", self._about, started, started)

    async def update_status(self, run_id: UUID, status: str, **data: object) -> None:  # noqa: ARG002  (of the lease)
        """Keeps how the run ended, and gives the lease back. Raises what the store was lost by."""
        held = self._writer.held
        if held is None:
            return
        await self._writer.flush()
        await held.stop()
        if self._writer.lost is not None:
            raise self._writer.lost
        await self._means.store.end(held.lease, status, **data)

    async def get_run(self, run_id: UUID) -> RunRecord | None:
        """The run, as the store has it."""
        return await self._means.store.get_run(run_id)

    def close(self) -> None:
        """Renews the lease no more."""
        if self._writer.held is not None:
            self._writer.held.close()

    def scheduler(self, ledger: object, topology: Topology, /) -> Scheduler:
        """What says what may run next in an execution: what is recorded is settled, and does not run."""
        return Scheduler(topology) if self._memory is None else self._memory.scheduler(cast("Ledger", ledger), topology)

    async def kept(self, ledger: Ledger, slot: int, result: Given) -> Given:
        """The result of a stage, once it is recorded; a failure where it cannot be."""
        path = path_of(ledger, slot)
        if path is None or (isinstance(result, Failure) and self._is_cut_off(ledger, slot)):
            return result  # of one that must not run twice, that it was started stands: a resume asks
        found = of_result(self._means.codec, ledger, slot, self._chart.cell(ledger, slot), path, result)
        if isinstance(found, Failure):
            error = found.failure()
            self._run.defects.add(error)
            return await self.kept(ledger, slot, Failure(error))
        record = found.unwrap()
        lost = None if record is None else await self._writer.write(record)
        return result if lost is None else cancel(self._lose(lost))

    def _is_cut_off(self, ledger: Ledger, slot: int) -> bool:
        """Whether a stage that must not run twice was started, and nobody knows whether its effect happened."""
        once, name = self._run.once or {}, ledger.name(slot)
        return name in once and once[name] is None

    async def starting(self, ledger: object, slot: int, /) -> Given | None:
        """Records that a stage which must not run twice is about to run; what it is to give instead, where lost."""
        of = cast("Ledger", ledger)
        path = path_of(of, slot)
        lost = None if path is None else await self._writer.write(of_start(of, slot, path))
        return None if lost is None else cancel(self._lose(lost))

    def failed(self, ledger: object, slot: int, error: StageError | None, /) -> None:
        """Says that an attempt failed and that another follows."""
        of = cast("Ledger", ledger)
        path = path_of(of, slot)
        if path is not None:
            self._writer.write_later(of_failure(self._means.codec, of, slot, path, error))

    def again(self, former: object, /) -> None:
        """Says that an execution is tried again as a whole: what is recorded of the former does not count."""
        unseen = [cast("Ledger", former)]
        while unseen:
            ledger = unseen.pop()
            unseen += ledger.children.values()
            for slot in range(len(ledger.states)):
                path = path_of(ledger, slot)
                if path is None or ledger.begun[slot] == NEVER or self._chart.cell(ledger, slot).once:
                    continue
                if self._memory is not None:
                    self._memory.forget(path)
                self._writer.write_later(StageRecord(path, ledger.attempt(slot) + 1, "started"))

    def _lose(self, error: Exception) -> str:
        """Ends the run, since its store is lost; the reason for what is stopped."""
        reason = f"the run store was lost: {self._writer.lose(error)}"
        self._run.stop(reason)
        return reason
