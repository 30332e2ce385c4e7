"""What a stage of a run sees: `StageInputs` over the run's ledger, made for each call and cheap to make."""

from __future__ import annotations

from typing import TYPE_CHECKING, final, overload

from typing_extensions import TypeVar, override

from stageflow.context.inputs import StageInputs
from stageflow.context.ports import StagePorts
from stageflow.context.stage import StageContext
from stageflow.core.stage import StageHandle, StageKind
from stageflow.errors import StageError
from stageflow.graph.execution.ledger import Ledger
from stageflow.graph.execution.places import Lent
from stageflow.graph.execution.reading import read

_T = TypeVar("_T")


class RunInputs(StageInputs[object]):
    """What a stage of a run sees."""

    __slots__ = ("ledger", "slot")

    ledger: Ledger
    slot: int
    if TYPE_CHECKING:

        def __init__(self) -> None: ...
    else:
        __init__ = object.__init__  # the pool makes one for every stage, and fills it: a function would cost a call

    @staticmethod
    def of(value: object, ledger: Ledger, slot: int) -> RunInputs:
        """What a stage sees that works on this value."""
        made = RunInputs()
        made._value, made.ledger, made.slot = value, ledger, slot
        return made

    @property
    @override
    def ports(self) -> StagePorts:
        return self.ledger.run.ports

    @property
    @override
    def attempt(self) -> int:
        return self.ledger.attempt(self.slot)

    @property
    @override
    def context(self) -> StageContext:
        made: StageContext | None = getattr(self, "_context", None)  # not there before someone asks: most never do
        attempt = self.attempt
        if made is None or made.attempt != attempt:
            run = self.ledger.run
            made = self._context = StageContext(
                run.run_id,
                self.ledger.name(self.slot),
                self.ledger.kind(self.slot) or StageKind.TRANSFORM,
                attempt,
                run.correlation,
                run.config,
                run.timer,
                run.teller,
                run.deadline,
            )
        return made

    @override
    def next_attempt(self, error: StageError | None = None, *, waited: float = 0.0) -> RunInputs:
        ledger, slot = self.ledger, self.slot
        if ledger.run.journal is not None:
            ledger.run.journal.failed(ledger, slot, error)
        ledger.again(slot, error, waited)
        kind = ledger.kind(slot)
        if ledger.run.teller is not None and kind is not None:
            ledger.run.teller.retrying(ledger.name(slot), kind, ledger.attempt(slot), error)
        return RunInputs.of(self._value, ledger, slot)

    @overload
    def __getitem__(self, stage: StageHandle[_T], /) -> _T: ...
    @overload
    def __getitem__(self, name: str, /) -> object: ...
    @override
    def __getitem__(self, stage: StageHandle[object] | str, /) -> object:
        return read(self.ledger, self.slot, stage if isinstance(stage, str) else stage.shape)


def of_run(inputs: StageInputs[object]) -> RunInputs:
    """The inputs, which are to be those that the run made."""
    if isinstance(inputs, RunInputs):
        return inputs
    raise TypeError(
        "This stage wraps others, so it runs in a run alone: use await stage.run(value). "
        "An interceptor is to pass on the inputs it was given, or inputs.next_attempt()."
    )


@final
class Aside:
    """A wait on a stage's behalf, without its runner's place, which others may have meanwhile."""

    __slots__ = ("_inputs", "_place")

    def __init__(self, inputs: StageInputs[object]) -> None:
        self._inputs = inputs
        self._place: Lent | None = None

    async def __aenter__(self) -> None:
        if isinstance(self._inputs, RunInputs):
            self._place = self._inputs.ledger.held.pop(self._inputs.slot, None)
            if self._place is not None:
                self._place.step_aside()

    async def __aexit__(self, raised: type[BaseException] | None, *exc: object) -> None:
        if raised is None and self._place is not None and isinstance(self._inputs, RunInputs):
            await self._place.come_back()
            self._inputs.ledger.held[self._inputs.slot] = self._place
