"""`DaskEngine`: a real scheduler and real workers, processes of their own, really killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from stageflow import Completed, Failed, PipelineContext, Runner, TimeoutInterceptor, WorkerLostError
from stageflow.engines import DaskEngine, ProcessEngine
from stageflow.stores import SqliteRunStore
from tests.engines.conftest import Cluster
from tests.engines.files import written
from tests.engines.worker_stages import add, marked, nowhere, on_gpu, pid_then_wait

distributed = pytest.importorskip("distributed")


@pytest_asyncio.fixture
async def client(cluster: Cluster) -> AsyncIterator[distributed.Client]:
    async with distributed.Client(cluster.address, asynchronous=True) as connected:
        await connected.wait_for_workers(2, timeout=60)
        yield connected


async def test_a_stage_runs_where_the_resources_are_that_it_asks_for(client) -> None:
    runner = Runner(engine=DaskEngine(client))
    outcome = await runner.run(on_gpu.each(), [0] * 10)
    assert isinstance(outcome, Completed)
    assert len(set(outcome.value)) == 1
    pids = await client.run(os.getpid)
    infos = (await client.scheduler.identity(n_workers=-1))["workers"]
    with_gpu = [address for address, info in infos.items() if info.get("resources")]
    assert [pids[address] for address in with_gpu] == [outcome.value[0]]


async def test_a_stage_whose_worker_is_not_there_waits_for_it_until_its_timeout(client) -> None:
    outcome = await Runner(engine=DaskEngine(client)).run(nowhere.using(TimeoutInterceptor(0.5)), 1)
    assert isinstance(outcome, Failed)
    assert "took longer" in str(outcome.error)


async def test_bodies_run_off_the_workers_own_loop(client, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    handle = Runner(engine=DaskEngine(client)).start(pid_then_wait, str(path))
    busy = await written(path)
    assert busy in (await client.run(os.getpid)).values(), "the worker answers while the body computes"
    path.unlink()
    assert isinstance(await handle, Completed)


async def test_a_worker_that_is_killed_in_a_stage_is_an_attempt_and_dask_starts_it_no_second_time(
    client, tmp_path: Path
) -> None:
    path = tmp_path / "pid"
    handle = Runner(engine=DaskEngine(client)).start(pid_then_wait, str(path))
    killed = await written(path)
    path.unlink()
    os.kill(killed, signal.SIGSTOP)
    os.kill(killed, signal.SIGKILL)
    assert await written(path) != killed
    path.unlink()
    outcome = await handle
    assert isinstance(outcome, Completed)
    assert outcome.report.stages["pid_then_wait"].attempts == 2


async def test_a_worker_that_leaves_the_cluster_in_a_stage_is_an_attempt_too(client, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    handle = Runner(engine=DaskEngine(client)).start(pid_then_wait, str(path))
    leaving = await written(path)
    address = next(one for one, pid in (await client.run(os.getpid)).items() if pid == leaving)

    async def removed(dask_scheduler: distributed.Scheduler) -> None:
        await dask_scheduler.remove_worker(address, stimulus_id="test", expected=True, close=False)

    path.unlink()
    os.kill(leaving, signal.SIGKILL)
    await client.run_on_scheduler(removed)
    assert await written(path) != leaving
    path.unlink()
    outcome = await handle
    assert isinstance(outcome, Completed)
    assert outcome.report.stages["pid_then_wait"].attempts == 2


async def test_a_scheduler_that_is_killed_is_a_lost_worker_at_once_and_the_run_goes_on_elsewhere(
    tmp_path: Path,
) -> None:
    cluster, path, pipeline = Cluster(tmp_path), tmp_path / "pid", marked | pid_then_wait
    context = PipelineContext(run_id=uuid4())
    try:
        cluster.worker("--no-nanny")
        async with distributed.Client(cluster.address, asynchronous=True, timeout=20) as client:
            await client.wait_for_workers(1, timeout=60)
            runner = Runner(engine=DaskEngine(client), store=SqliteRunStore(tmp_path / "runs.db"))
            handle = runner.start(pipeline, str(path), context=context)
            await written(path)
            cluster.scheduler.kill()
            async with asyncio.timeout(10):
                outcome = await handle
                assert isinstance(outcome, Failed)
                assert isinstance(outcome.error, WorkerLostError)
                assert "scheduler was lost" in outcome.error.message
                assert outcome.report.stages["pid_then_wait"].attempts == 1
                after = await runner.run(add, 1)
                assert isinstance(after, Failed)
                assert isinstance(after.error, WorkerLostError)
    finally:
        cluster.close()
    path.unlink()
    async with Runner(engine=ProcessEngine(workers=1), store=SqliteRunStore(tmp_path / "runs.db")) as elsewhere:
        resuming = asyncio.create_task(elsewhere.resume(pipeline, context.run_id))
        await written(path)
        path.unlink()
        resumed = await resuming
        assert isinstance(resumed, Completed)
        marks = Path(f"{path}.marks").read_text()  # noqa: ASYNC240  (a byte)
        assert marks == "x", "what had ended is not run again"


def test_a_client_that_is_not_asynchronous_is_refused(cluster: Cluster) -> None:
    with distributed.Client(cluster.address) as blocking, pytest.raises(ValueError, match="asynchronous=True"):
        DaskEngine(blocking)
