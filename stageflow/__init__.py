"""Async DAG pipelines for strictly typed Python: wiring errors are type errors, errors are values with a type."""

from importlib import import_module
from typing import TYPE_CHECKING

from stageflow.graph.above import give

if TYPE_CHECKING:
    from stageflow._version import __version__
    from stageflow.context.inputs import StageFunction, StageInputs
    from stageflow.context.pipeline import PipelineContext
    from stageflow.context.ports import AnyPortKey, PortKey, StagePorts
    from stageflow.context.stage import StageContext
    from stageflow.core.output import StageArtifact, StageEvent, StageOutput, cancel, fail, ok, sealed, skip
    from stageflow.core.record import StageResult
    from stageflow.core.stage import StageHandle, StageKind, StageStatus
    from stageflow.core.timer import PipelineTimer
    from stageflow.errors import (
        CircuitOpenError,
        CodecError,
        MissingPortError,
        PipelineValidationError,
        RunStoreError,
        StageError,
        StageExecutionError,
        StageTimeoutError,
        UndeclaredDependencyError,
        WorkerLostError,
    )
    from stageflow.events.context import clear_event_sink, event_sink, get_event_sink, set_event_sink
    from stageflow.events.sink import LoggingEventSink, NoOpEventSink
    from stageflow.graph.errors import UnifiedPipelineCancelled
    from stageflow.graph.execution.outputs import StageOutputs
    from stageflow.graph.executor import UnifiedStageGraph
    from stageflow.graph.outcome import Cancelled, Completed, Failed, PipelineResult, Skipped
    from stageflow.graph.plain import StageGraph
    from stageflow.graph.report import RunReport
    from stageflow.graph.spec import StageSpec, UnifiedStageSpec
    from stageflow.interceptors.base import (
        BaseInterceptor,
        ErrorAction,
        InterceptorContext,
        InterceptorResult,
        run_with_interceptors,
    )
    from stageflow.interceptors.circuit_breaker import CircuitBreakerInterceptor
    from stageflow.interceptors.defaults import get_default_interceptors
    from stageflow.interceptors.limit import LimitInterceptor
    from stageflow.interceptors.logging import LoggingInterceptor
    from stageflow.interceptors.metrics import MetricsInterceptor
    from stageflow.interceptors.retry import RetryInterceptor
    from stageflow.interceptors.timeout import TimeoutInterceptor
    from stageflow.interceptors.tracing import TracingInterceptor
    from stageflow.pipeline.builder import Interceptor, Parallel, Pipeline, Replacing, Route, Stage
    from stageflow.pipeline.functions import LiftDecorator, StageDecorator, identity, lift, route, stage
    from stageflow.pipeline.registry import PipelineRegistry
    from stageflow.placement import Engine, Placement
    from stageflow.ports import ConfigProvider, CorrelationIds, EventSink, RunRecord, RunStore
    from stageflow.running.handle import RunHandle
    from stageflow.running.runner import Runner
    from stageflow.sinks.fan_out import FanOutEventSink
    from stageflow.sinks.json_lines import JsonLinesEventSink
    from stageflow.sinks.queue import QueueEventSink
    from stageflow.sinks.recording import RecordingEventSink
