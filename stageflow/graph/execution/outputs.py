"""What the stages of a run gave, by handle or name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final, overload

from typing_extensions import TypeVar, override

from stageflow.core.stage import StageHandle, StageStatus
from stageflow.graph import problems as say
from stageflow.graph.execution.ledger import Ledger
from stageflow.graph.execution.reading import look
from stageflow.graph.shape import Named

_T = TypeVar("_T")
_NOTHING = object()


@final
class StageOutputs:
    """What the stages of a run gave: ``outputs[fetch]``, typed by the handle, or ``outputs["fetch"]``.

    A stage that gave nothing, since it was skipped, cancelled or failed, is a `KeyError` that says so. Pickled or
    copied, a handle finds by its own name what it found before; where two handles of one name found different things,
    neither does any more.
    """

    __slots__ = ("_by_handle", "_by_name", "_ledger")

    def __init__(
        self,
        by_name: Mapping[str, object] | None = None,
        by_handle: Mapping[str, object] | None = None,
        *,
        ledger: Ledger | None = None,
    ) -> None:
        self._by_name = by_name
        self._by_handle = by_handle
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
        name, kept = (stage, self._by_name) if isinstance(stage, str) else (stage.name, self._by_handle)
        if kept is None or name not in kept:
            raise KeyError(say.look_at_absent(name) if isinstance(stage, str) else say.look_at_copied(name))
        return kept[name]

    def by_name(self) -> Mapping[str, object]:
        """The outputs of the outermost stages that were OK, in graph order."""
        ledger = self._ledger
        if ledger is None:
            return dict(self._by_name or {})
        states = ledger.states
        return {ledger.name(slot): ledger.values[slot] for slot in range(len(states)) if states[slot] is StageStatus.OK}

    def _found_by_handles(self) -> dict[str, object]:
        """What each handle finds, by its name, but for names of handles that find different things."""
        if self._ledger is None:
            return dict(self._by_handle or {})
        found: dict[str, object] = {}
        differ: set[str] = set()
        for shape in self._ledger.run.atlas.places:
            if isinstance(shape, Named) and shape.keeps:  # a name in a wired pipeline, which is nobody's handle
                continue
            try:
                value = look(self._ledger, shape)
            except KeyError:
                value = _NOTHING
            if found.setdefault(shape.label, value) is not value:
                differ.add(shape.label)
        return {name: value for name, value in found.items() if name not in differ and value is not _NOTHING}

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
        return (StageOutputs, (dict(self.by_name()), self._found_by_handles()))
