"""What makes the runs of a runner durable: each new run gets a journal, and a run that goes on gets its own back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast, final
from uuid import UUID

from returns.result import Failure

from stageflow.codec import Codec
from stageflow.durable.chart import Chart
from stageflow.durable.deciding import decided
from stageflow.durable.description import Description
from stageflow.durable.journal import RunJournal
from stageflow.durable.lease import HeldLease
from stageflow.durable.means import Means
from stageflow.durable.memory import RunMemory
from stageflow.durable.recording import Recording
from stageflow.durable.values import Recalled, recalled
from stageflow.errors import CodecError, GraphChangedError, ResumeError
from stageflow.graph.execution.run import Run
from stageflow.graph.execution.seams import Wrapping
from stageflow.graph.executor import AnyGraph
from stageflow.journal import DurableStore
from stageflow.ports import CorrelationIds, RunRecord
from stageflow.running.decision import Decision
from stageflow.running.durability import Reopened, ValueCodec

OVER = frozenset({"completed", "skipped"})


@final
class JournaledRuns:
    """What makes the runs of a runner durable.

    Args:
        store: where they are kept.
        codec: what encodes what stages give; `Codec` without hooks where None.
        lease_seconds: how long a run stays this process's own after it was last heard of.
    """

    __slots__ = ("_means",)

    def __init__(self, store: DurableStore, codec: ValueCodec | None, lease_seconds: float, /) -> None:
        self._means = Means(store, Codec() if codec is None else codec, lease_seconds)

    def recording(self, graph: AnyGraph, around: Wrapping | None, /) -> Wrapping:
        """A recorder around every stage of a graph, outside of the runner's interceptors."""
        chart = Chart.of(graph, self._means.codec)
        return Recording(chart, Description.of(chart, self._means.codec), around)

    def begin(self, run: Run, graph: AnyGraph, value: object, /) -> None:
        """Gives a new run its journal."""
        recording = _recording(run)
        data = self._means.codec.encode(value, recording.chart.input)
        if isinstance(data, Failure):
            error = data.failure()
            raise CodecError(f'The input of "{graph.name}" cannot be recorded. {error}') from error
        about = {
            "input": data.unwrap(),
            "graph": recording.description.text,
            "graph_fingerprint": recording.description.fingerprint,
            "correlation": _ids(run.correlation),
        }
        run.journal = RunJournal(run, recording.chart, self._means, about)

    async def found(self, run_id: UUID, /) -> CorrelationIds:
        """The correlation of a run that was recorded."""
        return _correlation((await self._record(run_id)).metadata)

    async def reopen(self, run: Run, graph: AnyGraph, decisions: Iterable[Decision], /) -> Reopened:
        """Gives a run that goes on its journal, with the lease of it."""
        chart = _recording(run).chart
        record = await self._record(run.run_id)
        _check_unchanged(record, graph, _recording(run).description)
        value = self._input(record, chart)
        if record.status in OVER:
            return await self._over(run, record, value)
        held = await HeldLease.acquired(self._means.store, run.run_id, self._means.lease_seconds)
        try:
            record = await self._record(run.run_id)
            if record.status in OVER:  # whoever had it has just ended it
                await held.release()
                return await self._over(run, record, value)
            recorded = await self._recorded(run, chart)
            await decided(self._means, held, chart, recorded, tuple(decisions))
        except BaseException:
            await held.release()
            raise
        memory = _memory(chart, recorded, over=False)
        run.journal = RunJournal(run, chart, self._means, record.metadata, held=held, memory=memory)
        return Reopened(value, over=False)

    async def _over(self, run: Run, record: RunRecord, value: object) -> Reopened:
        chart = _recording(run).chart
        memory = _memory(chart, await self._recorded(run, chart), over=True)
        run.journal = RunJournal(run, chart, self._means, record.metadata, memory=memory)
        run.teller = None
        return Reopened(value, over=True)

    def _input(self, record: RunRecord, chart: Chart) -> object:
        value = self._means.codec.decode(cast("bytes", record.metadata["input"]), chart.input)
        if isinstance(value, Failure):
            raise CodecError(f"The input of run {record.run_id} is damaged. {value.failure()}") from value.failure()
        return value.unwrap()

    async def _record(self, run_id: UUID) -> RunRecord:
        store = self._means.store
        record = await store.get_run(run_id)
        if record is None:
            raise ResumeError(f"There is no run {run_id} in {store!r}: it was pruned, or is kept elsewhere.")
        if not isinstance(record.metadata.get("input"), bytes) or not isinstance(record.metadata.get("graph"), str):
            raise ResumeError(f"Run {run_id} was not journaled: the runner that ran it had no durable store.")
        return record

    async def _recorded(self, run: Run, chart: Chart) -> dict[str, Recalled]:
        """What is recorded of a run, by path: read once."""
        found: dict[str, Recalled] = {}
        for record in await self._means.store.load(run.run_id):
            cell = chart.found(record.path)
            if cell is None:
                raise CodecError(f'Run {run.run_id} has a record of "{record.path}", which is not in its graph.')
            result = recalled(self._means.codec, cell, record)
            if isinstance(result, Failure):
                error = result.failure()
                raise CodecError(f'The record of "{record.path}" in run {run.run_id} is damaged. {error}') from error
            found[record.path] = result.unwrap()
        return found


def _recording(run: Run) -> Recording:
    if not isinstance(run.around, Recording):
        raise TypeError(f"A durable run is recorded by a Recording, and this one has {run.around!r}.")
    return run.around


def _memory(chart: Chart, recorded: dict[str, Recalled], *, over: bool) -> RunMemory:
    once = [path for path in recorded if (cell := chart.found(path)) is not None and cell.once]
    return RunMemory(recorded, frozenset(once), over=over)


def _check_unchanged(record: RunRecord, graph: AnyGraph, now: Description) -> None:
    if record.metadata.get("graph_fingerprint") == now.fingerprint:
        return
    was = Description(str(record.metadata["graph"]))
    raise GraphChangedError(
        f'Run {record.run_id} was started with another "{graph.name}" than this. Resume it with the code that started '
        "it, or run the new pipeline anew. What changed:",
        was.changes(now),
    )


def _ids(correlation: CorrelationIds) -> Mapping[str, object]:
    ids: dict[str, object] = {"extra": dict(correlation.extra)}
    if correlation.request_id is not None:
        ids["request_id"] = str(correlation.request_id)
    if correlation.trace_id is not None:
        ids["trace_id"] = correlation.trace_id
    return ids


def _correlation(metadata: Mapping[str, object]) -> CorrelationIds:
    found = metadata.get("correlation")
    ids: Mapping[str, object] = cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}
    request_id, trace_id, extra = ids.get("request_id"), ids.get("trace_id"), ids.get("extra")
    return CorrelationIds(
        request_id=UUID(request_id) if isinstance(request_id, str) else None,
        trace_id=trace_id if isinstance(trace_id, str) else None,
        extra=cast("Mapping[str, str]", extra) if isinstance(extra, Mapping) else {},
    )
