"""Random graphs against a naive reference: evaluate in topological order, one stage after the other."""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from typing import Literal
from uuid import UUID

import pytest
from returns.result import Result

from stageflow import (
    Completed,
    Failed,
    Pipeline,
    PipelineContext,
    PipelineResult,
    Runner,
    RunStoreError,
    Skipped,
    Stage,
    StageError,
    StageExecutionError,
    StageInputs,
    StageOutput,
    StageOutputs,
    StageStatus,
    UnifiedStageSpec,
    fail,
    ok,
    skip,
    stage,
)
from tests.lost_store import Losing

AnyStage = Stage[object, object, StageError]
AnyPipeline = Pipeline[object, object, StageError]
Outcome = PipelineResult[object, StageError]
OK, SKIP, FAIL, CANCEL = StageStatus.OK, StageStatus.SKIP, StageStatus.FAIL, StageStatus.CANCEL
BLOCK = 60  # graphs a test
BLOCKS = 20  # so 1,200 graphs, each run under both ways to fail
INPUT = "the input"


class BrokenError(StageError):
    by: str


@dataclass(frozen=True, slots=True)
class Node:
    """One stage of a random graph: what it follows, what it does, and how often it suspends meanwhile."""

    name: str
    after: tuple[str, ...]
    does: Literal["ok", "skip", "fail", "raise"]
    condition: bool | None
    optional: bool
    suspends: int


@dataclass(frozen=True, slots=True)
class Graph:
    nodes: tuple[Node, ...]  # as they are declared, which need not be an order in which they can run
    wiring: Literal["specs", "names", "handles"]
    returning: str | None
    limit: int | None


def made_up(seed: int) -> Graph:
    rng = random.Random(seed)
    names = [f"s{number}" for number in range(rng.randint(4, 30))]
    bad = rng.choice((0.0, 0.05, 0.15, 0.4))
    most = rng.choice((1, 2, 4))
    nodes = [
        Node(
            name,
            tuple(rng.sample(names[:number], min(number, rng.randint(0, most)))),
            rng.choice(("skip", "skip", "fail", "raise")) if rng.random() < bad else "ok",
            rng.random() > bad if rng.random() < 0.2 else None,
            rng.random() < 0.3,
            rng.choice((0, 0, 0, 1, 2, 5)),
        )
        for number, name in enumerate(names)
    ]
    if rng.random() < 0.8:  # otherwise it is declared in an order in which it can run
        rng.shuffle(nodes)
    wiring = rng.choice(("specs", "names", "handles"))
    returning = rng.choice(names) if rng.random() < 0.4 else None
    return Graph(tuple(nodes), wiring, returning, rng.choice((None, None, 1, 3)))


def mixed(name: str, value: object) -> int:
    """An output that tells every input apart and stays small however deep the graph is."""
    return zlib.crc32(f"{name}:{value!r}".encode())


# The reference


@dataclass(slots=True)
class Expected:
    order: list[str] = field(default_factory=list)
    statuses: dict[str, StageStatus] = field(default_factory=dict)
    outputs: dict[str, object] = field(default_factory=dict)
    errors: list[tuple[str, type[StageError]]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)  # of those that skipped, or follow what did not end OK
    started: set[str] = field(default_factory=set)


def in_order(nodes: tuple[Node, ...]) -> list[Node]:
    """Topological, ties by declaration: always the first declared of those that may come next."""
    order: list[Node] = []
    placed: set[str] = set()
    while len(order) < len(nodes):
        node = next(one for one in nodes if one.name not in placed and placed.issuperset(one.after))
        order.append(node)
        placed.add(node.name)
    return order


