"""Random compositions tell of every stage what the report says of it, each start and each end once (R11)."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from stageflow import RecordingEventSink, Runner, StageResult, StageStatus
from tests.compositions import Composer

BLOCK, BLOCKS = 80, 4
ENDS = {
    "completed": StageStatus.OK,
    "failed": StageStatus.FAIL,
    "skipped": StageStatus.SKIP,
    "cancelled": StageStatus.CANCEL,
}


def expected_of(result: StageResult) -> tuple[int, list[StageStatus]]:
    """How many starts are told of a stage, and which ends: nothing of one that was stopped before it could start."""
    never = not result.attempts
    return int(not never), [] if never and result.status is StageStatus.CANCEL else [result.status]


@pytest.mark.parametrize("block", range(BLOCKS))
async def test_each_start_and_each_end_of_a_stage_is_told_once(block: int) -> None:
    checked = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        composer, rng, sink = Composer(seed), random.Random(-seed), RecordingEventSink()
        pipeline = composer.leaf() | composer.composed(rng.randint(2, 4))
        runner = Runner(
            sink=sink, on_failure=rng.choice(("cancel", "finish")), max_concurrency=rng.choice((None, 1, 2))
        )
        outcome = await runner.run(pipeline, 5)
        if composer.runs_again:
            continue
        starts, ends = Counter[str](), dict[str, list[StageStatus]]()
        for event in sink.events:
            subject, _, what = event.type.rpartition(".")
            name = subject.removeprefix("stage.")
            starts[name] += what == "started"
            if subject != "pipeline" and what in ENDS:
                ends.setdefault(name, []).append(ENDS[what])
        told = {name: (starts[name], ends.get(name, [])) for name in outcome.report.stages}
        assert told == {name: expected_of(result) for name, result in outcome.report.stages.items()}, f"seed {seed}"
        assert set(ends) <= set(told)
        checked += 1
    assert checked > BLOCK / 3
