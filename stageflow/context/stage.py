"""The run as one stage sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID, uuid4, uuid5

from stageflow.core.log_ids import ids_of
from stageflow.core.stage import StageKind
from stageflow.core.timer import PipelineTimer
from stageflow.ports import ConfigProvider, CorrelationIds, EventSink


@dataclass(frozen=True, slots=True)
class StageContext:
    """The run as one stage sees it.

    Attributes:
        run_id: the run.
        stage: the stage's name in the graph.
        kind: what the stage is for.
        attempt: which try this is, from 1.
        correlation: the ids that tie the run to what caused it.
        config: where to read configuration.
        timer: the run's clock.
        sink: where `emit` sends to.
        deadline: seconds from the run's start after which it is cancelled; None for no end.
    """

    run_id: UUID = field(default_factory=uuid4)
    stage: str = ""
    kind: StageKind = StageKind.TRANSFORM
    attempt: int = 1
    correlation: CorrelationIds = field(default_factory=CorrelationIds)
    config: ConfigProvider | None = None
    timer: PipelineTimer = field(default_factory=PipelineTimer)
    sink: EventSink | None = None
    deadline: float | None = None

    @property
    def remaining(self) -> float | None:
        """Seconds until the run's deadline; None where it has none."""
        return None if self.deadline is None else self.deadline - self.timer.elapsed_ms() / 1000

    @property
    def idempotency_key(self) -> str:
        """A key for what this attempt does outside, so that a service can tell a repeat from a new request.

        It depends on the run, the stage (with the numbers of items) and the attempt. An attempt that was cut off
        with its process has the same key when the run is resumed; one that is known to have failed, and is tried
        again, has another.
        """
        return str(uuid5(self.run_id, f"{self.stage}\n{self.attempt}"))

    def emit(self, type: str, data: Mapping[str, object] | None = None) -> None:
        """Sends an event of the stage's own, at once; the run, the stage and the attempt are added to it."""
        if self.sink is not None:
            about = {**ids_of(self.run_id, self.correlation), "stage": self.stage}
            self.sink.try_emit(type=type, data={**about, "attempt": self.attempt, **(data or {})})
