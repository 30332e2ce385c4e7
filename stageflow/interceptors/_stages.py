"""A stage as those who observe it know it: its name without the numbers of items, what it follows, how it ended."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias, cast

from returns.result import Failure, Result, Success

from stageflow.context.inputs import StageInputs
from stageflow.core.output import StageOutput
from stageflow.core.stage import StageKind, StageStatus
from stageflow.graph.execution.inputs import RunInputs
from stageflow.graph.execution.ledger import Ledger
from stageflow.graph.names import filled
from stageflow.graph.plan import INPUT
from stageflow.ports import CorrelationIds

Key: TypeAlias = tuple[int, tuple[int, ...], int]
MOST = 128  # edges of one stage that are shown: the number of links that OpenTelemetry's SDK keeps of a span
_ITEM = re.compile(r"\[\d+\]")


def without_items(stage: str) -> str:
    """The name of a stage without the numbers of items.

    >>> without_items("crawl.fetch[7][12]")
    'crawl.fetch'
    """
    return _ITEM.sub("", stage)


class Observed(NamedTuple):
    """A stage, in words that have as few values as the pipeline has stages.

    Attributes:
        name: its name, without the numbers of items.
        kind: what it is for.
        pipeline: the name of what runs; empty outside of a run.
    """

    name: str
    kind: StageKind
    pipeline: str


def clock_of(inputs: StageInputs[object]) -> Callable[[], float]:
    """The clock of the run, for which no stage's context has to be made."""
    return (inputs.ledger.run.timer if isinstance(inputs, RunInputs) else inputs.context.timer).clock


class Ending(NamedTuple):
    """How a call of a stage ended: its status, why where it did no work, what went wrong, and what it gave."""

    status: StageStatus
    reason: str = ""
    error: BaseException | None = None
    data: object = None


def gave(result: object) -> Ending:
    """How a call ended that gave this."""
    match cast("Result[StageOutput[object], object]", result):
        case Success(StageOutput(status=status, reason=reason, data=data)):
            return Ending(status, reason, data=data)
        case Failure(BaseException() as error):
            return Ending(StageStatus.FAIL, error=error)
        case _:
            error = TypeError(f"{result!r} is no Result of a StageOutput.")
            return Ending(StageStatus.FAIL, f"returned {result!r}", error)


def escaped(error: BaseException) -> Ending:
    """How a call ended that raised: with a defect, or with a cancellation that was meant for it."""
    task = asyncio.current_task() if isinstance(error, asyncio.CancelledError) else None
    if isinstance(error, GeneratorExit) or (task is not None and task.cancelling()):
        return Ending(StageStatus.CANCEL, "cancelled")
    return Ending(StageStatus.FAIL, error=error)


def observed(inputs: StageInputs[object]) -> Observed:
    """The stage that is about to be called with the inputs."""
    if not isinstance(inputs, RunInputs):
        context = inputs.context
        return Observed(without_items(context.stage), context.kind, "")
    ledger, plan = inputs.ledger, inputs.ledger.plan
    slot = 0 if ledger.each else inputs.slot
    name = plan.names[slot]
    return Observed(
        filled(name, ()) if plan.templated or ledger.each else name,
        plan.kinds[slot] or StageKind.TRANSFORM,
        ledger.run.pipeline,
    )


def correlation(inputs: StageInputs[object]) -> CorrelationIds:
    """The ids that tie the stage's run to what caused it."""
    return inputs.ledger.run.correlation if isinstance(inputs, RunInputs) else inputs.context.correlation


def items(inputs: StageInputs[object]) -> tuple[int, ...]:
    """The numbers of the items that the stage works on, outermost first; empty outside of an ``.each``."""
    if not isinstance(inputs, RunInputs):
        return ()
    return (*inputs.ledger.items, inputs.slot) if inputs.ledger.each else inputs.ledger.items


def key(ledger: Ledger, slot: int) -> Key:
    """What tells a stage from every other of its run, and keeps nothing of the run alive."""
    return (ledger.plan.number, ledger.items, slot)


def upstream(ledger: Ledger, slot: int) -> Iterator[Key]:
    """The stages whose outputs a stage works on: through what only contains others, to the stages inside.

    Of the items of one ``.each``, as many as are shown at most.
    """
    unseen: list[tuple[Ledger, int, bool]] = [(ledger, slot, False)]
    while unseen:
        at, number, gave = unseen.pop()
        if not gave or number == INPUT:
            unseen += reversed(_followed(at, number))
        elif at.kind(number) is not None:
            yield key(at, number)
        else:
            unseen += reversed(_inside(at, number))


def _followed(at: Ledger, slot: int) -> list[tuple[Ledger, int, bool]]:
    """What a stage follows; an item, and what works on its plan's input, follow what the stage around them does."""
    if at.each or slot == INPUT:
        return [] if at.above is None else [(at.above, at.slot, False)]
    source = at.plan.nodes[slot][1]
    return [(at, one, True) for one in (source if isinstance(source, tuple) else (source,))]


def _inside(at: Ledger, slot: int) -> list[tuple[Ledger, int, bool]]:
    """What gave the output of a stage that only contains others."""
    plans = (at.plan,) if at.each else at.plan.inner.get(slot, ())
    if not plans:  # it puts branches together, and is none itself
        return _followed(at, slot)
    ran = [child for plan in plans if (child := at.children.get((slot, plan))) is not None]
    if not ran:
        return []
    last = ran[-1]  # of a route, the case that was chosen
    if last.each:
        return [(last, item, True) for item in range(min(len(last.states), MOST))]
    output = last.plan.output
    sources = last.plan.sinks if output is None else output
    return [(last, one, True) for one in (sources if isinstance(sources, tuple) else (sources,))]
