"""What tests of pipelines need; it depends on no test framework.

- a stage alone: ``await fetch(StageInputs(value))``; a stage replaced: ``pipeline.replacing(fetch).by(stub)``;
- what happened: `RecordingEventSink`;
- time: `ManualClock`, and `run_virtually`, in which waiting takes no time;
- order: `explore` runs a test through many interleavings, `replay` runs the one that failed again;
- laws: `check_interceptor` for interceptors of your own, `check_sink` for event sinks, `check_run_store`,
  `check_durable_store` and `check_run_archive` for stores, `check_engine` for engines (it needs msgspec, as they do).
"""

from typing import TYPE_CHECKING

from stageflow.sinks.recording import RecordingEventSink
from stageflow.testing.clock import DeadlockError, ManualClock, VirtualEventLoop, loop_time, run_virtually
from stageflow.testing.journals import check_durable_store
from stageflow.testing.laws import (
    SCRIPTS,
    LawBrokenError,
    check_associativity,
    check_attachment,
    check_cancellation,
    check_failure,
    check_identity,
    check_interceptor,
)
from stageflow.testing.scheduling import InterleavingError, explore, replay
from stageflow.testing.script import Act, Ending, ScriptedError, ScriptedStage
from stageflow.testing.sinks import SinkBrokenError, check_sink
from stageflow.testing.stores import StoreBrokenError, check_run_archive, check_run_store

if TYPE_CHECKING:
    from stageflow.testing.engines import check_engine
    from stageflow.testing.observing import EngineBrokenError

__all__ = [
    "SCRIPTS",
    "Act",
    "DeadlockError",
    "Ending",
    "EngineBrokenError",
    "InterleavingError",
    "LawBrokenError",
    "ManualClock",
    "RecordingEventSink",
    "ScriptedError",
    "ScriptedStage",
    "SinkBrokenError",
    "StoreBrokenError",
    "VirtualEventLoop",
    "check_associativity",
    "check_attachment",
    "check_cancellation",
    "check_durable_store",
    "check_engine",
    "check_failure",
    "check_identity",
    "check_interceptor",
    "check_run_archive",
    "check_run_store",
    "check_sink",
    "explore",
    "loop_time",
    "replay",
    "run_virtually",
]


def __getattr__(name: str) -> object:
    """What needs more than the core is imported when it is asked for."""
    if name == "check_engine":
        from stageflow.testing.engines import check_engine  # noqa: PLC0415  (only where it is used)

        return check_engine
    if name == "EngineBrokenError":
        from stageflow.testing.observing import EngineBrokenError  # noqa: PLC0415  (only where it is used)

        return EngineBrokenError
    raise AttributeError(f"stageflow.testing has no {name!r}.")
