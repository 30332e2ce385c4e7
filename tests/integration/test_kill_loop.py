"""Durable runs in processes that are killed. A short loop; the long one is ``python -m tests.kill_loop --kills 50``."""

from __future__ import annotations

import asyncio
import os
import signal
from uuid import uuid4

import pytest

from stageflow import Completed, PipelineContext, Runner, RunStoreError, lift
from stageflow.durable import Decision
from stageflow.errors import EffectsUnknownError
from stageflow.stores import PostgresRunStore, SqliteRunStore
from tests.durable_runs import LEASE_SECONDS, Witness, resumed, sending
from tests.kill_loop import lines, loop, process, undisturbed


@lift
def last(text: str) -> str:
    return text


KILLS = int(os.environ.get("STAGEFLOW_KILLS", "4"))


def test_killed_again_and_again_a_run_comes_to_what_it_would_have(tmp_path) -> None:
    kills, runs = loop(str(tmp_path / "runs.db"), KILLS, seed=1)
    assert kills == KILLS
    assert runs >= 1


@pytest.mark.postgres
def test_killed_again_and_again_a_run_on_a_server_comes_to_what_it_would_have(postgres) -> None:
    kills, runs = loop(postgres.dsn, KILLS, seed=2)
    assert kills == KILLS
    assert runs >= 1


def test_of_two_processes_that_resume_a_run_one_goes_on_and_the_other_hears_what_it_came_to(tmp_path) -> None:
    place, run_id = str(tmp_path / "runs.db"), uuid4()
    first = process(place, run_id, tmp_path)
    assert first.stdout is not None
    with first.stdout as said:
        assert said.readline() == "ready\n"
        while not lines(tmp_path / "acknowledged"):
            assert first.poll() is None
        first.send_signal(signal.SIGKILL)
    first.wait(timeout=60)
    ran_before = len(lines(tmp_path / "ran"))
    acknowledged = set(lines(tmp_path / "acknowledged"))
    both = [process(place, run_id, tmp_path) for _ in range(2)]
    outcomes = [each.communicate(timeout=60)[0].removeprefix("ready\ncame to ").strip() for each in both]
    assert outcomes == [undisturbed()] * 2
    ran = lines(tmp_path / "ran")[ran_before:]
    assert len(ran) == len(set(ran)), "no stage ran in both"
    assert not acknowledged.intersection(ran)


@pytest.mark.postgres
async def test_a_server_that_crashes_in_the_middle_ends_the_run_which_goes_on_when_it_is_back(postgres) -> None:
    ran: list[str] = []

    @lift
    def first(text: str) -> str:
        ran.append("first")
        return text

    @lift
    async def crashing(text: str) -> str:
        ran.append("crashing")
        if ran.count("crashing") == 1:
            await asyncio.to_thread(postgres.crash)
        return text

    pipeline, run_id = first | crashing | last, uuid4()
    async with Runner(store=PostgresRunStore(postgres.dsn), lease_seconds=LEASE_SECONDS) as runner:
        with pytest.raises(RunStoreError):
            await runner.run(pipeline, "a", context=PipelineContext(run_id=run_id))
    postgres.start()
    async with Runner(store=PostgresRunStore(postgres.dsn), lease_seconds=LEASE_SECONDS) as runner:
        outcome = await resumed(runner, pipeline, run_id)
    assert isinstance(outcome, Completed)
    assert ran == ["first", "crashing", "crashing"]


async def test_killed_in_a_stage_that_must_not_run_twice_the_resume_asks(tmp_path) -> None:
    place, run_id = str(tmp_path / "runs.db"), uuid4()
    child = process(place, run_id, tmp_path, "once")
    assert child.stdout is not None
    with child.stdout as said:
        assert [said.readline(), said.readline()] == ["ready\n", "sending\n"]
        child.send_signal(signal.SIGKILL)
    child.wait(timeout=60)
    send, pipeline = sending(Witness(tmp_path / "ran"), waits=False)
    async with Runner(store=SqliteRunStore(place), lease_seconds=LEASE_SECONDS) as runner:
        with pytest.raises(EffectsUnknownError) as asked:
            await resumed(runner, pipeline, run_id)
        assert asked.value.stages == ("send",)
        outcome = await resumed(runner, pipeline, run_id, decisions=[Decision.of(send).gave("sent by hand")])
    assert isinstance(outcome, Completed)
    assert outcome.value == "sent by hand!"
    assert lines(tmp_path / "ran") == ["before", "send", "after"]


def test_a_witness_writes_where_it_is_told_to(tmp_path) -> None:
    Witness(tmp_path / "ran").saw("fetch")
    Witness(tmp_path / "ran").saw("words")
    assert lines(tmp_path / "ran") == ["fetch", "words"]
