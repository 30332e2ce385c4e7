"""What a runner makes its runs durable with."""

from __future__ import annotations

from dataclasses import dataclass

from stageflow.journal import DurableStore
from stageflow.running.durability import ValueCodec


@dataclass(frozen=True, slots=True)
class Means:
    """What a runner makes its runs durable with.

    Attributes:
        store: where they are kept.
        codec: what encodes what stages give.
        lease_seconds: how long a run stays this process's own after it was last heard of.
    """

    store: DurableStore
    codec: ValueCodec
    lease_seconds: float
