"""What a worker answers: a stage's Result as bytes, and what the stage told meanwhile."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast

import msgspec
from returns.result import Failure, Result, Success

from stageflow.core.output import StageArtifact, StageEvent, StageOutput
from stageflow.core.stage import StageStatus
from stageflow.engines.targets import CODEC
from stageflow.errors import CodecError, StageError, StageExecutionError
from stageflow.graph.errors import defect
from stageflow.graph.shape import Given

Told: TypeAlias = Sequence[tuple[str, Mapping[str, object]]]
Riders: TypeAlias = tuple[tuple[StageArtifact, ...], tuple[StageEvent, ...]]

_T = TypeVar("_T")


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What goes back.

    Attributes:
        how: ``ok``, ``skip``, ``cancel``, ``fail``, or ``raised`` for a defect.
        payload: the output or the error, encoded.
        reason: why it was skipped, or cancels the run.
        riders: artifacts and events of the output, pickled: they are of any type, and go between equal programs.
        told: what the stage emitted, pickled likewise.
    """

    how: str
    payload: bytes = b""
    reason: str = ""
    riders: bytes = b""
    told: bytes = b""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Answer)


def answered(result: Given, output: object, told: Told, stage: str) -> bytes:
    """The answer of a stage that gave a result; what of it cannot be encoded makes a defect of it.

    Args:
        result: what it gave.
        output: the declared type of its output.
        told: what it emitted.
        stage: its name.
    """
    try:
        answer = _of(result, output)
        kept = pickle.dumps(told) if told else b""
        return _ENCODER.encode(msgspec.structs.replace(answer, told=kept) if kept else answer)
    except CodecError as error:
        return raised(defect(stage, error), told)
    except Exception as error:  # noqa: BLE001  (whatever a value's own pickling raises)
        lost = CodecError(f"An artifact or event cannot be sent: {type(error).__name__}: {error}. Give plain data.")
        return raised(defect(stage, lost), ())


def raised(error: StageExecutionError, told: Told) -> bytes:
    """The answer of a stage that something escaped."""
    try:
        kept = pickle.dumps(told) if told else b""
    except Exception:  # noqa: BLE001  (the defect is what counts: it says more than that its events are lost)
        kept = b""
    return _ENCODER.encode(Answer("raised", plain(CODEC.encode_failure(error)), told=kept))


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, as the run takes it.

    Attributes:
        result: what the stage gave; None where something escaped it.
        escaped: what escaped it.
        told: what it emitted.
    """

    result: Given | None
    escaped: StageError | None
    told: Told

    def given(self) -> Given:
        """What the stage gave.

        Raises:
            StageError: what escaped it.
        """
        if self.result is None:
            raise self.escaped or CodecError("A worker's answer says that something escaped, and not what.")
        return self.result


def read(data: bytes, output: object) -> Answered:
    """What a worker answered.

    Args:
        data: what `answered` or `raised` made.
        output: the declared type of the stage's output.

    Raises:
        CodecError: it is no answer, or what it holds is not of its type.
    """
    try:
        answer = _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        raise CodecError(
            f"A worker's answer cannot be read ({error}). An engine gives back what stageflow.engines.perform gave."
        ) from error
    told = cast("Told", pickle.loads(answer.told)) if answer.told else ()  # noqa: S301  (of the same program)
    if answer.how in {"fail", "raised"}:
        failure = plain(CODEC.decode_failure(answer.payload))
        return Answered(None, failure, told) if answer.how == "raised" else Answered(Failure(failure), None, told)
    return Answered(Success(_output(answer, output)), None, told)


def _of(result: Given, output: object) -> Answer:
    if isinstance(result, Failure):
        return Answer("fail", plain(CODEC.encode_failure(result.failure())))
    given = result.unwrap()
    riders = pickle.dumps((given.artifacts, given.events)) if given.artifacts or given.events else b""
    payload = plain(CODEC.encode(given.data, output)) if given.status is StageStatus.OK else b""
    return Answer(given.status.value, payload, given.reason, riders)


def _output(answer: Answer, output: object) -> StageOutput[object]:
    status = StageStatus(answer.how)
    data = plain(CODEC.decode(answer.payload, output)) if status is StageStatus.OK else None
    if not answer.riders:
        return StageOutput(status, data, answer.reason)
    artifacts, events = cast("Riders", pickle.loads(answer.riders))  # noqa: S301  (of the same program)
    return StageOutput(status, data, answer.reason, artifacts, events)


def plain(result: Result[_T, CodecError]) -> _T:
    """What was encoded or decoded.

    Raises:
        CodecError: it could not be.
    """
    if isinstance(result, Failure):
        raise result.failure()
    return result.unwrap()
