"""The conformance suite itself: it says in what an engine that is none does not hold."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from stageflow.engines import EngineCapabilities, LocalEngine, StageCall
from stageflow.engines.answers import Answer
from stageflow.errors import WorkerLostError
from stageflow.testing import EngineBrokenError, check_engine
from stageflow.testing.engines import check_errors, check_graph, check_interruption, check_losses, check_travelling


class Changed:
    """The local engine, in one thing changed."""

    capabilities = EngineCapabilities(interrupts_running=True, survives_worker_loss=True, remote=False)

    async def call(self, call: StageCall, /) -> bytes:
        return await LocalEngine().call(call)


class Forgetful(Changed):
    """Loses what a stage emits."""

    async def call(self, call: StageCall, /) -> bytes:
        found = msgspec.msgpack.decode(await super().call(call), type=Answer)
        return msgspec.msgpack.encode(msgspec.structs.replace(found, told=b""))


class Retrying(Changed):
    """Loses its first worker."""

    lost = False

    async def call(self, call: StageCall, /) -> bytes:
        if not self.lost:
            self.lost = True
            raise WorkerLostError("gone.", retryable=True)
        return await super().call(call)


class Blaming(Changed):
    """Has an error of its own for what goes wrong."""

    async def call(self, call: StageCall, /) -> bytes:
        found = msgspec.msgpack.decode(await super().call(call), type=Answer)
        if found.how == "raised":
            raise RuntimeError("something went wrong")
        return msgspec.msgpack.encode(found)


class Stubborn(Changed):
    """Ends a cancelled call before its body."""

    def __init__(self) -> None:
        self.going: set[asyncio.Task[bytes]] = set()

    async def call(self, call: StageCall, /) -> bytes:
        task = asyncio.create_task(LocalEngine().call(call))
        self.going.add(task)
        return await asyncio.shield(task)

    async def close(self) -> None:
        for task in self.going:
            task.cancel()
        await asyncio.gather(*self.going, return_exceptions=True)


class Boastful(Changed):
    """Says that bodies run elsewhere."""

    capabilities = replace(Changed.capabilities, remote=True)


class Fragile(Boastful):
    """Never comes back from a loss."""

    async def call(self, call: StageCall, /) -> bytes:
        raise WorkerLostError("gone.", retryable=True)


async def test_the_reference_holds(tmp_path: Path) -> None:
    await check_engine(LocalEngine(), shared=tmp_path)


async def test_events_that_are_lost_are_found() -> None:
    with pytest.raises(EngineBrokenError, match='tells of "events and artifacts"'):
        await check_graph(Forgetful(), "events and artifacts")


async def test_an_attempt_more_is_found() -> None:
    with pytest.raises(EngineBrokenError, match='reports of "chain"'):
        await check_graph(Retrying(), "chain")


async def test_an_outcome_of_its_own_is_found() -> None:
    with pytest.raises(EngineBrokenError, match='gives "defect" the outcome'):
        await check_graph(Blaming(), "defect")
    with pytest.raises(EngineBrokenError, match="a stage that exits"):
        await check_errors(Blaming())


async def test_a_body_that_outlives_its_call_is_found(tmp_path: Path) -> None:
    engine = Stubborn()
    with pytest.raises(EngineBrokenError, match="before the body"):
        await check_interruption(engine, tmp_path)
    await engine.close()


async def test_a_capability_that_is_not_there_is_found() -> None:
    with pytest.raises(EngineBrokenError, match="says remote=True"):
        await check_travelling(Boastful())


async def test_a_loss_that_is_not_survived_is_found(tmp_path: Path) -> None:
    with pytest.raises(EngineBrokenError, match="the loss of a worker"):
        await check_losses(Fragile(), tmp_path)
