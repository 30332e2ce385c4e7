"""What is to become of a stage that must not run twice and was cut off: said by whoever found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar, final

from stageflow.core.stage import Shape, StageHandle

_T = TypeVar("_T")


@final
@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a stage with ``effects="once"`` that a resumed run finds started and not ended.

    Made by `repeat`, `skip` and `gave`, for `Runner.resume`. A name is that of the report, with the numbers of items
    (``charge[3]``); a handle stands for every item that is open.

    Attributes:
        stage: the stage, or its name.
        what: what is to become of it.
        value: what it gave.
        reason: why it is skipped.
    """

    stage: Shape | str
    what: Literal["repeat", "skip", "gave"]
    value: object = None
    reason: str = ""

    @staticmethod
    def repeat(stage: StageHandle[object] | str) -> Decision:
        """Its effect did not happen, or may happen again: it runs, with the same idempotency key."""
        return Decision(_stage(stage), "repeat")

    @staticmethod
    def skip(stage: StageHandle[object] | str, reason: str) -> Decision:
        """It counts as skipped, and what follows it too."""
        return Decision(_stage(stage), "skip", reason=reason)

    @staticmethod
    def gave(stage: StageHandle[_T], value: _T, *, item: str = "") -> Decision:
        """Its effect happened, and this is what it gave.

        Args:
            stage: the stage.
            value: its output.
            item: inside of an ``.each``, the name of the one that is meant: ``charge[3]``.
        """
        return Decision(item or stage.shape, "gave", value)


def _stage(stage: StageHandle[object] | str) -> Shape | str:
    return stage if isinstance(stage, str) else stage.shape
