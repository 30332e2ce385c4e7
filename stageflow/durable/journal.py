"""The journal of one run: what the executor asks and tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast, final
from uuid import UUID

from returns.result import Failure, Success

from stageflow.codec.plan import named
from stageflow.core.output import StageOutput, cancel
from stageflow.core.stage import StageStatus
from stageflow.durable.chart import Cell, Chart, path_of
from stageflow.durable.lease import HeldLease, owner
from stageflow.durable.replaying import Replaying, Sealed, rebuilt
from stageflow.durable.values import ABSENT, Encoded, Recalled, came_from, encoded
from stageflow.durable.writing import Writer
from stageflow.errors import CodecError, ResumeError, StageError
from stageflow.graph.ledger import NEVER, Ledger
from stageflow.graph.run import Run
from stageflow.graph.scheduler import Scheduler, Topology
from stageflow.graph.shape import Given
from stageflow.observability.propagation import carrier
from stageflow.ports import DurableStore, RunRecord, StageRecord
from stageflow.running.durability import ValueCodec


@final
class RunJournal:
    """The journal of one run.

    Args:
        run: the run.
        chart: the places of its graph.
        codec: what encodes what stages give.
        store: where it is kept.
        lease_seconds: how long the lease lasts.
        about: what is kept of a new run beside its id; None of one that goes on.
        former: what was kept of a run that goes on.
        recorded: of a run that goes on, what is recorded, by path.
        over: whether the run had completed: then nothing runs and nothing is written.
    """

    __slots__ = (
        "_about",
        "_chart",
        "_codec",
        "_former",
        "_over",
        "_recorded",
        "_run",
        "_sealing",
        "_seconds",
        "_store",
        "_writer",
    )  # fmt: skip

    def __init__(
        self,
        run: Run,
        chart: Chart,
        codec: ValueCodec,
        store: DurableStore,
        lease_seconds: float,
        *,
        about: Mapping[str, object] | None = None,
        former: Mapping[str, object] | None = None,
        recorded: dict[str, Recalled] | None = None,
        over: bool = False,
    ) -> None:
        self._run = run
        self._chart = chart
        self._codec = codec
        self._store = store
        self._seconds = lease_seconds
        self._about = about
        self._former: Mapping[str, object] = {} if former is None else former
        self._recorded = {} if recorded is None else recorded
        self._over = over
        self._sealing = 0
        self._writer = Writer(store)

    @property
    def resumed(self) -> bool:
        """Whether the run goes on where another process left it."""
        return self._about is None

    @property
    def former_trace(self) -> str:
        """The trace of the process that had the run before, as a ``traceparent``; empty where there is none."""
        return str(self._former.get("traceparent", ""))

    @property
    def chart(self) -> Chart:
        """The places of the graph."""
        return self._chart

    @property
    def held(self) -> HeldLease | None:
        """The lease, while this process has it."""
        return self._writer.held

    def lose(self, error: Exception) -> str:
        """Ends the run, since its store is lost; the reason for what is stopped."""
        reason = f"the run store was lost: {self._writer.lose(error)}"
        self._run.stop(reason)
        return reason

    async def create_run(self, run_id: UUID, **metadata: object) -> RunRecord:  # noqa: ARG002  (it has its own)
        """Keeps a new run, or says that it runs again; with the lease, which is renewed from then on."""
        if self._over:
            return await self._kept(run_id)
        if self._about is not None:
            about = {"pipeline": self._run.pipeline, **self._about, **carrier()}
            lease = await self._store.begin(run_id, owner(), self._seconds, **about)
            self._writer.held = HeldLease(self._store, lease, self._seconds)
        else:
            ended = {name: None for name in ("error", "error_type", "reason") if name in self._former}
            await self._store.update_status(run_id, "running", **ended, **carrier())
        if self._writer.held is not None:
            self._writer.held.keep(self.lose)
        return await self._kept(run_id)

    async def update_status(self, run_id: UUID, status: str, **data: object) -> None:  # noqa: ARG002  (of the lease)
        """Keeps how the run ended, and gives the lease back. Raises what the store was lost by."""
        held = self._writer.held
        if self._over or held is None:
            return
        await self._writer.flush()
        await held.stop()
        if self._writer.lost is not None:
            raise self._writer.lost
        await self._store.end(held.lease, status, **data)

    async def get_run(self, run_id: UUID) -> RunRecord | None:
        """The run, as the store has it."""
        return await self._store.get_run(run_id)

    def close(self) -> None:
        """Renews the lease no more."""
        if self._writer.held is not None:
            self._writer.held.close()

    async def _kept(self, run_id: UUID) -> RunRecord:
        record = await self._store.get_run(run_id)
        if record is None:
            raise ResumeError(f"Run {run_id} is gone from its store.")
        return record

    def scheduler(self, ledger: object, topology: Topology, /) -> Scheduler:
        """What says what may run next in an execution."""
        if not (self._recorded or self._over):
            return Scheduler(topology)
        return (Sealed if self._sealing else Replaying)(topology, cast("Ledger", ledger), self)

    def recall(self, ledger: Ledger, slot: int, /) -> Recalled | None:
        """What is recorded of a stage whose turn has come; None where it is to run."""
        path = path_of(ledger, slot)
        found = None if path is None else self._recorded.pop(path, None)
        if found is not None and (found.reused or self._sealing):
            return found
        if self._over and ledger.kind(slot) is not None and not self._sealing:
            raise ResumeError(
                f'Run {self._run.run_id} completed, but its journal has "{ledger.name(slot)}" no more: it was pruned, '
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

    async def kept(self, ledger: Ledger, slot: int, result: Given) -> Given:
        """The result of a stage, once it is recorded; a failure where it cannot be."""
        cell, path = self._chart.cell(ledger, slot), path_of(ledger, slot)
        record = None if path is None else self._record(ledger, slot, cell, path, result)
        if record is None:
            return result
        if isinstance(record, CodecError):
            self._run.defects.add(record)
            return await self.kept(ledger, slot, Failure(record))
        lost = await self._writer.write(record)
        return result if lost is None else cancel(self.lose(lost))

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
                self._recorded.pop(path, None)
                self._writer.write_later(StageRecord(path, ledger.attempt(slot) + 1, "started"))

    def failed(self, ledger: object, slot: int, error: StageError | None, /) -> None:
        """Says that an attempt failed and that another follows."""
        of = cast("Ledger", ledger)
        path = path_of(of, slot)
        if path is not None:
            self._writer.write_later(self._failure(of, slot, path, error))

    async def starting(self, ledger: object, slot: int, /) -> Given | None:
        """Records that a stage which must not run twice is about to run."""
        of = cast("Ledger", ledger)
        path = path_of(of, slot)
        if path is None:
            return None
        begun = of.run.timer.moment(of.begun[slot])
        lost = await self._writer.write(StageRecord(path, of.attempt(slot), "started", started_at=begun))
        return None if lost is None else cancel(self.lose(lost))

    async def decide(self, record: StageRecord) -> None:
        """Records what was decided of a stage. Raises what the store was lost by."""
        lost = await self._writer.write(record)
        if lost is not None:
            raise lost

    def holding(self, held: HeldLease) -> None:
        """Writes under this lease from now on."""
        self._writer.held = held

    def _record(
        self, ledger: Ledger, slot: int, cell: Cell, path: str, result: Given
    ) -> StageRecord | CodecError | None:
        output: object = result.unwrap() if isinstance(result, Success) else None
        if not isinstance(output, StageOutput):
            error: object = result.failure() if isinstance(result, Failure) else None
            known = isinstance(error, StageError) and not cell.contains
            return self._failure(ledger, slot, path, error) if known and isinstance(error, StageError) else None
        if output.status is not StageStatus.OK:
            if cell.contains and output.status is StageStatus.CANCEL:
                return None
            return self._made(ledger, slot, path, output.status.value, reason=output.reason)
        inside = ledger.inside.get(slot, ABSENT)
        value = output.data
        if cell.contains and (cell.absorber is None or came_from(inside, value)):
            return None  # it comes again of what is inside
        kept = encoded(self._codec, cell, value, ABSENT if cell.contains else inside)
        if isinstance(kept, Failure):
            return _named(kept.failure(), cell.label)
        return self._encoded(ledger, slot, path, cell, kept.unwrap())

    def _failure(self, ledger: Ledger, slot: int, path: str, error: StageError | None) -> StageRecord:
        payload = None if error is None else self._codec.encode_failure(error).value_or(None)
        return self._made(ledger, slot, path, "fail", payload=payload, reason=str(error or ""))

    def _encoded(self, ledger: Ledger, slot: int, path: str, cell: Cell, kept: Encoded) -> StageRecord:
        same = kept.type is cell.type
        return self._made(
            ledger,
            slot,
            path,
            "ok",
            payload=kept.payload,
            inside=kept.inside,
            type=cell.text if same else named(kept.type),
            schema_hash=cell.schema_hash if same else self._codec.schema_hash(kept.type),
        )

    def _made(  # noqa: PLR0913  (the fields of a record)
        self,
        ledger: Ledger,
        slot: int,
        path: str,
        status: str,
        *,
        payload: bytes | None = None,
        inside: bytes | None = None,
        type: str = "",
        schema_hash: str = "",
        reason: str = "",
    ) -> StageRecord:
        timer, begun = ledger.run.timer, ledger.begun[slot]
        codec = "" if payload is None and inside is None else self._codec.name
        took = (timer.clock() - begun) * 1000
        moment = timer.moment(begun)
        return StageRecord(
            path, ledger.attempt(slot), status, codec, type, schema_hash, payload, inside, reason, moment, took
        )


def _named(error: CodecError, stage: str) -> CodecError:
    """The same defect, with the name of the stage that it came of."""
    made = CodecError(f'What stage "{stage}" gave cannot be recorded. {error}', stage=stage)
    made.__cause__ = error
    return made
