"""What is to become of a stage that must not run twice and was cut off: said by whoever found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, final, overload

from stageflow.core.stage import Shape, StageHandle

_T = TypeVar("_T")


@final
@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a stage with ``effects="once"`` that a resumed run finds started and not ended.

    Made from the stage, for `Runner.resume`: ``Decision.of(charge).gave(receipt)``, ``.repeat()`` or ``.skip(reason)``.

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

    @overload
    @staticmethod
    def of(stage: StageHandle[_T], /, *, item: str = "") -> Undecided[_T]: ...
    @overload
    @staticmethod
    def of(stage: str, /) -> Undecided[object]: ...
    @staticmethod
    def of(stage: StageHandle[_T] | str, /, *, item: str = "") -> Undecided[_T] | Undecided[object]:
        """The stage that is decided about.

        Args:
            stage: a handle, for all that is open of it, or a name as the report has it: ``charge[3]``.
            item: where a handle is given and one item is meant, the name of that.
        """
        return Undecided(item or (stage if isinstance(stage, str) else stage.shape))


@final
class Undecided(Generic[_T]):
    """A stage that is to be decided about."""

    __slots__ = ("_stage",)

    def __init__(self, stage: Shape | str) -> None:
        self._stage = stage

    def repeat(self) -> Decision:
        """Its effect did not happen, or may happen again: it runs, with the same idempotency key."""
        return Decision(self._stage, "repeat")

    def skip(self, reason: str) -> Decision:
        """It counts as skipped, and what follows it too."""
        return Decision(self._stage, "skip", reason=reason)

    def gave(self, value: _T) -> Decision:
        """Its effect happened, and this is what it gave."""
        return Decision(self._stage, "gave", value)
