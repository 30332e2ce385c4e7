"""What a running stage can see: `PipelineContext`, `StageContext` and `StageInputs`."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from uuid import UUID

import pytest

from stageflow import (
    Completed,
    CorrelationIds,
    Pipeline,
    PipelineContext,
    PipelineTimer,
    PortKey,
    StageContext,
    StageInputs,
    StageKind,
    StagePorts,
    UndeclaredDependencyError,
    lift,
    ok,
    stage,
)

RUN = UUID(int=1)
GREETING: PortKey[str] = PortKey("greeting")
PORTS = StagePorts().provide(GREETING, "hello")
IDS = CorrelationIds(trace_id="ab" * 16)


class Settings:
    """Configuration from a dict."""

    def __init__(self, **values: object) -> None:
        self._values = values

    def get(self, key: str, default: object = None) -> object:
        return self._values.get(key, default)


def test_a_context_carries_nothing_unless_given() -> None:
    context = PipelineContext()
    assert (context.run_id, context.timer, context.config, context.sink, context.deadline) == (None,) * 5
    assert (context.correlation, context.ports, context.outputs) == (CorrelationIds(), StagePorts(), {})


def test_a_fork_has_the_same_ports_and_config_and_a_run_of_its_own(told) -> None:
    config = Settings()
    parent = PipelineContext(RUN, IDS, PORTS, config, told, 5.0, PipelineTimer(), {"fetch": 3})
    child = parent.fork()
    assert (child.run_id, child.timer, child.outputs) == (None, None, {})
    assert (child.correlation, child.ports, child.config, child.sink, child.deadline) == (IDS, PORTS, config, told, 5.0)
    assert parent.run_id == RUN


def test_a_fork_may_have_ids_of_its_own() -> None:
    own = CorrelationIds(trace_id="cd" * 16)
    assert PipelineContext(correlation=IDS).fork(correlation=own).correlation == own


@pytest.mark.parametrize("name", ["run_id", "ports", "outputs", "deadline", "timer"])
def test_a_context_is_frozen(name) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(PipelineContext(), name, None)


def test_a_contexts_outputs_are_read_only_and_no_longer_the_callers_own() -> None:
    given = {"fetch": 3}
    context = PipelineContext(outputs=given)
    given["fetch"] = 4
    assert context.outputs == {"fetch": 3}
    with pytest.raises(TypeError):
        context.outputs["fetch"] = 5  # type: ignore[index]


def test_a_context_is_equal_hashes_and_pickles_by_its_parts() -> None:
    context, same = (PipelineContext(RUN, IDS, PORTS, deadline=2.0, outputs={"fetch": [3]}) for _ in range(2))
    assert context == same
    assert hash(context) == hash(same)
    assert pickle.loads(pickle.dumps(context)) == context
    assert context != PipelineContext(RUN, IDS, PORTS)


@pytest.mark.parametrize("deadline", [0.0, -1.0, float("nan")])
def test_a_deadline_is_more_than_nothing(deadline) -> None:
    with pytest.raises(ValueError, match="must be more than 0 seconds"):
        PipelineContext(deadline=deadline)


def test_a_stage_context_made_by_hand_is_that_of_a_first_attempt() -> None:
    context = StageContext()
    assert (context.stage, context.kind, context.attempt) == ("", StageKind.TRANSFORM, 1)
    assert isinstance(context.run_id, UUID)
    assert context.run_id != StageContext().run_id


def test_a_stage_context_is_frozen_equal_and_picklable_by_its_parts(clock) -> None:
    timer = clock.timer()
    context = StageContext(RUN, "fetch", StageKind.WORK, 2, IDS, timer=timer)
    assert context == StageContext(RUN, "fetch", StageKind.WORK, 2, IDS, timer=timer)
    assert hash(context) == hash(StageContext(RUN, "fetch", StageKind.WORK, 2, IDS, timer=timer))
    with pytest.raises(FrozenInstanceError):
        context.attempt = 3  # type: ignore[misc]
    other = pickle.loads(pickle.dumps(StageContext(RUN, "fetch", correlation=IDS)))
    assert (other.run_id, other.stage, other.correlation) == (RUN, "fetch", IDS)


def test_what_remains_is_the_deadline_less_what_has_elapsed(clock) -> None:
    context = StageContext(timer=clock.timer(), deadline=5.0)
    clock.advance(2.0)
    assert context.remaining == pytest.approx(3.0)
    assert StageContext(timer=clock.timer()).remaining is None


def test_an_event_of_a_stages_own_says_of_which_run_stage_and_attempt(told) -> None:
    context = StageContext(RUN, "fetch", attempt=2, correlation=IDS, sink=told)
    context.emit("page.seen", {"url": "https://a"})
    context.emit("done")
    about = {"run_id": str(RUN), "trace_id": IDS.trace_id, "stage": "fetch", "attempt": 2}
    assert told.events == [("page.seen", {**about, "url": "https://a"}), ("done", about)]


def test_an_event_without_a_sink_goes_nowhere() -> None:
    assert StageContext().emit("page.seen", {"url": "https://a"}) is None


def test_inputs_made_by_hand_have_the_value_the_ports_and_a_context() -> None:
    context = StageContext(RUN, "fetch")
    inputs = StageInputs("a", ports=PORTS, context=context)
    assert (inputs.value, inputs.ports, inputs.context, inputs.attempt) == ("a", PORTS, context, 1)
    assert repr(inputs) == "StageInputs('a')"


def test_inputs_made_of_a_value_alone_make_ports_and_context_once_asked() -> None:
    inputs = StageInputs("a")
    assert inputs.ports == StagePorts()
    assert inputs.context is inputs.context
    assert inputs.context.attempt == 1


@pytest.mark.parametrize("name", ["value", "ports", "context", "attempt", "more"])
def test_inputs_cannot_be_changed(name) -> None:
    with pytest.raises(AttributeError):
        setattr(StageInputs("a"), name, "b")


def test_the_inputs_of_a_next_attempt_are_the_same_but_for_its_number() -> None:
    first = StageInputs("a", ports=PORTS)
    third = first.next_attempt().next_attempt()
    assert (third.value, third.ports, third.attempt, third.context.attempt) == ("a", PORTS, 3, 3)
    assert first.attempt == 1


def test_the_next_attempt_of_inputs_with_a_context_keeps_its_run(told) -> None:
    inputs = StageInputs("a", context=StageContext(RUN, "fetch", StageKind.WORK, 1, IDS, sink=told))
    again = inputs.next_attempt().context
    assert (again.run_id, again.stage, again.kind, again.correlation) == (RUN, "fetch", StageKind.WORK, IDS)
    assert (again.attempt, again.sink) == (2, told)


@pytest.mark.parametrize("wanted", ["other", lift(len)])
def test_inputs_made_by_hand_have_no_ancestors_to_read(wanted) -> None:
    with pytest.raises(UndeclaredDependencyError, match=r"made by hand.*replacing"):
        StageInputs("a")[wanted]


async def test_a_stage_of_a_run_sees_the_runs_context(told, clock) -> None:
    seen: list[StageContext] = []

    @stage(kind=StageKind.WORK)
    async def look(inputs: StageInputs[str]):
        seen.append(inputs.context)
        assert inputs.ports[GREETING] == "hello"
        assert inputs.attempt == 1
        return ok(inputs.value)

    config = Settings(limit=3)
    context = PipelineContext(RUN, IDS, PORTS, config, told, 5.0, clock.timer())
    outcome = await look.run("a", context=context)
    assert isinstance(outcome, Completed)
    (given,) = seen
    assert (given.run_id, given.stage, given.kind, given.attempt) == (RUN, "look", StageKind.WORK, 1)
    assert (given.correlation, given.config, given.timer, given.deadline) == (IDS, config, context.timer, 5.0)
    assert given.remaining == 5.0
    given.emit("said")
    assert told.data("said")["stage"] == "look"


async def test_a_run_id_comes_from_the_context_then_from_the_ids_then_anew() -> None:
    measure = lift(len)
    given = await measure.run("a", context=PipelineContext(RUN, CorrelationIds(run_id=UUID(int=2))))
    related = await measure.run("a", context=PipelineContext(correlation=CorrelationIds(run_id=UUID(int=2))))
    anew = [await measure.run("a", context=PipelineContext()) for _ in range(2)]
    assert given.report.run_id == RUN
    assert related.report.run_id == UUID(int=2)
    assert anew[0].report.run_id != anew[1].report.run_id


async def test_inputs_of_a_run_read_an_ancestor_by_handle_and_by_name() -> None:
    first, second = lift(len), lift(name="double")(lambda count: count * 2)

    @stage
    async def both(inputs: StageInputs[int]):
        return ok((inputs.value, inputs[first], inputs["len"], inputs[second]))

    outcome = await (first | second | both).run("abc")
    assert isinstance(outcome, Completed)
    assert outcome.value == (6, 3, 3, 6)


async def test_a_stage_of_several_gets_their_tuple() -> None:
    first, second = lift(len), lift(str.upper)
    third = lift(name="third")(lambda pair: pair)
    built = Pipeline.of(str).with_stage(first).with_stage(second).with_stage(third, after=(first, second))
    outcome = await built.returning(third).run("abc")
    assert isinstance(outcome, Completed)
    assert outcome.value == (3, "ABC")
