"""`ProcessEngine`: real processes, really killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stageflow import Cancelled, Completed, Failed, Runner, StageTimeoutError, TimeoutInterceptor
from stageflow.engines import ProcessEngine
from tests.engines.files import gone, until, written
from tests.engines.worker_stages import add, here, pid_then_count, pid_then_wait, process

ORPHANING = """
import asyncio, sys
from stageflow import Runner
from stageflow.engines import ProcessEngine
from tests.engines.worker_stages import pid_then_wait

if __name__ == "__main__":
    asyncio.run(Runner(engine=ProcessEngine(workers=1)).run(pid_then_wait, sys.argv[1]))
"""

UNSTARTABLE = """
import asyncio
from stageflow import Runner
from stageflow.engines import ProcessEngine
from tests.engines.worker_stages import add

print(asyncio.run(Runner(engine=ProcessEngine(workers=1)).run(add, 1)).error)
"""


async def test_bodies_run_on_as_many_processes_as_there_are_workers() -> None:
    async with Runner(engine=ProcessEngine(workers=2)) as runner:
        outcome = await runner.run(process.each(), [0] * 40)
        assert isinstance(outcome, Completed)
        assert 1 <= len(set(outcome.value)) <= 2
        assert os.getpid() not in outcome.value
        kept = await runner.run(here, 0)
        assert isinstance(kept, Completed)
        assert kept.value == os.getpid()


async def test_a_worker_that_is_killed_in_a_stage_takes_no_other_stage_along(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    async with Runner(engine=ProcessEngine(workers=2)) as runner:
        handle = runner.start(pid_then_wait.each(), [str(first), str(second)])
        killed, other = await written(first), await written(second)
        first.unlink()
        os.kill(killed, signal.SIGSTOP)  # so that it does not end before it is killed
        os.kill(killed, signal.SIGKILL)
        again = await written(first)
        assert again not in {killed, other}
        first.unlink()
        second.unlink()
        outcome = await handle
        assert isinstance(outcome, Completed)
        attempts = {name: stage.attempts for name, stage in outcome.report.stages.items()}
        assert attempts == {"pid_then_wait[0]": 2, "pid_then_wait[1]": 1}


async def test_a_worker_that_dies_while_it_has_nothing_to_do_costs_no_attempt() -> None:
    engine = ProcessEngine(workers=1)
    async with Runner(engine=engine) as runner:
        first = await runner.run(process, 0)
        assert isinstance(first, Completed)
        os.kill(first.value, signal.SIGKILL)
        await gone(first.value)
        (worker,) = engine._idle
        await until(lambda: bool(worker._executor._broken))
        second = await runner.run(process, 0)
        assert isinstance(second, Completed)
        assert second.value != first.value
        assert second.report.stages["process"].attempts == 1


async def test_a_body_that_nothing_interrupts_is_killed_and_the_engine_goes_on(tmp_path: Path) -> None:
    async with Runner(engine=ProcessEngine(workers=1, grace=0.1)) as runner:
        handle = runner.start(pid_then_count, str(tmp_path / "pid"))
        busy = await written(tmp_path / "pid")
        handle.cancel("enough")
        outcome = await handle
        assert isinstance(outcome, Cancelled)
        assert outcome.reason == "enough"
        await gone(busy)
        assert isinstance(await runner.run(add, 1), Completed)


async def test_a_timeout_ends_a_body_that_nothing_interrupts(tmp_path: Path) -> None:
    async with Runner(engine=ProcessEngine(workers=1, grace=0.1)) as runner:
        assert isinstance(await runner.run(add, 1), Completed)  # its process is there by now
        outcome = await runner.run(pid_then_count.using(TimeoutInterceptor(1.0)), str(tmp_path / "pid"))
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, StageTimeoutError)
        await gone(await written(tmp_path / "pid"))


async def test_closing_the_engine_ends_its_processes() -> None:
    engine = ProcessEngine(workers=1)
    outcome = await Runner(engine=engine).run(process, 0)
    assert isinstance(outcome, Completed)
    await engine.aclose()
    await gone(outcome.value)
    closed = await Runner(engine=engine).run(add, 1)
    assert isinstance(closed, Failed)
    assert str(closed.error) == 'Stage "add": the engine was closed.'


async def test_workers_end_with_the_process_of_the_run_however_that_ends(tmp_path: Path) -> None:
    script, pid = tmp_path / "orphaning.py", tmp_path / "pid"
    script.write_text(ORPHANING)
    root = Path(__file__).parents[2]
    run = subprocess.Popen([sys.executable, str(script), str(pid)], env={**os.environ, "PYTHONPATH": str(root)})  # noqa: ASYNC220  (a run of its own)
    worker = await written(pid)
    run.kill()
    run.wait()
    await gone(worker)


async def test_processes_that_cannot_start_fail_the_stage_instead_of_being_started_for_ever() -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    script = UNSTARTABLE.encode()  # from standard input, which is no file that a process could import
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-", env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        printed, complaints = await run.communicate(script)
    assert printed.decode().startswith('Stage "add": a worker process ended before it could do anything')
    assert complaints.count(b"FileNotFoundError") == 1


async def test_processes_may_be_started_as_the_application_says() -> None:
    context = multiprocessing.get_context("forkserver")
    async with Runner(engine=ProcessEngine(workers=1, context=context)) as runner:
        assert isinstance(await runner.run(add, 1), Completed)


def test_an_engine_without_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 worker"):
        ProcessEngine(workers=0)
    with pytest.raises(ValueError, match="no negative seconds"):
        ProcessEngine(grace=-1)
