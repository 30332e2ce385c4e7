"""Stages as data: `UnifiedStageSpec`, `StageSpec`, and the exception-style `StageGraph`."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from uuid import UUID

import pytest

from stageflow import (
    MissingPortError,
    Pipeline,
    PipelineContext,
    PipelineValidationError,
    PortKey,
    StageExecutionError,
    StageGraph,
    StageKind,
    StageOutput,
    StagePorts,
    StageResult,
    StageSpec,
    StageStatus,
    UnifiedPipelineCancelled,
    UnifiedStageSpec,
    lift,
    stage,
)

GREETING: PortKey[str] = PortKey("greeting")


@lift
def length(text: str) -> int:
    return len(text)


def never(inputs: object) -> bool:
    return False


async def fetch(context: PipelineContext) -> str:
    return "page"


async def count(context: PipelineContext) -> int:
    return len(str(context.outputs["fetch"]))


async def explode(context: PipelineContext) -> int:
    raise ValueError("bad digit")


async def stop(context: PipelineContext) -> StageOutput[int]:
    return StageOutput.cancel("enough")


def test_a_spec_says_whether_it_is_conditional() -> None:
    assert UnifiedStageSpec("a", length, when=never).conditional
    assert not UnifiedStageSpec("a", length).conditional
    assert StageSpec("a", fetch, when=never).conditional
    assert not StageSpec("a", fetch).conditional


def test_a_spec_takes_a_list_of_dependencies_and_keeps_a_tuple() -> None:
    assert UnifiedStageSpec("a", length, dependencies=["b", "c"]).dependencies == ("b", "c")  # type: ignore[arg-type]
    assert StageSpec("a", fetch, dependencies=["b"]).dependencies == ("b",)  # type: ignore[arg-type]
    assert UnifiedStageSpec("a", length).dependencies == ()


@pytest.mark.parametrize(
    "make",
    [
        lambda given: UnifiedStageSpec("a", length, dependencies=given),
        lambda given: StageSpec("a", fetch, dependencies=given),
    ],
)
@pytest.mark.parametrize("given", ["fetch", (3,), None, {"fetch"}, ("fetch", None)])
def test_dependencies_are_a_tuple_of_names(make, given) -> None:
    with pytest.raises(TypeError, match='Stage "a"'):
        make(given)


@pytest.mark.parametrize(
    ("make", "other"),
    [
        (
            lambda: UnifiedStageSpec("a", length, StageKind.WORK, ("b",), never),
            UnifiedStageSpec("a", length, StageKind.WORK, ("b",)),
        ),
        (lambda: StageSpec("a", fetch, StageKind.WORK, ("b",), never), StageSpec("a", fetch, StageKind.WORK, ("b",))),
    ],
)
def test_a_spec_is_frozen_equal_and_hashable_by_its_parts(make, other) -> None:
    assert make() == make()
    assert hash(make()) == hash(make())
    assert make() != other
    with pytest.raises(FrozenInstanceError):
        make().name = "other"


def test_specs_of_importable_parts_cross_a_pickle() -> None:
    plain = StageSpec("a", fetch, dependencies=("b",), when=never)
    assert pickle.loads(pickle.dumps(plain)) == plain
    spec = pickle.loads(pickle.dumps(UnifiedStageSpec("a", length, StageKind.WORK, ("b",), never)))
    assert (spec.name, spec.kind, spec.dependencies, spec.when) == ("a", StageKind.WORK, ("b",), never)
    assert spec.stage.shape is length.shape


async def test_a_unified_spec_keeps_the_handle_and_may_change_the_kind() -> None:
    spec = UnifiedStageSpec("size", length, StageKind.GUARD)
    report = (await Pipeline.from_specs([spec]).run("abc")).report
    assert report.outputs[length] == 3
    assert report.stages["size"].kind is StageKind.GUARD


async def test_a_conditional_unified_spec_is_asked_with_the_stages_inputs() -> None:
    spec = UnifiedStageSpec("size", length, when=lambda inputs: len(str(inputs.value)) > 2)
    assert (await Pipeline.from_specs([spec]).run("abc")).report.stages["size"].status is StageStatus.OK
    assert (await Pipeline.from_specs([spec]).run("a")).report.stages["size"].status is StageStatus.SKIP


async def test_a_plain_graph_gives_the_results_by_name() -> None:
    graph = StageGraph([StageSpec("count", count, StageKind.WORK, ("fetch",)), StageSpec("fetch", fetch)])
    results = await graph.run()
    assert list(results) == ["fetch", "count"]
    assert (results["count"].data, results["count"].kind, results["count"].status) == (4, StageKind.WORK, "ok")
    assert all(isinstance(result, StageResult) for result in results.values())


async def test_a_plain_runner_gets_the_runs_context_and_what_it_follows() -> None:
    seen: list[PipelineContext] = []

    async def look(context: PipelineContext) -> None:
        seen.append(context)

    ports = StagePorts().provide(GREETING, "hello")
    specs = [StageSpec("fetch", fetch), StageSpec("other", fetch), StageSpec("look", look, dependencies=("fetch",))]
    await StageGraph(specs).run(PipelineContext(UUID(int=1), ports=ports, deadline=60.0))
    (context,) = seen
    assert (context.run_id, context.ports, context.deadline) == (UUID(int=1), ports, 60.0)
    assert context.outputs == {"fetch": "page"}
    assert context.timer is not None


async def test_a_plain_runner_that_raises_fails_the_run_with_its_exception_as_the_cause() -> None:
    graph = StageGraph([StageSpec("fetch", fetch), StageSpec("explode", explode, dependencies=("fetch",))])
    with pytest.raises(StageExecutionError, match='Stage "explode" raised ValueError: bad digit') as raised:
        await graph.run()
    assert isinstance(raised.value.__cause__, ValueError)
    assert raised.value.stage == "explode"


async def test_a_plain_stage_that_cancels_raises_with_who_why_and_the_results_so_far() -> None:
    specs = [
        StageSpec("fetch", fetch),
        StageSpec("stop", stop, dependencies=("fetch",)),
        StageSpec("count", count, dependencies=("fetch", "stop")),
    ]
    with pytest.raises(UnifiedPipelineCancelled) as raised:
        await StageGraph(specs).run()
    cancelled = raised.value
    assert (cancelled.stage, str(cancelled)) == ("stop", 'Stage "stop" cancelled the run: enough')
    assert cancelled.reason == "enough"
    assert {name: result.status.value for name, result in cancelled.results.items()} == {
        "fetch": "ok",
        "stop": "cancel",
        "count": "cancel",
    }


async def test_a_plain_graph_that_passes_its_deadline_was_cancelled_by_no_stage() -> None:
    import asyncio

    async def wait(context: PipelineContext) -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(UnifiedPipelineCancelled, match="deadline") as raised:
        await StageGraph([StageSpec("wait", wait)]).run(PipelineContext(deadline=0.001))
    assert raised.value.stage == ""
    assert raised.value.results["wait"].status is StageStatus.CANCEL


async def test_a_plain_stage_may_skip_and_be_conditional() -> None:
    async def skipping(context: PipelineContext) -> StageOutput[int]:
        return StageOutput.skip("nothing new")

    specs = [
        StageSpec("fetch", fetch),
        StageSpec("skipping", skipping),
        StageSpec("long", count, dependencies=("fetch",), when=lambda context: len(str(context.outputs["fetch"])) > 9),
        StageSpec("short", count, dependencies=("fetch",), when=lambda context: len(str(context.outputs["fetch"])) < 9),
    ]
    results = await StageGraph(specs).run()
    assert [results[name].status.value for name in ("skipping", "long", "short")] == ["skip", "skip", "ok"]
    assert results["skipping"].reason == "nothing new"


def test_a_plain_graph_checks_its_specs_and_raises_every_problem() -> None:
    specs = [
        StageSpec("a", fetch, dependencies=("b",)),
        StageSpec("a", fetch),
        StageSpec("c", fetch, dependencies=("c",)),
    ]
    with pytest.raises(PipelineValidationError) as raised:
        StageGraph(specs)
    assert len(raised.value.problems) == 3


async def test_a_cancelled_plain_graphs_exception_is_plain_data() -> None:
    with pytest.raises(UnifiedPipelineCancelled) as raised:
        await StageGraph([StageSpec("stop", stop)]).run()
    other = pickle.loads(pickle.dumps(raised.value))
    assert (other.stage, other.reason, dict(other.results)) == ("stop", raised.value.reason, dict(raised.value.results))
    with pytest.raises(TypeError):
        raised.value.results["stop"] = None  # type: ignore[index]


@pytest.mark.parametrize("name", ["stage", "reason", "results"])
def test_a_cancelled_plain_graphs_exception_cannot_be_changed(name) -> None:
    with pytest.raises(AttributeError):
        setattr(UnifiedPipelineCancelled("stop", "enough", {}), name, None)


async def test_a_spec_of_a_stage_with_a_port_names_it_where_it_is_missing() -> None:
    @stage(requires=(GREETING,))
    async def greet(inputs):
        raise AssertionError

    with pytest.raises(MissingPortError, match="greeting"):
        await Pipeline.from_specs([UnifiedStageSpec("greet", greet)]).run("a")
