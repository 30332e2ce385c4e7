"""Stages that must not run twice and were cut off: what was decided of them is recorded, and what was not is asked."""

from __future__ import annotations

from dataclasses import replace

from returns.result import Failure

from stageflow.durable.cells import Cell
from stageflow.durable.chart import Chart
from stageflow.durable.lease import HeldLease
from stageflow.durable.means import Means
from stageflow.durable.records import of_value
from stageflow.durable.values import ABSENT, Recalled, recalled
from stageflow.errors import EffectsUnknownError
from stageflow.journal import StageRecord
from stageflow.running.decision import Decision
from stageflow.running.durability import ValueCodec


async def decided(
    means: Means, held: HeldLease, chart: Chart, recorded: dict[str, Recalled], decisions: tuple[Decision, ...]
) -> None:
    """Puts what was decided into what is recorded, and into the journal.

    Raises:
        EffectsUnknownError: a stage is open that nothing was decided of, or something was of one that is not.
    """
    cut_off = dict(_cut_off(chart, recorded))
    said = {path: decision for decision in decisions for path in _meant(chart, decision, cut_off)}
    undecided = tuple([path for path in cut_off if path not in said])
    if undecided:
        raise EffectsUnknownError(_ask(undecided), stage=undecided[0], stages=undecided)
    for path, decision in said.items():
        if decision.what != "repeat":
            record = _decided(means.codec, cut_off[path], recorded[path].record, decision)
            await means.store.record(held.lease, record)
            recorded[path] = recalled(means.codec, cut_off[path], record).unwrap()


def _cut_off(chart: Chart, recorded: dict[str, Recalled]) -> list[tuple[str, Cell]]:
    found = [(path, chart.found(path)) for path, one in recorded.items() if one.status is None]
    return [(path, cell) for path, cell in found if cell is not None and cell.once]


def _meant(chart: Chart, decision: Decision, cut_off: dict[str, Cell]) -> list[str]:
    """The paths of the open stages that a decision is about."""
    wanted = decision.stage
    if isinstance(wanted, str):
        meant = [wanted] if wanted in cut_off else []
        label = wanted
    else:
        keys = chart.keys(wanted)
        meant = [path for path, cell in cut_off.items() if cell.key in keys]
        label = wanted.label
    if not meant:
        names = ", ".join(f'"{path}"' for path in cut_off) or "none"
        raise EffectsUnknownError(
            f'"{label}" needs no decision. Of the stages with effects="once", these were cut off: {names}.',
            stages=tuple(cut_off),
        )
    return meant


def _decided(codec: ValueCodec, cell: Cell, started: StageRecord, decision: Decision) -> StageRecord:
    if decision.what == "skip":
        return replace(started, status="skip", reason=decision.reason)
    inside = ABSENT if cell.absorber is None else decision.value
    found = of_value(codec, cell, started, decision.value, inside)
    if isinstance(found, Failure):
        raise found.failure()
    return found.unwrap() or started


def _ask(stages: tuple[str, ...]) -> str:
    names = ", ".join(f'"{stage}"' for stage in stages)
    return (
        f'{names}: started and not ended when the process died, and must not run twice (effects="once"). Find out '
        f'whether the effect happened, and say so: resume(..., decisions=[Decision.of("{stages[0]}").repeat()]), or '
        ".skip(...), or .gave(...). The idempotency key of a repeat is that of the attempt that was cut off."
    )
