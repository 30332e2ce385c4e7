"""What answers a call on a worker: finds the stage, decodes, runs, encodes, and never raises but on a cancellation."""

from __future__ import annotations

import asyncio

from returns.result import Failure, Success

from stageflow.core.log_ids import bind_run
from stageflow.core.output import StageOutput
from stageflow.engines.answers import answered, plain, raised
from stageflow.engines.inputs import Emitted, SentInputs, context_of, unsent_port
from stageflow.engines.targets import CODEC, Target, found
from stageflow.errors import MissingPortError, StageError, StageExecutionError, StageTimeoutError
from stageflow.graph.errors import defect, no_result
from stageflow.graph.shape import Given
from stageflow.observability.propagation import continued
from stageflow.placement import StageCall


async def perform(call: StageCall) -> bytes:
    """Answers a call: runs the stage here, and gives its Result as bytes. What an engine runs on a worker.

    Whatever escapes the stage, ``SystemExit`` and a `CancelledError` of its own among it, is an answer too.

    Args:
        call: what to run, and on what.

    Raises:
        CancelledError: the task was cancelled.
    """
    emitted, task = Emitted(), asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    limit = asyncio.timeout(call.timeout)
    try:
        async with limit:
            target = _found(call)
            with continued(dict(call.carrier)):
                result = await _run(call, target, emitted)
        return answered(result, target.output, emitted.events, call.stage)
    except asyncio.CancelledError as error:
        if task is not None and task.cancelling() > before:
            raise
        return raised(defect(call.stage, error), emitted.events)
    except TimeoutError as error:
        if not limit.expired():
            return raised(defect(call.stage, error), emitted.events)
        seconds = call.timeout or 0.0
        late = StageTimeoutError(f'Stage "{call.stage}" outlived its run by more than {seconds:g} s', seconds=seconds)
        return answered(Failure(late), object, emitted.events, call.stage)
    except MissingPortError as error:
        return raised(defect(call.stage, unsent_port(error)), emitted.events)
    except (Exception, SystemExit) as error:  # noqa: BLE001  (a defect is an answer)
        return raised(defect(call.stage, error), emitted.events)


def _found(call: StageCall) -> Target:
    try:
        return found(call.target, lifted=call.lifted)
    except Exception as error:
        raise StageExecutionError(
            f"The worker has no {call.target} ({type(error).__name__}: {error}). "
            "Install the same version of the application there."
        ) from error


async def _run(call: StageCall, target: Target, emitted: Emitted) -> Given:
    value = plain(CODEC.decode(call.value, target.value))
    reads = zip(target.leaf.reads, call.reads, target.reads, strict=True)
    known = {shape: plain(CODEC.decode(data, type_)) for shape, data, type_ in reads}
    bind_run(call.run_id, call.correlation)
    result: object = await target.leaf.call(SentInputs(value, known, context_of(call, emitted)))
    match result:
        case Success(StageOutput()) | Failure(StageError()):
            return result
        case _:
            raise no_result(call.stage, result)
