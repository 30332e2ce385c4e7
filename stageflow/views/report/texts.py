"""What stages gave and failed with, as text for a reader: bounded, and whatever it is."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime

from stageflow.core.output import StageArtifact, StageEvent
from stageflow.errors import StageError, StageExecutionError
from stageflow.views.report.data import ArtifactText, ErrorText, EventText, Pairs

LONGEST = 20_000  # characters of one text, so that a page stays one that a browser opens
_EVERYWHERE = frozenset({"run_id", "request_id", "trace_id", "pipeline", "stage", "kind"})
_TOLD = frozenset({"attempt", "duration_ms", "status", "error", "error_type"})  # of the library's own: shown elsewhere
_SAID = frozenset({"message", "retryable"})


def bounded(text: str, longest: int = LONGEST) -> str:
    r"""The text, without its middle where it is very long.

    >>> bounded("abcdefghij", 4)
    'ab\n... 6 characters left out ...\nij'
    """
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def shown(value: object) -> str:
    """A value as text: a text as it is, anything else as Python writes it."""
    if isinstance(value, str):
        return bounded(str(value))
    try:
        return bounded(repr(value))
    except Exception as error:  # noqa: BLE001  (a repr of the user's may do anything, and the page says so)
        return f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"


def error_text(error: BaseException) -> ErrorText:
    """An error with its traceback: causes, notes and the members of groups are in it."""
    trace = "".join(traceback.format_exception(error)) if _has_story(error) else ""
    return ErrorText(type(error).__qualname__, bounded(str(error)), _fields(error), bounded(trace))


def _has_story(error: BaseException) -> bool:
    """Whether there is more to an error than what it says: a value that was never raised has no traceback."""
    more = error.__traceback__ or error.__cause__ or error.__context__
    return more is not None or hasattr(error, "__notes__") or hasattr(error, "exceptions")


def _fields(error: BaseException) -> Pairs:
    if not (isinstance(error, StageError) and is_dataclass(error)):
        return ()
    said = _SAID | {"stage"} if isinstance(error, StageExecutionError) else _SAID
    names = [declared.name for declared in fields(error) if declared.name not in said]
    return tuple((name, shown(vars(error)[name])) for name in names if name in vars(error))


def artifact_texts(artifacts: Iterable[StageArtifact]) -> tuple[ArtifactText, ...]:
    """Artifacts, with their payloads as text."""
    return tuple(ArtifactText(artifact.type, shown(artifact.payload)) for artifact in artifacts)


def event_text(event: StageEvent, started_at: datetime, ids: Mapping[str, str]) -> EventText:
    """An event, with the time since the run's start, without what every event of the run carries."""
    stage = event.data.get("stage")
    word = event.type.removeprefix(f"stage.{stage}.") if isinstance(stage, str) else event.type
    own = word == event.type and not word.startswith("pipeline.")
    passed = _EVERYWHERE if own or word == "retrying" else _EVERYWHERE | _TOLD
    data = ((key, shown(value)) for key, value in event.data.items() if key not in passed and key not in ids)
    return EventText(word, milliseconds(started_at, event.timestamp), tuple(data))


def milliseconds(start: datetime, moment: datetime) -> float:
    """Milliseconds from one moment to another."""
    return (moment - start).total_seconds() * 1000
