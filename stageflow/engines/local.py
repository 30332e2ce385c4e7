"""In the process of the run, by the way that a call to a worker goes: the engine that all others are held to."""

from __future__ import annotations

from typing import final

from typing_extensions import override

from stageflow.engines.performing import perform
from stageflow.placement import EngineCapabilities, StageCall

_CAPABILITIES = EngineCapabilities(interrupts_running=True, survives_worker_loss=True, remote=False)


@final
class LocalEngine:
    """Runs bodies here, encoded and decoded as for a worker: for tests of what is to be sent to one later."""

    __slots__ = ()

    @property
    def capabilities(self) -> EngineCapabilities:
        """Bodies run here, and are cancelled as they are without an engine."""
        return _CAPABILITIES

    async def call(self, call: StageCall, /) -> bytes:
        """Answers the call."""
        return await perform(call)

    @override
    def __repr__(self) -> str:
        return "LocalEngine()"
