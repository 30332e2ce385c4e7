"""A stage that does what a script says, and remembers how often it was called and how each call ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import final

from returns.result import Result

from stageflow.context.inputs import StageInputs
from stageflow.core.output import StageOutput, cancel, fail, ok, skip
from stageflow.errors import StageError


class Ending(StrEnum):
    """How a call of a scripted stage ends."""

    OK = "ok"
    SKIP = "skip"
    CANCEL = "cancel"
    FAIL = "fail"
    FAIL_RETRYABLE = "fail, retryable"
    RAISE = "raise"


class ScriptedError(StageError):
    """What a scripted stage fails with.

    Attributes:
        call: which call it was, from 1.
    """

    call: int


@final
@dataclass(frozen=True, slots=True)
class Act:
    """One call in a script.

    Attributes:
        ending: how it ends.
        after: seconds until then.
    """

    ending: Ending
    after: float = 0.0


@final
class ScriptedStage:
    """A stage function that follows a script, call by call; its last act is repeated.

    It gives its value, so that one can see which call an output is of. What a call came to is in `endings`, None where
    it was cancelled.

    Args:
        acts: the script.

    Raises:
        ValueError: there is no act.
    """

    def __init__(self, *acts: Act) -> None:
        if not acts:
            raise ValueError("A script needs at least one act.")
        self._acts: Sequence[Act] = acts
        self.calls: list[object] = []
        self.endings: list[Ending | None] = []

    async def __call__(self, inputs: StageInputs[object], /) -> Result[StageOutput[object], ScriptedError]:
        """Does what comes next in the script."""
        number = len(self.calls)
        self.calls.append(inputs.value)
        act = self._acts[min(number, len(self._acts) - 1)]
        try:
            await asyncio.sleep(act.after)
        except asyncio.CancelledError:
            self.endings.append(None)
            raise
        self.endings.append(act.ending)
        return _ended(act.ending, number + 1, inputs.value)


def _ended(ending: Ending, call: int, value: object) -> Result[StageOutput[object], ScriptedError]:
    match ending:
        case Ending.OK:
            return ok(value)
        case Ending.SKIP:
            return skip(f"call {call} skips")
        case Ending.CANCEL:
            return cancel(f"call {call} cancels")
        case Ending.FAIL:
            return fail(ScriptedError(f"call {call} fails", call=call))
        case Ending.FAIL_RETRYABLE:
            return fail(ScriptedError(f"call {call} fails for now", call=call, retryable=True))
        case Ending.RAISE:
            raise RuntimeError(f"call {call} raises")
