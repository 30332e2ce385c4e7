"""A concurrency limit on a stage, shared by all runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from returns.result import Result
from typing_extensions import Never, TypeVar, override

from stageflow.context.inputs import StageFunction, StageInputs
from stageflow.core.output import StageOutput
from stageflow.errors import StageError
from stageflow.graph.execution.inputs import Aside
from stageflow.graph.execution.places import Places
from stageflow.interceptors.base import BaseInterceptor

_A = TypeVar("_A")
_B = TypeVar("_B")
_E1 = TypeVar("_E1", bound=StageError)


@final
@dataclass(frozen=True, slots=True)
class LimitInterceptor(BaseInterceptor[Never]):
    """Lets so many calls of a stage run at once, across concurrent runs, first come, first served.

    The limit is that of the place where it was wrapped; a runner's is per graph and stage. A stage that waits for it
    holds no place under `Runner.max_concurrency`.

    When: what a stage calls takes so many callers at once, whatever else the runner may run.
    Where: inside of the retry, whose waits then hold no place; outside of the timeout, which then times no waiting.
    Adds: nothing; who waits, waits for as long as it takes.
    Costs: some 0.5 us for a call that finds a place.

    Attributes:
        limit: how many.

    Raises:
        ValueError: the limit is less than 1.
    """

    limit: int

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"LimitInterceptor({self.limit}) needs a limit of at least 1.")

    @override
    def wrap(self, call: StageFunction[_A, _B, _E1], /) -> StageFunction[_A, _B, _E1]:
        places = Places(self.limit)

        async def run_limited(inputs: StageInputs[_A], /) -> Result[StageOutput[_B], _E1]:
            place = places.try_take()
            try:
                if place is None:
                    async with Aside(inputs):
                        place = await places.take()
                return await call(inputs)
            finally:
                if place is not None:
                    place.give_back()

        return run_limited
