"""How a runner is set up, and what it makes of that: a run, and what goes around the stages of a graph."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar, cast, final
from uuid import uuid4
from weakref import WeakKeyDictionary

from stageflow.context.pipeline import PipelineContext
from stageflow.context.ports import StagePorts, missing_port
from stageflow.core.timer import PipelineTimer
from stageflow.errors import MissingPortError, StageError
from stageflow.events.context import get_event_sink
from stageflow.graph.execution.places import Places, lent
from stageflow.graph.execution.run import Run
from stageflow.graph.execution.seams import Wrapping
from stageflow.graph.executor import AnyGraph
from stageflow.graph.wrapping import Wraps
from stageflow.interceptors.base import BaseInterceptor
from stageflow.placement import Engine
from stageflow.ports import ConfigProvider, EventSink, RunStore
from stageflow.running.around import Around
from stageflow.running.durability import Durability
from stageflow.running.placing import Placed, placed

_T = TypeVar("_T")
_ByGraph: TypeAlias = WeakKeyDictionary[AnyGraph, _T]


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """What a runner was given, resolved.

    Attributes:
        finish: whether what does not depend on a failure still runs.
        places: what ``max_concurrency`` is counted by.
        hooks: those of the interceptors that see runs begin and end.
    """

    store: RunStore | None
    sink: EventSink | None
    ports: StagePorts
    config: ConfigProvider | None
    finish: bool
    max_concurrency: int | None
    deadline: float | None
    places: Places | None
    engine: Engine | None = None
    interceptors: tuple[Wraps, ...] = ()
    durability: Durability | None = None
    hooks: tuple[BaseInterceptor[StageError], ...] = field(init=False)
    _wrapped: _ByGraph[Wrapping] = field(init=False, default_factory=WeakKeyDictionary[AnyGraph, Wrapping])
    _placed: _ByGraph[Placed] = field(init=False, default_factory=WeakKeyDictionary[AnyGraph, Placed])

    def __post_init__(self) -> None:
        hooks = [hook for hook in map(_seeing, self.interceptors) if hook is not None]
        object.__setattr__(self, "hooks", tuple(hooks))

    def run_of(self, graph: AnyGraph, given: PipelineContext | None) -> Run:
        """A run of a graph, which has not begun.

        Raises:
            MissingPortError: ports that its stages require are not provided; all of them are named.
            PipelineValidationError: a stage of it cannot be sent to the engine.
        """
        context = given or _NO_CONTEXT
        ports = context.ports.over(self.ports)
        missing = [(key, stage) for key, stage in graph.atlas.requires if key not in ports]
        if missing:
            raise MissingPortError("\n".join(missing_port(key, stage) for key, stage in missing))
        run_id = context.run_id or context.correlation.run_id or uuid4()
        run = Run(
            graph.atlas,
            run_id,
            context.correlation,
            ports,
            _over(context.config, self.config),
            context.sink or self.sink or get_event_sink(),
            self.deadline if context.deadline is None else context.deadline,
            context.timer or PipelineTimer(clock=_clock()),
            graph.name,
            finish=self.finish,
        )
        if self.places is not None:
            borrowed = lent.get()
            run.places = borrowed if borrowed is not None and borrowed.top is self.places else self.places
            run.limit = self.max_concurrency or run.limit
        placed_stages = None if self.engine is None else self._placed_by(self.engine, graph)
        run.elsewhere = placed_stages
        if self.interceptors or self.durability is not None or placed_stages is not None:
            run.around = self._wrapped.get(graph) or self._wrapping(graph, placed_stages)
        return run

    def _wrapping(self, graph: AnyGraph, placed_stages: Placed | None) -> Wrapping | None:
        around: Wrapping | None = placed_stages
        if self.interceptors:
            around = Around(self.interceptors, absorbs=graph.atlas.absorbs, inside=placed_stages)
        if self.durability is not None:
            around = self.durability.recording(graph, around)
        if around is not None:
            self._wrapped[graph] = around
        return around

    def _placed_by(self, engine: Engine, graph: AnyGraph) -> Placed:
        found = self._placed.get(graph)
        if found is None:
            found = self._placed[graph] = placed(engine, graph)
        return found


_NO_CONTEXT = PipelineContext()


def _seeing(interceptor: Wraps) -> BaseInterceptor[StageError] | None:
    """The interceptor, where it sees runs begin and end."""
    if not isinstance(interceptor, BaseInterceptor):
        return None
    hook = cast("BaseInterceptor[StageError]", interceptor)
    return hook if hook.sees_runs else None


def _clock() -> Callable[[], float]:
    """The clock that the loop's own timers go by, past a method call where that is the usual one."""
    loop = asyncio.get_running_loop()
    return time.monotonic if type(loop).time is asyncio.BaseEventLoop.time else loop.time


@final
class _Config:
    """Configuration of a run over that of its runner, key by key."""

    __slots__ = ("providers",)

    def __init__(self, *providers: ConfigProvider) -> None:
        self.providers = providers  # by this name stageflow.config finds where a value comes from

    def get(self, key: str, default: object = None) -> object:
        first, second = self.providers
        found = first.get(key, _ABSENT)
        return second.get(key, default) if found is _ABSENT else found


_ABSENT = object()


def _over(first: ConfigProvider | None, second: ConfigProvider | None) -> ConfigProvider | None:
    if first is None or second is None:
        return first or second
    return _Config(first, second)
