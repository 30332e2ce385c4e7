"""The application's one configured object: what it runs pipelines with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, Self, cast, final
from uuid import UUID

from typing_extensions import Never, TypeVar

from stageflow.context.pipeline import PipelineContext
from stageflow.context.ports import StagePorts
from stageflow.core.log_ids import bind_ids, log_ids
from stageflow.errors import ResumeError, StageError, StageExecutionError
from stageflow.graph.execution.places import Places
from stageflow.graph.execution.run import Run
from stageflow.graph.execution.telling import Teller
from stageflow.graph.executor import AnyGraph, Driver, UnifiedStageGraph
from stageflow.graph.outcome import Outcome, PipelineResult
from stageflow.graph.wrapping import Using, Wraps
from stageflow.interceptors.base import BaseInterceptor
from stageflow.pipeline.builder import Interceptor, Stage
from stageflow.placement import Engine
from stageflow.ports import ConfigProvider, EventSink, RunStore
from stageflow.running.decision import Decision
from stageflow.running.durability import ValueCodec, durability, is_journal
from stageflow.running.executing import execute
from stageflow.running.handle import RunHandle
from stageflow.running.settings import Settings

_X = TypeVar("_X", covariant=True, bound=StageError, default=Never)
_A = TypeVar("_A")
_B = TypeVar("_B")
_E1 = TypeVar("_E1", bound=StageError)
_E2 = TypeVar("_E2", bound=StageError)


@dataclass(slots=True, eq=False)
class UnderWay:
    """What of a runner changes: the runs under way, with what to tell once they have ended, where somebody waits."""

    runs: dict[Run, asyncio.Future[None] | None] = field(default_factory=dict[Run, "asyncio.Future[None] | None"])
    closed: bool = False


@final
class Runner(Generic[_X]):
    """What an application runs its pipelines with, configured once.

    Leaving ``async with runner`` cancels and awaits the runs it started, then closes its store, sink and engine.

    Args:
        store: keeps the status of each run; a `DurableStore` its stages too, so that `resume` can go on with it.
        sink: where events go; takes the place of the ambient one.
        ports: capabilities for stages; a run's own context overrides them key by key.
        config: configuration for stages; a run's own context overrides it key by key.
        on_failure: whether the first failure cancels what runs, or all that does not depend on it still runs.
        max_concurrency: how many stages may run at once, across all its runs.
        deadline: seconds after which a run is cancelled.
        codec: what makes bytes of what stages give, for a durable store; `stageflow.codec.Codec` where not given.
        lease_seconds: how long a durable run stays this process's own after it was last heard of.
        engine: where the bodies of stages run; None is here. See `stageflow.engines`.

    Raises:
        ValueError: a limit is less than 1, or a time is not more than 0.
        TypeError: the store gives leases, and is no `DurableStore`.
        ImportError: the store is durable, and msgspec is not installed.
    """

    __slots__ = ("__weakref__", "_settings", "_under_way")

    def __init__(  # noqa: PLR0913  (all that an application configures)
        self: Runner[Never],
        *,
        store: RunStore | None = None,
        sink: EventSink | None = None,
        ports: StagePorts | None = None,
        config: ConfigProvider | None = None,
        on_failure: Literal["cancel", "finish"] = "cancel",
        max_concurrency: int | None = None,
        deadline: float | None = None,
        codec: ValueCodec | None = None,
        lease_seconds: float = 30.0,
        engine: Engine | None = None,
    ) -> None:
        if max_concurrency is not None and max_concurrency < 1:
            raise ValueError(f"max_concurrency={max_concurrency} must be at least 1, or None for no limit.")
        if deadline is not None and not deadline > 0:
            raise ValueError(f"deadline={deadline} must be more than 0 seconds, or None for no deadline.")
        if not lease_seconds > 0:
            raise ValueError(f"lease_seconds={lease_seconds} must be more than 0 seconds.")
        if on_failure not in {"cancel", "finish"}:
            raise ValueError(f'on_failure={on_failure!r} must be "cancel" or "finish".')
        self._settings = Settings(
            store,
            sink,
            StagePorts() if ports is None else ports,
            config,
            on_failure == "finish",
            max_concurrency,
            deadline,
            None if max_concurrency is None else Places(max_concurrency),
            engine,
            durability=durability(store, codec, lease_seconds) if is_journal(store) else None,
        )
        self._under_way = UnderWay()

    def using(self: Runner[_E1], interceptor: Interceptor[_E2], /) -> Runner[_E1 | _E2]:
        """The same runner, with every stage wrapped in one more interceptor: the last is the outermost."""
        made: Runner[_E1 | _E2] = object.__new__(Runner)
        interceptors = (*self._settings.interceptors, Using(cast("Wraps", interceptor)).interceptor)
        made._settings = replace(self._settings, interceptors=interceptors)
        made._under_way = UnderWay()
        return made

    async def __aenter__(self) -> Self:
        """The runner."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Cancels and awaits the runs it started, then closes its store, sink and engine."""
        state = self._under_way
        state.closed = True
        cancelled: asyncio.CancelledError | None = None
        for run in tuple(state.runs):
            run.stop("the runner was closed")
        while state.runs:
            run = next(iter(state.runs))
            ended = state.runs[run] = state.runs[run] or asyncio.get_running_loop().create_future()
            try:
                await asyncio.shield(ended)
            except asyncio.CancelledError as error:
                cancelled = error
        async with AsyncExitStack() as closing:  # what one raises keeps no other from being closed
            for resource in (self._settings.engine, self._settings.sink, self._settings.store):
                close = getattr(resource, "aclose", None)
                if close is not None:
                    closing.push_async_callback(close)
        if cancelled is not None:
            raise cancelled

    async def run(
        self,
        pipeline: Stage[_A, _B, _E1] | UnifiedStageGraph[_A, _B, _E1],
        value: _A,
        /,
        *,
        context: PipelineContext | None = None,
    ) -> PipelineResult[_B, _E1 | _X | StageExecutionError]:
        """Runs a pipeline and gives its outcome. A failure is an outcome too, and does not raise.

        Raises:
            PipelineValidationError: the pipeline does not build, or a stage of it cannot be sent to the engine.
            MissingPortError: ports that its stages require are not provided; all of them are named.
            CodecError: the store is durable, and the value cannot be recorded.
            RunStoreError: the store was lost; every stage has ended by then.
            RuntimeError: the runner was closed.
        """
        outcome = await self.drive(_graph_of(pipeline), value, context)
        return cast("PipelineResult[_B, _E1 | _X | StageExecutionError]", outcome)

    async def resume(
        self,
        pipeline: Stage[_A, _B, _E1] | UnifiedStageGraph[_A, _B, _E1],
        run_id: UUID,
        /,
        *,
        decisions: Iterable[Decision] = (),
        context: PipelineContext | None = None,
    ) -> PipelineResult[_B, _E1 | _X | StageExecutionError]:
        """Goes on with a run of a durable store where it was left, and gives its outcome.

        What is recorded as OK, skipped or recovered is reused; what failed, was cancelled or was under way runs. A run
        that completed gives its outcome again, and nothing runs.

        Args:
            pipeline: the pipeline that it is a run of.
            run_id: the run.
            decisions: what is to become of stages with ``effects="once"`` that were cut off.
            context: ports and configuration; correlation and run id are those of the run.

        Raises:
            ResumeError: there is no such run, or it was not journaled.
            GraphChangedError: the pipeline is another one by now; what changed is named.
            LeaseHeldError: another process has the run.
            EffectsUnknownError: it needs decisions; the stages are named.
            CodecError: a record is damaged.
            PipelineValidationError, MissingPortError, RunStoreError, RuntimeError: as of `run`.
        """
        durable = self._settings.durability
        if durable is None:
            raise ResumeError("This runner has no durable store to resume from. Give it one: Runner(store=...).")
        graph = _graph_of(pipeline)
        given = replace(context or PipelineContext(), run_id=run_id, correlation=await durable.found(run_id))
        run = self._prepared(graph, given)
        reopened = await durable.reopen(run, graph, decisions)
        going = execute(run, reopened.value, run.journal) if reopened.over else self._apart(run, reopened.value)
        outcome = await going
        return cast("PipelineResult[_B, _E1 | _X | StageExecutionError]", outcome)

    def start(
        self,
        pipeline: Stage[_A, _B, _E1] | UnifiedStageGraph[_A, _B, _E1],
        value: _A,
        /,
        *,
        context: PipelineContext | None = None,
    ) -> RunHandle[_B, _E1 | _X | StageExecutionError]:
        """Starts a run and gives a handle on it; see `run` for what is raised, here or by awaiting the handle."""
        graph = _graph_of(pipeline)
        run = self._begun(graph, value, context)
        watchers: list[EventSink] = []

        async def execute_watched() -> Outcome:
            begun.append(True)
            if watchers:
                former = run.teller.sinks if run.teller is not None else ()
                run.teller = Teller((*former, *watchers), run.ids)
            return await self._execute(run, value)

        def watch(sink: EventSink) -> None:
            if not begun:
                watchers.append(sink)
            elif run.teller is not None and not task.done():
                run.teller.watched(sink)
            else:
                raise RuntimeError("The run goes on already: call .events() right after runner.start(...).")

        begun: list[bool] = []
        self._under_way.runs[run] = None
        # Task, not create_task: an eager task factory would begin it before anybody could watch.
        task = asyncio.Task(execute_watched(), loop=asyncio.get_running_loop(), name=f"stageflow run {run.run_id}")
        task.add_done_callback(lambda _: self._forget(run))
        return RunHandle(run, task, watch)

    def _forget(self, run: Run) -> None:
        ended = self._under_way.runs.pop(run, None)
        if ended is not None and not ended.done():
            ended.set_result(None)

    async def drive(self, graph: AnyGraph, value: object, context: PipelineContext | None) -> Outcome:
        """Runs a graph, whatever its types: what `run` and the pipelines' own ``run`` are made of."""
        return await self._apart(self._begun(graph, value, context), value)

    def _prepared(self, graph: AnyGraph, context: PipelineContext | None) -> Run:
        if self._under_way.closed:
            raise RuntimeError("This runner was closed when its `async with` ended. Make another one.")
        return self._settings.run_of(graph, context)

    def _begun(self, graph: AnyGraph, value: object, context: PipelineContext | None) -> Run:
        run = self._prepared(graph, context)
        if self._settings.durability is not None:
            self._settings.durability.begin(run, graph, value)
        return run

    async def _apart(self, run: Run, value: object) -> Outcome:
        if self._settings.hooks:  # what they set in the context is for the stages, not for the caller
            return await asyncio.get_running_loop().create_task(self._execute(run, value))
        return await self._execute(run, value)

    async def _execute(self, run: Run, value: object) -> Outcome:
        self._under_way.runs.setdefault(run, None)
        hooks, token = self._settings.hooks, bind_ids(run.ids)
        ended: Outcome | BaseException | None = None
        started: list[BaseInterceptor[StageError]] = []
        try:
            for hook in hooks:
                ids = hook.run_started(run.context)
                started.append(hook)
                if ids is not None:
                    run.correlate(ids)
            ended = outcome = await execute(run, value, run.journal or self._settings.store)
        except BaseException as error:
            ended = error
            raise
        else:
            return outcome
        finally:
            self._forget(run)
            if run.journal is not None:
                run.journal.close()
            if ended is not None:
                _tell_ended(run, started, ended)
            with suppress(ValueError):  # closed unfinished, from some other context
                log_ids.reset(token)


def _tell_ended(run: Run, hooks: list[BaseInterceptor[StageError]], ended: Outcome | BaseException) -> None:
    """Tells those that saw the run start, in reverse; what one raises keeps no other from hearing, and goes last."""
    raised: list[Exception] = []
    for hook in reversed(hooks):
        try:
            hook.run_ended(run.context, ended)
        except Exception as error:  # noqa: BLE001  (it is raised when all have heard)
            raised.append(error)
    if raised:
        raise raised[0]


def _graph_of(pipeline: object) -> AnyGraph:
    if isinstance(pipeline, Stage):
        return cast("AnyGraph", cast("Stage[object, object, StageError]", pipeline).graph())
    if isinstance(pipeline, UnifiedStageGraph):
        return cast("AnyGraph", pipeline)
    raise TypeError(f"A runner runs a stage, a pipeline or a built graph; it was given {pipeline!r}.")


_DEFAULT: Runner[Never] = Runner()

drive: Driver = _DEFAULT.drive
