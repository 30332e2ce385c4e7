"""R14: what crosses the public surface is immutable, hashable and picklable where its parts are."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Never
from uuid import UUID

import pytest
from returns.result import Result

from stageflow import (
    BaseInterceptor,
    CircuitBreakerInterceptor,
    CircuitOpenError,
    Completed,
    CorrelationIds,
    Failed,
    InterceptorContext,
    InterceptorResult,
    LimitInterceptor,
    LoggingInterceptor,
    MissingPortError,
    Pipeline,
    PipelineContext,
    PipelineResult,
    PipelineValidationError,
    PortKey,
    RetryInterceptor,
    Runner,
    RunRecord,
    Stage,
    StageArtifact,
    StageContext,
    StageError,
    StageEvent,
    StageExecutionError,
    StageInputs,
    StageKind,
    StageOutput,
    StagePorts,
    StageResult,
    StageSpec,
    StageStatus,
    StageTimeoutError,
    TimeoutInterceptor,
    UnifiedPipelineCancelled,
    UnifiedStageSpec,
    cancel,
    fail,
    identity,
    lift,
    ok,
    route,
    skip,
    stage,
)

AnyStage = Stage[object, object, StageError]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUN = UUID(int=14)
GREETING: PortKey[str] = PortKey("greeting")
DEEP = 500


class NotFoundError(StageError):
    url: str = ""


@stage
async def add(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    return ok(inputs.value + 1)


@stage
async def double(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    return ok(inputs.value * 2)


@stage
async def parity(inputs: StageInputs[int]) -> Result[StageOutput[bool], Never]:
    return ok(inputs.value % 2 == 0)


@stage
async def missing(inputs: StageInputs[int]) -> Result[StageOutput[int], NotFoundError]:
    return fail(NotFoundError("no such page", url="https://a"))


@stage
async def enough(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    return cancel("enough")


@stage
async def nothing(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    return skip("nothing new")


@stage
async def raising(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    raise ValueError("boom")


@stage
async def rich(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    return ok(3, artifacts=[StageArtifact("file", "a.txt", NOON)], events=[StageEvent("seen", {"n": 1}, NOON)])


@lift
def halve(value: int) -> int:
    return value // 2


async def handled(_: StageError) -> Result[StageOutput[int], Never]:
    return ok(0)


async def plain(_: PipelineContext) -> object:
    return None


def is_odd(inputs: StageInputs[int]) -> bool:
    return inputs.value % 2 == 1


def pair(first: int, second: int) -> tuple[int, int]:
    return (first, second)


VALUES: dict[str, Callable[[], object]] = {
    "output ok": lambda: StageOutput.ok(3),
    "output skip": lambda: StageOutput.skip("none"),
    "output cancel": lambda: StageOutput.cancel("enough"),
    "artifact": lambda: StageArtifact("file", "a.txt", NOON),
    "event": lambda: StageEvent("seen", {"n": 1}, NOON),
    "correlation": lambda: CorrelationIds(run_id=RUN, trace_id="f" * 32, extra={"tenant": "acme"}),
    "ports": lambda: StagePorts().provide(GREETING, "hello"),
    "port key": lambda: PortKey[str]("greeting"),
    "pipeline context": lambda: PipelineContext(
        run_id=RUN,
        correlation=CorrelationIds(extra={"a": "b"}),
        ports=StagePorts().provide(GREETING, "hi"),
        deadline=3.0,
    ),
    "stage result": lambda: StageResult("fetch", StageKind.WORK, StageStatus.OK, 1, NOON, 3.0, data=(1, 2)),
    "run record": lambda: RunRecord(RUN, "running", {"pipeline": "a|b"}, NOON, NOON),
    "error": lambda: NotFoundError("no", url="https://a"),
    "timeout error": lambda: StageTimeoutError("late", seconds=3.0),
    "open error": lambda: CircuitOpenError("open", retry_after=2.0),
    "defect": lambda: StageExecutionError("boom", stage="fetch"),
    "missing port": lambda: MissingPortError("no port", stage="fetch"),
    "validation error": lambda: PipelineValidationError(("one", "two")),
    "spec": lambda: UnifiedStageSpec("add", add, StageKind.WORK, ("before",)),
    "plain spec": lambda: StageSpec("plain", plain, StageKind.GUARD, ("before",)),
    "timeout": lambda: TimeoutInterceptor(3.0),
    "retry": lambda: RetryInterceptor(attempts=2),
    "breaker": lambda: CircuitBreakerInterceptor(failures=2),
    "limit": lambda: LimitInterceptor(2),
    "logging": LoggingInterceptor,
    "interceptor result": lambda: InterceptorResult.deny(NotFoundError("no")),
    "kind": lambda: StageKind.AGENT,
    "status": lambda: StageStatus.RETRY,
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_equal_to_another_of_equal_parts_and_has_its_hash(name: str) -> None:
    one, other = VALUES[name](), VALUES[name]()
    assert one == other
    assert hash(one) == hash(other)
    assert one != object()


@pytest.mark.parametrize("name", [name for name in VALUES if name != "spec"])
def test_a_value_comes_back_equal_from_a_pickle_and_a_deep_copy(name: str) -> None:
    one = VALUES[name]()
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        back = pickle.loads(pickle.dumps(one, protocol))
        assert type(back) is type(one)
        assert back == one
        assert hash(back) == hash(one)
    assert copy.deepcopy(one) == one


def test_a_spec_comes_back_from_a_pickle_with_a_handle_on_the_same_stage() -> None:
    spec = UnifiedStageSpec("add", add, StageKind.WORK, ("before",))
    back = pickle.loads(pickle.dumps(spec))
    assert back.stage.shape is add.shape  # stages are the same where they are one, whoever holds the handle
    assert dataclasses.replace(back, stage=add) == spec


@pytest.mark.parametrize("name", VALUES)
def test_a_value_cannot_be_changed(name: str) -> None:
    one = VALUES[name]()
    for attribute in attributes(one):
        with pytest.raises((AttributeError, TypeError)):
            setattr(one, attribute, None)
        with pytest.raises((AttributeError, TypeError)):
            delattr(one, attribute)


@pytest.mark.parametrize("name", VALUES)
def test_what_a_value_holds_is_read_only(name: str) -> None:
    one = VALUES[name]()
    for attribute in attributes(one):
        held = getattr(one, attribute)
        assert not isinstance(held, list | dict | set | bytearray), attribute
        if isinstance(held, Mapping):
            with pytest.raises(TypeError):
                held["x"] = 1  # type: ignore[index]


def attributes(value: object) -> list[str]:
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value) if field.name in dir(value)]
    public = [name for name in dir(type(value)) if isinstance(getattr(type(value), name, None), property)]
    return [name for name in public if not name.startswith("_")]


@pytest.mark.parametrize("name", [name for name in VALUES if dataclasses.is_dataclass(VALUES[name]())])
def test_a_dataclass_of_the_surface_is_slotted_or_an_error(name: str) -> None:
    one = VALUES[name]()
    assert isinstance(one, Exception) or not hasattr(one, "__dict__")


@pytest.mark.parametrize("made", [StageEvent, CorrelationIds, PipelineContext, RunRecord])
def test_a_mapping_that_was_given_is_not_the_one_that_is_kept(made: type) -> None:
    given: dict[str, object] = {"a": "b"}
    kept: Callable[[], Mapping[str, object]]
    if made is StageEvent:
        event = StageEvent("seen", given)
        kept = lambda: event.data  # noqa: E731
    elif made is CorrelationIds:
        ids = CorrelationIds(extra=given)  # type: ignore[arg-type]
        kept = lambda: ids.extra  # noqa: E731
    elif made is PipelineContext:
        context = PipelineContext(outputs=given)
        kept = lambda: context.outputs  # noqa: E731
    else:
        record = RunRecord(RUN, "running", given, NOON, NOON)
        kept = lambda: record.metadata  # noqa: E731
    given["c"] = "d"
    assert dict(kept()) == {"a": "b"}


def test_what_does_not_hash_inside_makes_a_value_that_does_not_hash() -> None:
    with pytest.raises(TypeError):
        hash(StageOutput.ok([1]))
    with pytest.raises(TypeError):
        hash(StageEvent("seen", {"n": [1]}, NOON))


# Stages, pipelines and graphs

SHAPES: dict[str, Callable[[], AnyStage]] = {
    "a stage": lambda: add,
    "a lifted stage": lambda: halve,
    "then": lambda: add | double | halve,
    "branches": (add & double).together,
    "into": lambda: (add & double).into(pair),
    "named": lambda: (add | double).named("both"),
    "each": lambda: add.each(limit=3),
    "optional": nothing.optional,
    "settled": missing.settled,
    "recover": lambda: missing.recover(handled),
    "when": lambda: add.when(is_odd),
    "using": lambda: add.using(TimeoutInterceptor(3.0)).using(RetryInterceptor()).using(CircuitBreakerInterceptor()),
    "route": lambda: route(parity).case(True, add).case(False, double).exhaustive(),
    "route otherwise": lambda: route(parity).case(True, add).otherwise(double),
    "identity": lambda: identity(int) | add,
    "handles": lambda: Pipeline.of(int).with_stage(add).with_stage(double, after=add).returning(double),
    "names": lambda: Pipeline.of(int).with_stage("a", add).with_stage("b", double, dependencies=("a",)),
    "specs": lambda: Pipeline.from_specs([UnifiedStageSpec("a", add), UnifiedStageSpec("b", double, None, ("a",))]),
    "composed": lambda: Pipeline.of(int).with_stage(add).compose(Pipeline.of(int).with_stage(double)),
    "replaced": lambda: (add | double).replacing(double).by(halve),
}


async def shown(running: Awaitable[PipelineResult[object, StageError]]) -> object:
    outcome = await running
    stages = [(result.name, result.status, result.data) for result in outcome.report.stages.values()]
    return type(outcome), stages


@pytest.mark.parametrize("name", SHAPES)
async def test_a_pipeline_crosses_a_pickle_and_so_does_its_graph(name: str) -> None:
    pipeline = SHAPES[name]()
    value = [1, 2] if name == "each" else 3
    wanted = await shown(pipeline.run(value))
    again = pickle.loads(pickle.dumps(pipeline))
    assert type(again) is type(pipeline)
    assert await shown(again.run(value)) == wanted
    graph = pickle.loads(pickle.dumps(pipeline.graph()))
    assert graph.stages == pipeline.graph().stages
    assert await shown(graph.run(value)) == wanted


@pytest.mark.parametrize("name", SHAPES)
def test_a_pipeline_and_its_graph_hash_and_cannot_be_changed(name: str) -> None:
    pipeline = SHAPES[name]()
    for one in (pipeline, pipeline.graph()):
        hash(one)
        for attribute in ("name", "shape", "something_new"):
            with pytest.raises(AttributeError):
                setattr(one, attribute, None)


def test_no_operator_changes_what_it_is_applied_to() -> None:
    first = add | double
    before = first.graph().stages
    for _ in (
        first | halve,
        (first & halve).together(),
        first.named("n"),
        first.optional(),
        first.using(RetryInterceptor()),
        first.when(is_odd),
        first.replacing(add).by(halve),
    ):
        assert Pipeline(first.shape).graph().stages == before
    wired = Pipeline.of(int).with_stage(add)
    one, two = wired.with_stage(double), wired.with_stage(halve)
    assert wired.graph().stages == ("add",)
    assert one.graph().stages == ("add", "double")
    assert two.graph().stages == ("add", "halve")


def test_using_on_a_runner_leaves_the_runner_as_it_was() -> None:
    runner = Runner()
    assert runner.using(RetryInterceptor()) is not runner
    with pytest.raises(AttributeError):
        runner.something_new = 1  # type: ignore[attr-defined]


# Outcomes and reports

OUTCOMES: dict[str, AnyStage] = {
    "completed": add | rich,
    "failed": add | missing,
    "defect": add | raising,
    "skipped": add | nothing | double,
    "cancelled": add | enough | double,
}


@pytest.mark.parametrize("name", OUTCOMES)
async def test_an_outcome_and_its_report_cross_a_pickle_as_plain_data(name: str) -> None:
    outcome = await OUTCOMES[name].run(1)
    back = pickle.loads(pickle.dumps(outcome))
    assert back == outcome
    assert hash(back) == hash(outcome)
    assert back.report.stages == outcome.report.stages
    assert list(back.report.stages) == list(outcome.report.stages)
    assert back.report.outputs.by_name() == outcome.report.outputs.by_name()
    assert (back.report.started_at, back.report.duration_ms) == (outcome.report.started_at, outcome.report.duration_ms)
    assert b"Ledger" not in pickle.dumps(outcome)


@pytest.mark.parametrize("name", OUTCOMES)
async def test_an_outcome_and_its_report_cannot_be_changed(name: str) -> None:
    outcome = await OUTCOMES[name].run(1)
    for field in dataclasses.fields(outcome):
        with pytest.raises(AttributeError):
            setattr(outcome, field.name, None)
    report = outcome.report
    for attribute in ("run_id", "correlation", "started_at", "duration_ms", "stages", "outputs", "something_new"):
        with pytest.raises(AttributeError):
            setattr(report, attribute, None)
    with pytest.raises(TypeError):
        report.stages["add"] = None  # type: ignore[index]
    with pytest.raises(TypeError):
        report.outputs["add"] = None  # type: ignore[index]


async def test_a_report_stays_as_it_is_whatever_runs_later() -> None:
    graph = (add | double).graph()
    outcome = await graph.run(1)
    before = dict(outcome.report.stages)
    await graph.run(10)
    assert dict(outcome.report.stages) == before
    assert outcome.report.outputs[double] == 4


async def test_what_a_host_gets_of_by_name_is_its_own() -> None:
    outcome = await (add | double).run(1)
    taken = outcome.report.outputs.by_name()
    if isinstance(taken, dict):
        taken["add"] = "changed"
    assert outcome.report.outputs.by_name()["add"] == 2


async def test_an_error_keeps_its_cause_in_process_and_its_fields_across_a_pickle() -> None:
    outcome = await OUTCOMES["defect"].run(1)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error.__cause__, ValueError)
    back = pickle.loads(pickle.dumps(outcome.error))
    assert back == outcome.error
    assert back.stage == "raising"  # type: ignore[union-attr]


async def test_the_exception_of_the_exception_style_crosses_a_pickle() -> None:
    results = {"a": StageResult("a", StageKind.WORK, StageStatus.OK)}
    error = UnifiedPipelineCancelled("a", "enough", results)
    back = pickle.loads(pickle.dumps(error))
    assert (back.stage, back.reason, dict(back.results)) == ("a", "enough", results)


async def test_what_a_stage_sees_cannot_be_changed() -> None:
    refused: list[str] = []

    @stage
    async def tampering(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
        for one, attributes in (
            (inputs, ("value", "context", "ports", "attempt")),
            (inputs.context, ("run_id", "stage", "attempt", "correlation")),
        ):
            for attribute in attributes:
                try:
                    setattr(one, attribute, None)
                except AttributeError:
                    refused.append(attribute)
        return ok(inputs.value)

    outcome = await tampering.run(3)
    assert isinstance(outcome, Completed)
    assert refused == ["value", "context", "ports", "attempt", "run_id", "stage", "attempt", "correlation"]


async def test_what_a_hook_sees_is_frozen() -> None:
    seen: list[InterceptorContext] = []

    class Seeing(BaseInterceptor[Never]):
        async def before(self, context: InterceptorContext, /) -> InterceptorResult[Never]:
            seen.append(context)
            return InterceptorResult.proceed()

    await add.using(Seeing()).run(1)
    (context,) = seen
    assert isinstance(context.stage, StageContext)
    for attribute in ("stage", "value"):
        with pytest.raises(AttributeError):
            setattr(context, attribute, None)


# Nested


NESTED: dict[str, Callable[[AnyStage, int], AnyStage]] = {
    "each": lambda inner, _: inner.each(),
    "optional": lambda inner, _: inner.optional(),
    "recover": lambda inner, _: inner.recover(handled),
    "using": lambda inner, _: inner.using(TimeoutInterceptor(60.0)),
    "when": lambda inner, _: inner.when(bool),
    "named": lambda inner, depth: inner.named(f"n{depth}"),
    "named pipelines": lambda inner, depth: (inner | double.named("more")).named(f"n{depth}"),
    "route": lambda inner, depth: (
        route(parity.named(f"w{depth}")).case(True, inner).otherwise(double.named(f"d{depth}"))
    ),
}


@pytest.mark.parametrize("kind", NESTED)
async def test_composites_nested_five_hundred_deep_cross_a_pickle(kind: str) -> None:
    made: AnyStage = add
    for depth in range(DEEP):
        made = NESTED[kind](made, depth)
    again = pickle.loads(pickle.dumps(made))
    assert again.graph().stages == made.graph().stages


async def test_a_long_pipeline_crosses_a_pickle() -> None:
    made: AnyStage = identity(int)
    for number in range(5_000):
        made |= add.named(f"s{number}")
    again = pickle.loads(pickle.dumps(made))
    assert again.graph().stages == made.graph().stages


async def test_the_report_of_a_long_run_crosses_a_pickle() -> None:
    made: AnyStage = identity(int)
    for number in range(5_000):
        made |= add.named(f"s{number}")
    outcome = await made.run(0)
    assert pickle.loads(pickle.dumps(outcome)) == outcome


@pytest.mark.parametrize("kind", NESTED)
def test_composites_nested_five_hundred_deep_are_shown_and_hashed(kind: str) -> None:
    made: AnyStage = add
    for depth in range(DEEP):
        made = NESTED[kind](made, depth)
    assert repr(made)
    hash(made)
