"""The names of attributes on spans and measurements, and their values.

Where OpenTelemetry's semantic conventions have a name (``error.type``), it is that; the rest has ``stageflow.``
in front.
"""

from __future__ import annotations

from stageflow.errors import StageExecutionError

PIPELINE = "stageflow.pipeline.name"
STAGE = "stageflow.stage.name"
KIND = "stageflow.stage.kind"
STATUS = "stageflow.status"  # ok, skip, cancel or fail: of a stage, or of a run
ERROR_TYPE = "error.type"
BREAKER = "stageflow.breaker.state"

# What follows differs from run to run, so it is for spans alone: on a measurement it would be a series a run.
RUN_ID = "stageflow.run.id"
REQUEST_ID = "stageflow.request.id"
CORRELATION = "stageflow.correlation."
REASON = "stageflow.reason"
ITEM = "stageflow.stage.item"
ATTEMPT = "stageflow.stage.attempt"
ATTEMPTS = "stageflow.stage.attempts"
ERROR_MESSAGE = "exception.message"


def original(error: BaseException) -> BaseException:
    """What went wrong: of a defect, the exception that escaped the stage."""
    while isinstance(error, StageExecutionError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def error_type(error: BaseException) -> str:
    """The full name of the type of what went wrong: as few values as there are types.

    >>> error_type(ValueError("x")), error_type(StageExecutionError("y"))
    ('ValueError', 'stageflow.errors.StageExecutionError')
    """
    kind = type(original(error))
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