def evaluated(graph: Graph) -> Expected:
    expected = Expected()
    whys: dict[str, str] = {}  # what those that follow it are told
    for node in in_order(graph.nodes):
        name, statuses = node.name, expected.statuses
        expected.order.append(name)
        culprit = next((at for kind in (SKIP, FAIL, CANCEL) for at in node.after if statuses[at] is kind), None)
        if culprit is not None:
            statuses[name] = SKIP if statuses[culprit] is SKIP else CANCEL
            expected.reasons[name] = whys[name] = whys[culprit]
            continue
        expected.started.add(name)
        given = [expected.outputs[at] for at in node.after]
        value = INPUT if not given else given[0] if len(given) == 1 else tuple(given)
        skipped = (
            "its condition was false" if node.condition is False else f"{name} skips" if node.does == "skip" else ""
        )
        if skipped and node.optional:
            statuses[name], expected.outputs[name] = OK, None
        elif skipped:
            statuses[name] = SKIP
            expected.reasons[name], whys[name] = skipped, f"{name}: {skipped}"
        elif node.does == "ok":
            statuses[name], expected.outputs[name] = OK, mixed(name, value)
        else:
            statuses[name] = FAIL
            raised = node.does == "raise"
            expected.errors.append((name, StageExecutionError if raised else BrokenError))
            whys[name] = f'Stage "{name}" raised ValueError: {name} raises' if raised else f"{name}: {name} breaks"
    return expected


# The library


