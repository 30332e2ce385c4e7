"""The stages of a run that left no record: what became of them follows from what they come after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from stageflow.journal import StageRecord
from stageflow.views.report.data import StageEntry
from stageflow.views.report.drawing import Drawing, DrawnNode
from stageflow.views.report.members import Members

_Fate: TypeAlias = tuple[str, str]  # a status, and why
_NEVER: _Fate = ("cancel", "the run ended before it could start")
_LEFT_OUT: _Fate = ("skip", "a condition left it out, or what was recovered beside it")
_NOT_CHOSEN: _Fate = ("skip", "another case was chosen")
_ABSORBS = {"skip": ("optional",), "fail": ("settled", "recover")}  # the marks of what passes it on to nobody


def unrecorded(drawing: Drawing, kept: Mapping[str, StageRecord], status: str) -> Iterator[StageEntry]:
    """The stages of the graph without a record; how many items an ``.each`` would have had, nobody knows."""
    members = Members(drawing, kept)
    cases = {edge.after for edge in drawing.edges if edge.label}
    fates: dict[int, _Fate] = {}  # of what did not end well
    for number, node in enumerate(drawing.nodes):
        names, before = members.of(number), [fates.get(one) for one in members.before(number)]
        fate = _recorded(node, [kept[name] for name in names]) if names else _inherited(before)
        if not names and fate is None and not node.each:
            fate = _NOT_CHOSEN if number in cases else _LEFT_OUT if status in {"completed", "skipped"} else _NEVER
        if fate is not None:
            fates[number] = fate
        if fate is not None and node.name and not (names or node.each):
            word, why = ("waiting", "") if status == "running" else fate
            yield StageEntry(node.name, node.kind, word, reason=why)


def _recorded(node: DrawnNode, records: list[StageRecord]) -> _Fate | None:
    """What those after a stage inherit from it, where it did not end well and that is not absorbed."""
    for record in records:
        absorbs = any(mark in node.around for mark in _ABSORBS.get(record.status, ()))
        match record.status:
            case "skip" if not absorbs:
                return "skip", f"{record.path}: {record.reason}"
            case "fail" if not absorbs:
                return "cancel", f"{record.path} failed"
            case "cancel":
                return "cancel", record.reason
            case _:
                pass
    return None


def _inherited(before: list[_Fate | None]) -> _Fate | None:
    """What a stage takes over from those before it: a skip rather than a cancellation."""
    if before and all(fate is _NOT_CHOSEN for fate in before):
        return _NOT_CHOSEN
    passed = [fate for fate in before if fate is not None and fate is not _NOT_CHOSEN]
    return min(passed, key=lambda fate: fate[0] != "skip", default=None)
