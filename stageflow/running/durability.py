"""What makes runs durable, as a runner knows it; `stageflow.durable` gives it, which needs the codec's extra."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeGuard, cast
from uuid import UUID

from returns.result import Result

from stageflow.errors import CodecError, StageError
from stageflow.graph.above import given
from stageflow.graph.execution.run import Run
from stageflow.graph.execution.seams import Wrapping
from stageflow.graph.executor import AnyGraph
from stageflow.journal import DurableStore
from stageflow.ports import CorrelationIds, RunStore
from stageflow.running.decision import Decision


class ValueCodec(Protocol):
    """What makes bytes of what stages give, by its declared type, and values of these again."""

    @property
    def name(self) -> str:
        """The format and its version."""
        ...

    def encode(self, value: object, type: object) -> Result[bytes, CodecError]:
        """The value as bytes, of which an equal one can be made."""
        ...

    def decode(self, data: bytes, type: object) -> Result[object, CodecError]:
        """The value."""
        ...

    def encode_failure(self, error: StageError) -> Result[bytes, CodecError]:
        """An error as bytes."""
        ...

    def decode_failure(self, data: bytes) -> Result[StageError, CodecError]:
        """The error."""
        ...

    def refused(self, type: object) -> str:
        """Why no value of the type can be encoded; empty where some can."""
        ...

    def schema_hash(self, type: object) -> str:
        """A digest of what values of the type look like."""
        ...


@dataclass(frozen=True, slots=True)
class Reopened:
    """A run that goes on.

    Attributes:
        value: what it started with.
        over: whether it had completed: then nothing runs, and nobody is told.
    """

    value: object
    over: bool


class Durability(Protocol):
    """What makes the runs of one runner durable."""

    def recording(self, graph: AnyGraph, around: Wrapping | None, /) -> Wrapping:
        """A recorder around every stage of a graph, outside of the runner's interceptors.

        Raises:
            PipelineValidationError: a stage of it gives what cannot be recorded.
        """
        ...

    def begin(self, run: Run, graph: AnyGraph, value: object, /) -> None:
        """Gives a new run its journal.

        Raises:
            CodecError: the value cannot be recorded.
        """

    async def found(self, run_id: UUID, /) -> CorrelationIds:
        """The correlation of a run that was recorded.

        Raises:
            ResumeError: there is no such run, or it was not journaled.
        """
        ...

    async def reopen(self, run: Run, graph: AnyGraph, decisions: Iterable[Decision], /) -> Reopened:
        """Gives a run that goes on its journal, with the lease of it.

        Raises:
            ResumeError: it cannot go on; `GraphChangedError` where the graph is another one.
            LeaseHeldError: another process has its lease.
            EffectsUnknownError: it needs decisions, or others.
            CodecError: a record cannot be decoded.
        """
        ...


class Making(Protocol):
    """Makes what makes the runs of one runner durable."""

    def __call__(self, store: DurableStore, codec: ValueCodec | None, lease_seconds: float, /) -> Durability:
        """Durability with this store."""
        ...


def is_journal(store: RunStore | None) -> TypeGuard[DurableStore]:
    """Whether a store keeps stages too.

    Raises:
        TypeError: it gives leases, and lacks what else makes a run resumable.
    """
    lacks = [name for name in _OF_A_JOURNAL if not hasattr(store, name)]
    if lacks and hasattr(store, "acquire_lease"):
        raise TypeError(
            f"{type(store).__name__} gives leases and lacks {', '.join(lacks)}, so that its runs could not be resumed. "
            "Write all of DurableStore, or of RunStore alone."
        )
    return not lacks


_OF_A_JOURNAL = ("begin", "end", "record", "load", "acquire_lease", "renew", "release")


def durability(store: DurableStore, codec: ValueCodec | None, lease_seconds: float) -> Durability:
    """What makes runs durable with this store.

    Raises:
        ImportError: msgspec is not installed.
    """
    return cast("Making", given("durability"))(store, codec, lease_seconds)
