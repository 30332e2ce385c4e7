"""What a runner may put into a run, as the executor knows it: interceptors, a journal, and another place to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from stageflow.context.inputs import StageInputs
from stageflow.errors import StageError
from stageflow.graph.plan import Node, Plan
from stageflow.graph.scheduler import Scheduler, Topology
from stageflow.graph.shape import Call, Given, Leaf
from stageflow.ports import RunStore


class Wrapping(Protocol):
    """A runner's interceptors around the stages of a plan."""

    def wired(self, plan: Plan, /) -> tuple[Sequence[Node], Mapping[int, Call]]:
        """The plan's nodes and cores, each stage of the user's wrapped."""
        ...


class Journal(RunStore, Protocol):
    """The journal of one run: what makes it durable. The store of the run beside, as the executor knows it."""

    @property
    def resumed(self) -> bool:
        """Whether the run goes on where another process left it."""
        ...

    @property
    def former_trace(self) -> str:
        """The trace of the process that had the run before, as a ``traceparent``; empty where there is none."""
        ...

    def scheduler(self, ledger: object, topology: Topology, /) -> Scheduler:
        """What says what may run next in an execution: what is recorded is settled, and does not run."""
        ...

    def again(self, former: object, /) -> None:
        """Says that an execution is tried again as a whole: what is recorded of the former does not count."""

    def failed(self, ledger: object, slot: int, error: StageError | None, /) -> None:
        """Says that an attempt failed and that another follows."""

    async def starting(self, ledger: object, slot: int, /) -> Given | None:
        """Records that a stage which must not run twice is about to run; what it is to give instead, where lost."""
        ...

    def close(self) -> None:
        """Ends what the journal does beside the run."""


class Elsewhere(Protocol):
    """What runs bodies of stages elsewhere: in the workers of an engine."""

    async def send(self, leaf: Leaf, inputs: StageInputs[object], /) -> Given:
        """Has a stage's body run, and gives what it gave."""
        ...
