"""What one run carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from uuid import UUID

from typing_extensions import override

from stageflow.context.ports import StagePorts
from stageflow.core.timer import PipelineTimer
from stageflow.ports import ConfigProvider, CorrelationIds, EventSink


def _none() -> Mapping[str, object]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PipelineContext:
    """What one run carries; a template: a run id not given, and the timer, are made per run.

    What it brings (ports, config, correlation) overrides the runner's key by key.

    Attributes:
        run_id: the run's id; None lets each run make its own.
        correlation: the ids that tie the run to what caused it.
        ports: the capabilities its stages may use.
        config: where its stages read configuration.
        sink: where its events go, before the runner's sink and the ambient one.
        deadline: seconds from its start after which the run is cancelled; None for no end.
        timer: the run's clock; None lets each run start its own.
        pipeline: the name of what runs; empty in a template.
        outputs: by name, what the stages that a `StageSpec` runner follows gave; empty elsewhere.
        former_trace: of a run that goes on, the ``traceparent`` of the process that had it before.
    """

    run_id: UUID | None = None
    correlation: CorrelationIds = field(default_factory=CorrelationIds)
    ports: StagePorts = field(default_factory=StagePorts)
    config: ConfigProvider | None = None
    sink: EventSink | None = None
    deadline: float | None = None
    timer: PipelineTimer | None = None
    outputs: Mapping[str, object] = field(default_factory=_none)
    pipeline: str = ""
    former_trace: str = ""

    def __post_init__(self) -> None:
        if self.deadline is not None and not self.deadline > 0:
            raise ValueError(f"deadline={self.deadline!r} must be more than 0 seconds.")
        object.__setattr__(self, "outputs", MappingProxyType(dict(self.outputs)))

    def fork(self, *, correlation: CorrelationIds | None = None) -> PipelineContext:
        """The context of a child run: the same ports, config, sink and deadline, its own run id and timer.

        Args:
            correlation: the child's ids; without it, the parent's.
        """
        return replace(self, run_id=None, timer=None, outputs={}, correlation=correlation or self.correlation)

    @override
    def __hash__(self) -> int:
        return hash((self.run_id, self.correlation, self.ports))

    @override
    def __reduce__(self) -> tuple[object, ...]:
        parts = (self.run_id, self.correlation, self.ports, self.config, self.sink, self.deadline, self.timer)
        return (PipelineContext, (*parts, dict(self.outputs), self.pipeline, self.former_trace))
