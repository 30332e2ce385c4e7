"""What tests of pipelines need; it depends on no test framework.

- a stage alone: ``await fetch(StageInputs(value))``; a stage replaced: ``pipeline.replacing(fetch).by(stub)``;
- what happened: `RecordingEventSink`;
- time: `ManualClock`, and `run_virtually`, in which waiting takes no time;
- order: `explore` runs a test through many interleavings, `replay` runs the one that failed again;
- laws: `check_interceptor` for interceptors of your own, `check_sink` for event sinks.
"""

from stageflow.events.recording import RecordingEventSink
from stageflow.testing.clock import DeadlockError, ManualClock, VirtualEventLoop, loop_time, run_virtually
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

__all__ = [
    "SCRIPTS",
    "Act",
    "DeadlockError",
    "Ending",
    "InterleavingError",
    "LawBrokenError",
    "ManualClock",
    "RecordingEventSink",
    "ScriptedError",
    "ScriptedStage",
    "SinkBrokenError",
    "VirtualEventLoop",
    "check_associativity",
    "check_attachment",
    "check_cancellation",
    "check_failure",
    "check_identity",
    "check_interceptor",
    "check_sink",
    "explore",
    "loop_time",
    "replay",
    "run_virtually",
]
