"""The events that a sink heard of one run, told apart by stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import final

from stageflow.core.output import StageEvent
from stageflow.views.report.data import Attempt, EventText
from stageflow.views.report.texts import event_text, milliseconds


@final
class Heard:
    """What happened in a run, as far as somebody listened.

    Args:
        events: of this run, and maybe of others, which are passed over.
        run_id: the run, as text.
        started_at: when it started.
        ids: the ids that every event of the run carries.
    """

    __slots__ = ("_ids", "_of_run", "_of_stage", "_started_at", "_tries")

    def __init__(
        self, events: Iterable[StageEvent], run_id: str, started_at: datetime, ids: Mapping[str, str] | None = None
    ) -> None:
        self._started_at = started_at
        self._ids: Mapping[str, str] = ids or {}
        self._of_run: list[EventText] = []
        self._of_stage: dict[str, list[EventText]] = {}
        self._tries: dict[str, list[Attempt]] = {}
        for event in events:
            if str(event.data.get("run_id", run_id)) == run_id:
                self._hear(event)

    def _hear(self, event: StageEvent) -> None:
        text, stage = self._text(event), event.data.get("stage")
        if not isinstance(stage, str):
            self._of_run.append(text)
            return
        self._of_stage.setdefault(stage, []).append(text)
        if event.type in (f"stage.{stage}.started", f"stage.{stage}.retrying"):
            error = event.data.get("error", "")
            attempt = Attempt(milliseconds(self._started_at, event.timestamp), str(error))
            self._tries.setdefault(stage, []).append(attempt)

    def _text(self, event: StageEvent) -> EventText:
        return event_text(event, self._started_at, self._ids)

    @property
    def of_run(self) -> tuple[EventText, ...]:
        """The events that are about no stage."""
        return tuple(self._of_run)

    def of_stage(self, name: str, brought: Iterable[StageEvent] = ()) -> tuple[EventText, ...]:
        """The events of a stage: what was heard, and what it brought along itself where nobody heard that."""
        found = self._of_stage.get(name, [])
        types = {event.type for event in found}
        return (*found, *(self._text(event) for event in brought if event.type not in types))

    def tries(self, name: str) -> tuple[Attempt, ...]:
        """When each attempt of a stage began."""
        return tuple(self._tries.get(name, ()))
