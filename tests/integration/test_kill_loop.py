"""Durable runs in processes that are killed. A short loop; the long one is ``python -m tests.kill_loop --kills 50``."""

from __future__ import annotations

import os
import signal
from uuid import uuid4

import pytest

from tests.durable_runs import Witness
from tests.kill_loop import lines, loop, process, undisturbed

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


def test_a_witness_writes_where_it_is_told_to(tmp_path) -> None:
    Witness(tmp_path / "ran").saw("fetch")
    Witness(tmp_path / "ran").saw("words")
    assert lines(tmp_path / "ran") == ["fetch", "words"]
