"""Engines on real workers: processes of this machine, and a Dask cluster of a scheduler and two workers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_asyncio

import stageflow
from stageflow.engines import Engine, LocalEngine, ProcessEngine

ROOT = Path(stageflow.__file__).parents[1]


class Cluster:
    """A Dask scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self._folder = folder
        self._processes = ExitStack()
        port = self.address.rpartition(":")[2]
        self.scheduler = self.start("scheduler", "--port", port, "--host", "127.0.0.1", "--no-dashboard", "--no-show")

    def start(self, what: str, *options: str) -> subprocess.Popen[bytes]:
        """Starts a process of the cluster, which ends with it."""
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "engines")])
        environment = {**os.environ, "PYTHONPATH": paths, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "20s"}
        log = self._processes.enter_context((self._folder / f"{what}.log").open("ab"))
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *options]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=self._folder)
        self._processes.callback(_end, process)
        return process

    def worker(self, *options: str) -> subprocess.Popen[bytes]:
        """Starts a worker, whose nanny starts it again where it is killed."""
        return self.start("worker", self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", *options)

    def close(self) -> None:
        self._processes.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two workers, of which one has a GPU, as it says."""
    pytest.importorskip("distributed")
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.worker("--resources", "GPU=1")
    made.worker()
    yield made
    made.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["local", "processes", "dask"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """Each engine, on workers that are started once."""
    match request.param:
        case "local":
            yield LocalEngine()
        case "processes":
            made = ProcessEngine(workers=2)
            yield made
            await made.aclose()
        case _:
            found: Cluster = request.getfixturevalue("cluster")
            from distributed import Client

            from stageflow.engines import DaskEngine

            async with Client(found.address, asynchronous=True) as client:
                await client.wait_for_workers(2, timeout=60)
                yield DaskEngine(client, grace=30)  # the machine may be busy
