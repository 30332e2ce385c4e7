"""The run's side of engines: what is sent, what stays, what is refused, and who counts lost workers."""

from __future__ import annotations

import os
import pickle
from uuid import UUID

import pytest
from returns.result import Result
from typing_extensions import Never

from stageflow import (
    CircuitBreakerInterceptor,
    CircuitOpenError,
    Completed,
    Failed,
    PipelineContext,
    PipelineValidationError,
    RetryInterceptor,
    Runner,
    StageExecutionError,
    StageInputs,
    StageOutput,
    StagePorts,
    TimeoutInterceptor,
    WorkerLostError,
    lift,
    ok,
    stage,
)
from stageflow.codec import OriginalError
from stageflow.engines import EngineCapabilities, LocalEngine, StageCall
from stageflow.errors import CodecError
from tests.engines.worker_stages import (
    CLOCK,
    TornError,
    add,
    charged,
    divide,
    here,
    lifted_elsewhere,
    opaque,
    process,
    torn,
    with_port,
)

RUN = UUID(int=3)


class Scripted:
    """An engine that loses so many workers, and keeps the calls that it was given."""

    def __init__(self, *, losses: int = 0, retryable: bool = True, remote: bool = False, answer: bytes | None = None):
        self.capabilities = EngineCapabilities(interrupts_running=True, survives_worker_loss=True, remote=remote)
        self.calls: list[StageCall] = []
        self.closed = 0
        self._losses = losses
        self._retryable = retryable
        self._answer = answer

    async def call(self, call: StageCall, /) -> bytes:
        self.calls.append(call)
        if len(self.calls) <= self._losses:
            raise WorkerLostError("it is gone.", retryable=self._retryable)
        return await LocalEngine().call(call) if self._answer is None else self._answer

    async def aclose(self) -> None:
        self.closed += 1

    @property
    def stages(self) -> list[str]:
        return [call.stage for call in self.calls]


async def test_without_an_engine_a_run_is_what_it_was() -> None:
    graph = add.graph()
    run = Runner()._settings.run_of(graph, None)
    assert run.around is None
    assert run.elsewhere is None


async def test_a_stage_that_is_placed_here_or_requires_a_port_is_not_sent() -> None:
    engine = Scripted()
    pipeline = add | (here & with_port) | lift(pair_up) | add.named("last")
    ports = StagePorts().provide(CLOCK, 1)
    assert isinstance(await Runner(engine=engine, ports=ports).run(pipeline, 1), Completed)
    assert engine.stages == ["add", "pair_up", "last"]


def pair_up(pair: tuple[int, int]) -> int:
    return sum(pair) * 0


async def test_what_is_sent_is_plain_data() -> None:
    engine = Scripted()
    context = PipelineContext(run_id=RUN, deadline=60)
    await Runner(engine=engine).run(torn.using(RetryInterceptor(attempts=2, backoff=0)), 5, context=context)
    first, second = engine.calls
    assert (first.run_id, first.stage, first.kind) == (RUN, "torn", "transform")
    assert (first.target, first.lifted) == ("tests.engines.worker_stages:torn", False)
    assert (first.value, first.reads, first.carrier, first.deadline) == (b"5", (), (), 60)
    assert first.timeout is not None
    assert first.timeout > 60, "the run's own deadline comes first"
    assert (first.attempt, second.attempt) == (1, 2)
    assert (first.run_id, first.stage) == (second.run_id, second.stage), "what the guide makes a key of"
    assert pickle.loads(pickle.dumps(first)) == first


async def test_a_function_that_was_lifted_under_another_name_is_sent_by_its_own() -> None:
    engine = Scripted()
    outcome = await Runner(engine=engine).run(lifted_elsewhere, 2)
    assert isinstance(outcome, Completed)
    assert outcome.value == 200
    assert (engine.calls[0].stage, engine.calls[0].target) == ("lifted elsewhere", "tests.engines.worker_stages:plain")


