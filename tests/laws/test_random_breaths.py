"""However often the loop is heard, a run comes to the same; and wherever it is stopped meanwhile, nothing is left."""

from __future__ import annotations

import asyncio
import random

import pytest

from stageflow import Completed, Runner
from stageflow.graph.execution import pool
from tests.compositions import Composer

BLOCK, BLOCKS = 60, 4
OFTEN = (1, 2, 3)  # stages between two breaths, of which there are 64 else


async def values_of(seed: int, limit: int | None) -> tuple[str, object, object]:
    """What a composition comes to: the outcome's kind, its value, and every stage's status and attempts."""
    pipeline = Composer(seed).composed(3)
    outcome = await Runner(on_failure="finish", max_concurrency=limit).run(pipeline, 5)
    stages = {name: (one.status, one.attempts) for name, one in outcome.report.stages.items()}
    return type(outcome).__name__, outcome.value if isinstance(outcome, Completed) else None, stages


@pytest.mark.parametrize("block", range(BLOCKS))
async def test_a_run_that_rests_after_every_stage_comes_to_the_same(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        rng = random.Random(seed)
        limit = rng.choice((None, 1, 2))
        plain = await values_of(seed, limit)
        with monkeypatch.context() as often:
            often.setattr(pool, "STAGES_PER_BREATH", rng.choice(OFTEN))
            rested = await values_of(seed, limit)
        if plain[0] == "Cancelled":  # what had started by then may differ
            continue
        assert rested == plain, f"seed {seed}"
        compared += 1
    assert compared > BLOCK / 2


@pytest.mark.parametrize("block", range(BLOCKS))
async def test_a_run_stopped_while_it_rests_leaves_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        rng = random.Random(seed)
        monkeypatch.setattr(pool, "STAGES_PER_BREATH", rng.choice(OFTEN))
        handle = Runner(max_concurrency=rng.choice((None, 1, 2))).start(Composer(seed).composed(4), 5)
        task = asyncio.ensure_future(handle)
        for _ in range(rng.randint(1, 40)):
            await asyncio.sleep(0)
        stopped += not task.done()
        if rng.random() < 0.5:
            handle.cancel("enough")
        else:
            task.cancel()
        await asyncio.wait([task])
        assert asyncio.all_tasks() == {asyncio.current_task()}, f"seed {seed}"
    assert stopped > BLOCK / 4
