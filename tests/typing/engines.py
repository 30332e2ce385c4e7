"""Engines, right and wrong."""

from returns.result import Result
from typing_extensions import Never, assert_type

from stageflow import Completed, Placement, Runner, Stage, StageInputs, StageOutput, lift, ok, stage
from stageflow.engines import Engine, EngineCapabilities, LocalEngine, ProcessEngine, StageCall, perform
from stageflow.placement import LOCAL


class Mine:
    @property
    def capabilities(self) -> EngineCapabilities:
        return EngineCapabilities(interrupts_running=False, survives_worker_loss=False, remote=False)

    async def call(self, call: StageCall, /) -> bytes:
        return await perform(call)


class Unable:
    async def call(self, call: StageCall, /) -> bytes:
        return await perform(call)


ENGINES: tuple[Engine, ...] = (LocalEngine(), ProcessEngine(workers=2), Mine())
Runner(engine=Unable())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Runner(engine="processes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@lift(placement=Placement(resources={"GPU": 1}, attempts=1))
def size(text: str) -> int:
    return len(text)


@stage(placement=LOCAL)
async def double(inputs: StageInputs[int]) -> Result[StageOutput[int], Never]:
    return ok(inputs.value * 2)


assert_type(size, Stage[str, int, Never])
Placement("local")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
lift(placement="local")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


async def on_an_engine() -> None:
    outcome = await Runner(engine=Mine()).run(size | double, "abc")
    match outcome:
        case Completed(value):
            assert_type(value, int)
        case _:
            pass
