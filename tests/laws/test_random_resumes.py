"""Random compositions whose store is lost again and again: resumed, they come to what an undisturbed run comes to.

What is recorded as ended does not run again.
"""

from __future__ import annotations

import asyncio
import random
from typing import Literal
from uuid import uuid4

import pytest
from returns.result import Failure
from typing_extensions import Never

from stageflow import Completed, Failed, PipelineContext, Runner, RunStoreError, Skipped
from tests.compositions import Composer
from tests.lost_store import Losing

BLOCK, BLOCKS = 40, 8
LIVES = 6  # of a store: then it stays


def seen(outcome: object) -> tuple[str, object, object]:
    """What must be the same; how often something was tried need not be, since what was cut off counts."""
    match outcome:
        case Completed(value):
            what: object = value
        case Failed(_, errors):
            return "failed", sorted(map(str, errors)), None  # who else was cancelled meanwhile is a race
        case Skipped(reason):
            what = reason
        case _:
            return "cancelled", None, None
    stages = {
        name: (result.status, result.reason, str(result.error), result.data)
        for name, result in outcome.report.stages.items()
        if result.error is None and not isinstance(result.data, Failure)
    }
    return type(outcome).__name__, what, stages


async def undisturbed_and_resumed(seed: int) -> int:
    """Compares the two, and says how often the store was lost."""
    composer, rng = Composer(seed), random.Random(-seed)
    pipeline, run_id, lost = composer.leaf() | composer.composed(rng.randint(2, 4)), uuid4(), 0
    on_failure: Literal["cancel", "finish"] = rng.choice(("cancel", "finish"))
    expected = seen(await Runner(on_failure=on_failure).run(pipeline, 5))
    composer.ran.clear()
    store = Losing(rng.randint(0, 12), acknowledges=rng.random() < 0.5)

    def runner() -> Runner[Never]:
        return Runner(store=store, on_failure=on_failure, max_concurrency=rng.choice((None, 1, 2)))

    going = runner().run(pipeline, 5, context=PipelineContext(run_id=run_id))
    while True:
        before, ended = composer.ran.copy(), [one.path for one in await recorded(store, run_id)]
        try:
            outcome = await asyncio.wait_for(going, 30)
        except RunStoreError:
            outcome = None
        assert composer.runs_again or {path: composer.ran[path] - before[path] for path in ended} == dict.fromkeys(
            ended, 0
        )
        if outcome is not None:
            assert seen(outcome) == expected
            return lost
        lost += 1
        store.left = rng.randint(0, 12) if lost < LIVES else 1_000_000
        await store.freed(run_id)
        going = runner().resume(pipeline, run_id)


async def recorded(store: Losing, run_id: object):
    return [one for one in await store.load(run_id) if one.status in {"ok", "skip"}]


@pytest.mark.parametrize("block", range(BLOCKS))
async def test_a_composition_whose_store_is_lost_comes_to_what_it_would_have(block: int) -> None:
    lost = 0
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        try:
            lost += await undisturbed_and_resumed(seed)
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
    assert lost > BLOCK / 4
