"""What is shared by everything that happens in one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

from stageflow.context.pipeline import PipelineContext
from stageflow.core.timer import PipelineTimer
from stageflow.errors import StageError
from stageflow.graph.places import Places
from stageflow.graph.plan import Atlas, Node, Plan
from stageflow.graph.telling import Teller

STAGES_PER_BREATH = 64  # the loop is heard at least every so many stages,
SECONDS_PER_BREATH = 0.005  # and at least every so many seconds


class Wrapping(Protocol):
    """A runner's interceptors around the stages of a plan."""

    def nodes(self, plan: Plan, /) -> Sequence[Node]:
        """The plan's nodes, each stage wrapped."""
        ...


class Run:
    """The state that one run shares; every attribute that changes in a run is here or in a `Ledger`.

    Attributes:
        reason: why the run is to end as cancelled; None while it is not.
        cause: what first made stages stop: of a stage that never started, the report gives this as the reason.
        streak: stages since the loop was last heard.
        breath: when the loop is to be heard again, on the run's clock.
        defects: errors made from what escaped a stage, by identity; `.recover` lets them pass.
        own: under a runner's interceptors, what came from stages themselves, by identity.
        foreign: errors that a runner's interceptors added, by identity; nothing inside the run absorbs them.
    """

    __slots__ = (
        "around",
        "atlas",
        "breath",
        "cause",
        "context",
        "defects",
        "finish",
        "foreign",
        "grace",
        "halt",
        "limit",
        "own",
        "places",
        "reason",
        "run_id",
        "streak",
        "teller",
        "timer",
    )

    def __init__(
        self,
        atlas: Atlas,
        context: PipelineContext,
        run_id: UUID,
        timer: PipelineTimer,
        teller: Teller | None,
    ) -> None:
        self.atlas = atlas
        self.context = context
        self.run_id = run_id
        self.timer = timer
        self.teller = teller
        self.finish = False
        self.grace = 5.0
        self.limit = 1 << 60
        self.places: Places | None = None
        self.around: Wrapping | None = None
        self.halt: Callable[[], None] = _nothing_runs
        self.reason: str | None = None
        self.cause = ""
        self.streak = 0
        self.breath = timer.clock() + SECONDS_PER_BREATH
        self.defects: dict[int, StageError] = {}
        self.own: dict[int, BaseException] = {}
        self.foreign: dict[int, StageError] = {}

    def stop(self, reason: str) -> None:
        """Ends the run as cancelled: nothing starts any more, and what runs is cancelled."""
        if self.reason is None:
            self.reason = reason
            self.cause = self.cause or reason
            self.halt()


def _nothing_runs() -> None:
    """What halts a run that has not started: that it has a reason to stop is enough."""
