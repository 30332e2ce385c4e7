"""What the stages of a run gave, by handle or name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final, overload

from typing_extensions import TypeVar, override

from stageflow.core.stage import StageHandle, StageStatus
from stageflow.graph import problems as say
from stageflow.graph.ledger import Ledger
from stageflow.graph.reading import look

_T = TypeVar("_T")


@final
class StageOutputs:
    """What the stages of a run gave: ``outputs[fetch]``, typed by the handle, or ``outputs["fetch"]``.

    A stage that gave nothing, since it was skipped, cancelled or failed, is a `KeyError` that says so. Pickled, it
    keeps the outputs of the outermost stages, and a handle then finds its output by its name.
    """

    __slots__ = ("_by_name", "_ledger")

    def __init__(self, by_name: Mapping[str, object] | None = None, *, ledger: Ledger | None = None) -> None:
        self._by_name = by_name
        self._ledger = ledger

    @overload
    def __getitem__(self, stage: StageHandle[_T], /) -> _T: ...
    @overload
    def __getitem__(self, name: str, /) -> object: ...
    def __getitem__(self, stage: StageHandle[object] | str, /) -> object:
        """The output of a stage.

        Raises:
            KeyError: there is no such stage, or it gave no output.
        """
        if self._ledger is not None:
            return look(self._ledger, stage if isinstance(stage, str) else stage.shape)
        name = stage if isinstance(stage, str) else stage.name
        by_name = self.by_name()
        if name not in by_name:
            raise KeyError(say.look_at_absent(name))
        return by_name[name]

    def by_name(self) -> Mapping[str, object]:
        """The outputs of the outermost stages that were OK, in graph order."""
        ledger = self._ledger
        if ledger is None:
            return dict(self._by_name or {})
        states = ledger.states
        return {ledger.name(slot): ledger.values[slot] for slot in range(len(states)) if states[slot] is StageStatus.OK}

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, StageOutputs) and self.by_name() == other.by_name()

    @override
    def __hash__(self) -> int:
        return hash(tuple(self.by_name()))

    @override
    def __repr__(self) -> str:
        return f"StageOutputs({', '.join(self.by_name())})"

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return (StageOutputs, (dict(self.by_name()),))