else:
    # Each name is imported when first asked for, so that an application pays for what it uses. A checker must not see
    # this: it would let every name pass.
    _HOMES = {
        "_version": "__version__",
        "context.inputs": "StageFunction StageInputs",
        "context.pipeline": "PipelineContext",
        "context.ports": "AnyPortKey PortKey StagePorts",
        "context.stage": "StageContext",
        "core.output": "StageArtifact StageEvent StageOutput cancel fail ok sealed skip",
        "core.record": "StageResult",
        "core.stage": "StageHandle StageKind StageStatus",
        "core.timer": "PipelineTimer",
        "errors": "CircuitOpenError CodecError MissingPortError PipelineValidationError RunStoreError "
        "StageError StageExecutionError StageTimeoutError UndeclaredDependencyError WorkerLostError",
        "events.context": "clear_event_sink event_sink get_event_sink set_event_sink",
        "sinks.fan_out": "FanOutEventSink",
        "sinks.json_lines": "JsonLinesEventSink",
        "sinks.queue": "QueueEventSink",
        "sinks.recording": "RecordingEventSink",
        "events.sink": "LoggingEventSink NoOpEventSink",
        "graph.errors": "UnifiedPipelineCancelled",
        "graph.executor": "UnifiedStageGraph",
        "graph.outcome": "Cancelled Completed Failed PipelineResult Skipped",
        "graph.execution.outputs": "StageOutputs",
        "graph.plain": "StageGraph",
        "graph.report": "RunReport",
        "graph.spec": "StageSpec UnifiedStageSpec",
        "interceptors.base": "BaseInterceptor ErrorAction InterceptorContext InterceptorResult run_with_interceptors",
        "interceptors.circuit_breaker": "CircuitBreakerInterceptor",
        "interceptors.defaults": "get_default_interceptors",
        "interceptors.limit": "LimitInterceptor",
        "interceptors.logging": "LoggingInterceptor",
        "interceptors.metrics": "MetricsInterceptor",
        "interceptors.retry": "RetryInterceptor",
        "interceptors.timeout": "TimeoutInterceptor",
        "interceptors.tracing": "TracingInterceptor",
        "pipeline.builder": "Interceptor Parallel Pipeline Replacing Route Stage",
        "pipeline.functions": "LiftDecorator StageDecorator identity lift route stage",
        "pipeline.registry": "PipelineRegistry",
        "placement": "Engine Placement",
        "ports": "ConfigProvider CorrelationIds EventSink RunRecord RunStore",
        "running.handle": "RunHandle",
        "running.runner": "Runner",
    }
    _MODULES = {name: f"stageflow.{module}" for module, names in _HOMES.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'stageflow' has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *_MODULES})


give(
    driver="stageflow.running.runner:drive",
    drawing="stageflow.views.drawing",
    durability="stageflow.durable.durability:JournaledRuns",
    placing="stageflow.engines.sending:Sent",
)

__all__ = [
    "AnyPortKey",
    "BaseInterceptor",
    "Cancelled",
    "CircuitBreakerInterceptor",
    "CircuitOpenError",
    "CodecError",
    "Completed",
    "ConfigProvider",
    "CorrelationIds",
    "Engine",
    "ErrorAction",
    "EventSink",
    "Failed",
    "FanOutEventSink",
    "Interceptor",
    "InterceptorContext",
    "InterceptorResult",
    "JsonLinesEventSink",
    "LiftDecorator",
    "LimitInterceptor",
    "LoggingEventSink",
    "LoggingInterceptor",
    "MetricsInterceptor",
    "MissingPortError",
    "NoOpEventSink",
    "Parallel",
    "Pipeline",
    "PipelineContext",
    "PipelineRegistry",
    "PipelineResult",
    "PipelineTimer",
    "PipelineValidationError",
    "Placement",
    "PortKey",
    "QueueEventSink",
    "RecordingEventSink",
    "Replacing",
    "RetryInterceptor",
    "Route",
    "RunHandle",
    "RunRecord",
    "RunReport",
    "RunStore",
    "RunStoreError",
    "Runner",
    "Skipped",
    "Stage",
    "StageArtifact",
    "StageContext",
    "StageDecorator",
    "StageError",
    "StageEvent",
    "StageExecutionError",
    "StageFunction",
    "StageGraph",
    "StageHandle",
    "StageInputs",
    "StageKind",
    "StageOutput",
    "StageOutputs",
    "StagePorts",
    "StageResult",
    "StageSpec",
    "StageStatus",
    "StageTimeoutError",
    "TimeoutInterceptor",
    "TracingInterceptor",
    "UndeclaredDependencyError",
    "UnifiedPipelineCancelled",
    "UnifiedStageGraph",
    "UnifiedStageSpec",
    "WorkerLostError",
    "__version__",
    "cancel",
    "clear_event_sink",
    "event_sink",
    "fail",
    "get_default_interceptors",
    "get_event_sink",
    "identity",
    "lift",
    "ok",
    "route",
    "run_with_interceptors",
    "sealed",
    "set_event_sink",
    "skip",
    "stage",
]