def stage_of(node: Node) -> AnyStage:
    @stage(name=node.name)
    async def run(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        for _ in range(node.suspends):
            await asyncio.sleep(0)
        match node.does:
            case "ok":
                return ok(mixed(node.name, inputs.value))
            case "skip":
                return skip(f"{node.name} skips")
            case "fail":
                return fail(BrokenError(f"{node.name} breaks", by=node.name))
            case "raise":
                raise ValueError(f"{node.name} raises")

    made: AnyStage = run
    if node.condition is not None:
        condition = node.condition
        made = made.when(lambda _: condition)
    return made.optional() if node.optional else made


def pipeline_of(graph: Graph) -> AnyPipeline:
    stages = {node.name: stage_of(node) for node in graph.nodes}
    made: AnyPipeline
    if graph.wiring == "specs":
        made = Pipeline.from_specs(
            UnifiedStageSpec(node.name, stages[node.name], dependencies=node.after) for node in graph.nodes
        )
    else:
        made = Pipeline.of(object)
        for node in graph.nodes:
            if graph.wiring == "names":
                made = made.with_stage(node.name, stages[node.name], dependencies=node.after)
            else:
                handles = tuple(stages[name] for name in node.after)
                after = handles[0] if len(handles) == 1 else handles
                made = made.with_stage(stages[node.name], after=after)  # type: ignore[call-overload]
    return made if graph.returning is None else made.returning(stages[graph.returning])


def first_of(error: StageError) -> str:
    return (
        error.by if isinstance(error, BrokenError) else error.stage if isinstance(error, StageExecutionError) else "?"
    )


def blamed(errors: tuple[StageError, ...]) -> list[tuple[str, type[StageError]]]:
    return [(first_of(error), type(error)) for error in errors]


def check_whole(graph: Graph, expected: Expected, outcome: Outcome) -> None:
    """Everything is as the reference has it."""
    stages = outcome.report.stages
    assert list(stages) == expected.order
    assert {name: result.status for name, result in stages.items()} == expected.statuses
    assert list(outcome.report.outputs.by_name().items()) == [
        (name, expected.outputs[name]) for name in expected.order if name in expected.outputs
    ]
    assert {name for name, result in stages.items() if result.attempts} == expected.started
    assert {name: result.reason for name, result in stages.items() if result.reason} == expected.reasons
    check_outcome(graph, expected, outcome)


def check_outcome(graph: Graph, expected: Expected, outcome: Outcome) -> None:
    if expected.errors:
        assert isinstance(outcome, Failed)
        assert blamed(outcome.errors) == expected.errors
        assert any(outcome.error is error for error in outcome.errors)
        return
    followed = {name for node in graph.nodes for name in node.after}
    ends = [name for name in expected.order if name not in followed] if graph.returning is None else [graph.returning]
    if all(expected.statuses[name] is SKIP for name in ends):
        assert isinstance(outcome, Skipped)
        culprit = expected.reasons[ends[0]]
        assert outcome.reason in (culprit, f"{ends[0]}: {culprit}")
    elif graph.returning is None:
        assert isinstance(outcome, Completed)
        assert isinstance(outcome.value, StageOutputs)
        assert outcome.value.by_name() == expected.outputs
    else:
        assert isinstance(outcome, Completed)
        assert outcome.value == expected.outputs[graph.returning]


def check_cancelled_by_failure(graph: Graph, expected: Expected, outcome: Outcome) -> None:
    """What had started when the first failure came may differ; the rest may not."""
    assert isinstance(outcome, Failed)
    stages = outcome.report.stages
    assert list(stages) == expected.order
    found = blamed(outcome.errors)
    assert found == [error for error in expected.errors if error in found]
    assert any(outcome.error is error for error in outcome.errors)
    outputs = outcome.report.outputs.by_name()
    for node in graph.nodes:
        result, above = stages[node.name], [stages[name].status for name in node.after]
        assert result.status in (expected.statuses[node.name], CANCEL)
        assert (result.status is OK) == (node.name in outputs)
        if result.status is OK:
            assert outputs[node.name] == expected.outputs[node.name]
        if result.attempts:
            assert all(status is OK for status in above)
        else:
            assert result.status is (SKIP if SKIP in above else CANCEL)
            assert result.reason


def without_suspending(graph: Graph) -> Graph:
    return replace(graph, nodes=tuple(replace(node, suspends=0) for node in graph.nodes))


@pytest.mark.parametrize("block", range(BLOCKS))
async def test_random_graphs_come_to_what_the_reference_says_whatever_fails(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        graph = made_up(seed)
        expected = evaluated(graph)
        pipeline = pipeline_of(graph)
        try:
            assert pipeline.build().unwrap().stages == tuple(expected.order)
            finish = Runner(on_failure="finish", max_concurrency=graph.limit)
            check_whole(graph, expected, await finish.run(pipeline, INPUT))
            outcome = await Runner(max_concurrency=graph.limit).run(pipeline, INPUT)
            if expected.errors:
                check_cancelled_by_failure(graph, expected, outcome)
            else:
                check_whole(graph, expected, outcome)
        except AssertionError as error:
            error.add_note(f"seed {seed}: {graph}")
            raise


async def test_random_graphs_come_to_the_same_however_often_their_stages_suspend() -> None:
    runner = Runner(on_failure="finish")
    for seed in range(5000, 5200):
        graph = made_up(seed)
        calm = without_suspending(graph)
        check_whole(graph, evaluated(graph), await runner.run(pipeline_of(calm), INPUT))


async def test_random_graphs_that_lose_their_store_twice_and_are_resumed_come_to_what_the_reference_says() -> None:
    lost = 0
    for seed in range(7000, 7150):
        graph, chance, run_id = made_up(seed), random.Random(seed), UUID(int=seed)
        expected, pipeline = evaluated(graph), pipeline_of(graph)
        context = PipelineContext(run_id=run_id)
        store = Losing(chance.randint(0, len(graph.nodes) - 1), acknowledges=chance.random() < 0.5)
        runner = Runner(store=store, on_failure="finish", max_concurrency=graph.limit)
        going: Awaitable[Outcome] = runner.run(pipeline, INPUT, context=context)
        try:
            for keeps in (chance.randint(0, 5), 1_000):
                try:
                    outcome = await going
                except RunStoreError:
                    lost += 1
                    await store.freed(run_id)
                store.left = keeps
                going = runner.resume(pipeline, run_id)
            outcome = await going
            check_whole(graph, expected, outcome)
        except AssertionError as error:
            error.add_note(f"seed {seed}: {graph}")
            raise
    assert lost > 150


def test_the_random_graphs_are_of_many_kinds() -> None:
    graphs = [made_up(seed) for seed in range(BLOCK * BLOCKS)]
    kinds = [evaluated(graph) for graph in graphs]
    assert {len(graph.nodes) for graph in graphs} == set(range(4, 31))
    assert sum(bool(kind.errors) for kind in kinds) > 300
    assert sum(len(kind.errors) > 1 for kind in kinds) > 100
    assert sum(SKIP in kind.statuses.values() and not kind.errors for kind in kinds) > 50
    assert sum(set(kind.statuses.values()) == {OK} for kind in kinds) > 200
    assert sum(None in kind.outputs.values() for kind in kinds) > 50
