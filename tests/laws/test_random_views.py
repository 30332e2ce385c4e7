"""Random compositions, drawn and reported: nothing hangs in the air, and a store tells what the outcome told."""

from __future__ import annotations

import random
from collections import Counter
from uuid import uuid4

import pytest

from stageflow import PipelineContext, Runner, StageStatus
from stageflow.stores import MemoryRunStore
from stageflow.views.report import stored_report
from tests.compositions import Composer, IntStage

BLOCK, BLOCKS = 40, 4


def made_up(seed: int) -> IntStage:
    composer = Composer(seed)
    return composer.leaf() | composer.composed(random.Random(seed).randint(2, 5))


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_stage_of_a_diagram_has_something_before_it_and_something_after_it(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        diagram = made_up(seed).diagram()
        leads_in, leads_out = ({getattr(edge, end) for edge in diagram.edges} for end in ("target", "source"))
        nodes = {node.id for node in diagram.nodes}
        assert nodes - leads_in == nodes - leads_out == set(), f"seed {seed}"


@pytest.mark.parametrize("block", range(BLOCKS))
async def test_a_stored_run_is_reported_as_its_outcome_was(block: int) -> None:
    seen = Counter[StageStatus]()
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        pipeline, store, run_id = made_up(seed), MemoryRunStore(), uuid4()
        outcome = await Runner(store=store).run(pipeline, 5, context=PipelineContext(run_id=run_id))
        run = await store.get_run(run_id)
        assert run is not None
        report = stored_report(run, await store.load(run_id), pipeline.graph())
        told = {stage.name: stage.status for stage in report.stages}
        assert not [name for name in told if name.startswith("~")]
        failed, drawn = run.status == "failed", {node.id for node in pipeline.diagram().nodes}
        for name, result in outcome.report.stages.items():
            # What was cut off may have been recorded by then; and a failed run keeps no reason of what never ran.
            if result.status is StageStatus.OK or (result.status is StageStatus.SKIP and name in drawn and not failed):
                assert told[name] == result.status.value, f"seed {seed}: {name}"
                seen[result.status] += 1
    assert min(seen[StageStatus.OK], seen[StageStatus.SKIP]) > BLOCK
