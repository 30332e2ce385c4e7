"""Stages that must not run twice and were cut off: what was decided of them is recorded, and what was not is asked."""

from __future__ import annotations

from dataclasses import replace

from returns.result import Failure

from stageflow.core.stage import StageStatus
from stageflow.durable.chart import Cell, Chart, key_of
from stageflow.durable.journal import RunJournal
from stageflow.durable.values import ABSENT, Recalled, encoded, recalled
from stageflow.errors import EffectsUnknownError
from stageflow.ports import StageRecord
from stageflow.running.decision import Decision
from stageflow.running.durability import ValueCodec


async def decided(
    journal: RunJournal, chart: Chart, codec: ValueCodec, recorded: dict[str, Recalled], decisions: tuple[Decision, ...]
) -> None:
    """Puts what was decided into what is recorded.

    Raises:
        EffectsUnknownError: a stage is open that nothing was decided of, or something was of one that is not.
    """
    open_ones = dict(_cut_off(chart, recorded))
    said = {path: decision for decision in decisions for path in _meant(chart, decision, open_ones)}
    undecided = tuple([path for path in open_ones if path not in said])
    if undecided:
        raise EffectsUnknownError(_ask(undecided), stage=undecided[0], stages=undecided)
    for path, decision in said.items():
        recorded[path] = await _applied(journal, codec, open_ones[path], recorded[path].record, decision)


def _cut_off(chart: Chart, recorded: dict[str, Recalled]) -> list[tuple[str, Cell]]:
    found = [(path, chart.found(path)) for path, one in recorded.items() if one.status is None]
    return [(path, cell) for path, cell in found if cell is not None and cell.once]


def _meant(chart: Chart, decision: Decision, open_ones: dict[str, Cell]) -> list[str]:
    """The paths of the open stages that a decision is about."""
    wanted = decision.stage
    if isinstance(wanted, str):
        meant = [wanted] if wanted in open_ones else []
        label = wanted
    else:
        keys = chart.keys(wanted)
        meant = [path for path in open_ones if key_of(path) in keys]
        label = wanted.label
    if not meant:
        names = ", ".join(f'"{path}"' for path in open_ones) or "none"
        raise EffectsUnknownError(
            f'"{label}" needs no decision. Of the stages with effects="once", these were cut off: {names}.',
            stages=tuple(open_ones),
        )
    return meant


async def _applied(
    journal: RunJournal, codec: ValueCodec, cell: Cell, started: StageRecord, decision: Decision
) -> Recalled:
    if decision.what == "repeat":
        return Recalled(started, None)
    if decision.what == "skip":
        record = replace(started, status="skip", reason=decision.reason)
    else:
        record = _given(codec, cell, started, decision.value)
    await journal.decide(record)
    result = recalled(codec, cell, record)
    if isinstance(result, Failure):
        raise result.failure()
    return result.unwrap()


def _given(codec: ValueCodec, cell: Cell, started: StageRecord, value: object) -> StageRecord:
    kept = encoded(codec, cell, value, ABSENT if cell.absorber is None else value)
    if isinstance(kept, Failure):
        raise kept.failure()
    found = kept.unwrap()
    return replace(
        started,
        status=StageStatus.OK.value,
        codec=codec.name,
        type=cell.text,
        schema_hash=cell.schema_hash,
        payload=found.payload,
        inside=found.inside,
    )


def _ask(stages: tuple[str, ...]) -> str:
    names = ", ".join(f'"{stage}"' for stage in stages)
    return (
        f'{names}: started and not ended when the process died, and must not run twice (effects="once"). Find out '
        f'whether the effect happened, and say so: resume(..., decisions=[Decision.repeat("{stages[0]}")]), or '
        ".skip(...), or .gave(...). The idempotency key of a repeat is that of the attempt that was cut off."
    )