@pytest.mark.parametrize("remote", [False, True])
async def test_all_that_cannot_travel_is_told_before_anything_starts(golden, remote) -> None:
    @stage
    async def local(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
        return ok(inputs.value)

    engine = Scripted(remote=remote)
    pipeline = add | local.using(TimeoutInterceptor(1)) | local.named("inside").recover(never) | opaque
    with pytest.raises(PipelineValidationError) as raised:
        await Runner(engine=engine).run(pipeline, 1)
    assert not engine.calls
    golden("engines/cannot_travel", str(raised.value))


async def never(error: Never) -> Result[StageOutput[int], Never]:
    raise error


async def test_what_is_in_the_main_script_cannot_go_to_another_process(monkeypatch) -> None:
    import __main__

    def scripted(number: int) -> int:
        return number

    scripted.__module__, scripted.__qualname__ = "__main__", "scripted"
    monkeypatch.setattr(__main__, "scripted", scripted, raising=False)
    assert isinstance(await Runner(engine=Scripted()).run(lift(scripted), 1), Completed)
    with pytest.raises(PipelineValidationError, match="main script"):
        await Runner(engine=Scripted(remote=True)).run(lift(scripted), 1)


async def test_a_lost_worker_is_an_attempt_of_the_stage(told) -> None:
    engine = Scripted(losses=2)
    outcome = await Runner(engine=engine, sink=told).run(add, 1)
    assert isinstance(outcome, Completed)
    assert outcome.report.stages["add"].attempts == 3
    assert [call.attempt for call in engine.calls] == [1, 2, 3]
    assert told.types[2:6] == ["stage.add.started", "stage.add.retrying", "stage.add.retrying", "stage.add.completed"]


async def test_a_stage_that_loses_every_worker_fails_after_its_attempts_whatever_is_around_it() -> None:
    engine = Scripted(losses=100)
    retry = RetryInterceptor(attempts=3, backoff=0)
    outcome = await Runner(engine=engine).using(retry).run(add.using(retry), 1)
    assert isinstance(outcome, Failed)
    assert outcome.error == WorkerLostError('Stage "add": it is gone. It was started 3 times.', stage="add")
    assert len(engine.calls) == outcome.report.stages["add"].attempts == 3


async def test_a_stage_that_must_not_run_twice_is_not_started_again_on_another_worker() -> None:
    engine = Scripted(losses=1)
    outcome = await Runner(engine=engine).run(charged.using(RetryInterceptor(attempts=3, backoff=0)), 1)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, WorkerLostError)
    assert len(engine.calls) == 1


async def test_an_engine_that_is_lost_itself_is_not_asked_again() -> None:
    engine = Scripted(losses=100, retryable=False)
    outcome = await Runner(engine=engine).run(add, 1)
    assert isinstance(outcome, Failed)
    assert outcome.error == WorkerLostError('Stage "add": it is gone.', stage="add")
    assert len(engine.calls) == 1


async def test_a_lost_worker_passes_recover_as_other_defects_do() -> None:
    async def handled(_: object) -> Result[StageOutput[int], Never]:
        return ok(0)

    outcome = await Runner(engine=Scripted(losses=100)).run(torn.recover(handled), 1)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, WorkerLostError)


async def test_an_answer_that_is_none_is_a_defect_that_says_what_an_answer_is() -> None:
    outcome = await Runner(engine=Scripted(answer=b"hello")).run(add, 1)
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, CodecError)
    assert outcome.error.stage == "add"
    assert "stageflow.engines.perform" in str(outcome.error)


async def test_a_value_that_is_not_of_its_declared_type_is_not_sent() -> None:
    engine = Scripted()
    outcome = await Runner(engine=engine).run(add, "1")  # type: ignore[arg-type]
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, CodecError)
    assert not engine.calls


async def test_a_typed_failure_comes_back_equal_and_a_defect_with_its_traceback_as_text() -> None:
    runner = Runner(engine=LocalEngine())
    failed = await runner.run(torn, 4)
    assert isinstance(failed, Failed)
    assert failed.error == TornError("torn", part=4, retryable=True)
    broken = await runner.run(divide, 0)
    assert isinstance(broken, Failed)
    assert isinstance(broken.error, StageExecutionError)
    assert isinstance(broken.error.__cause__, OriginalError)
    assert "ZeroDivisionError" in str(broken.error.__cause__)
    assert "worker_stages.py" in str(broken.error.__cause__)


async def test_interceptors_stay_here_and_see_what_the_body_gave() -> None:
    engine = Scripted()
    outcome = await Runner(engine=engine).using(RetryInterceptor(attempts=2, backoff=0)).run(torn, 1)
    assert isinstance(outcome, Failed)
    assert outcome.report.stages["torn"].attempts == len(engine.calls) == 2


async def test_a_breaker_has_one_state_for_runs_with_an_engine_and_one_for_runs_without() -> None:
    guarded = divide.using(CircuitBreakerInterceptor(failures=1))
    with_engine = Runner(engine=LocalEngine())
    assert isinstance(await with_engine.run(guarded, 0), Failed)
    opened = await Runner(engine=LocalEngine()).run(guarded, 1)
    assert isinstance(opened, Failed)
    assert isinstance(opened.error, CircuitOpenError), "whichever runner: it is where it was wrapped"
    assert isinstance(await Runner().run(guarded, 1), Completed)


async def test_leaving_a_runner_closes_its_engine() -> None:
    engine = Scripted()
    async with Runner(engine=engine):
        pass
    assert engine.closed == 1


async def test_a_stage_that_is_called_by_hand_runs_here() -> None:
    result = await process(StageInputs(1))
    assert result.unwrap().data == os.getpid()


async def test_what_stands_in_for_a_stage_is_what_is_sent() -> None:
    engine = Scripted()
    pipeline = add | divide.using(TimeoutInterceptor(5))
    outcome = await Runner(engine=engine).run(pipeline.replacing(divide).by(lifted_elsewhere), 1)
    assert isinstance(outcome, Completed)
    assert outcome.value == 200
    assert engine.stages == ["add", "divide"]
    assert engine.calls[1].target.endswith(":plain")
