"""What has come of one execution of one plan, and reading it: by the run's own stages, and by reports."""

from __future__ import annotations

from typing import overload

from typing_extensions import TypeVar, override

from stageflow.context.inputs import StageInputs
from stageflow.context.ports import StagePorts
from stageflow.context.stage import StageContext
from stageflow.core.output import StageOutput
from stageflow.core.stage import Shape, StageHandle, StageKind, StageStatus
from stageflow.errors import StageError, UndeclaredDependencyError
from stageflow.graph.names import filled
from stageflow.graph.plan import INPUT, Ancestry, Place, Plan
from stageflow.graph.problems import nearest
from stageflow.graph.resolving import resolved
from stageflow.graph.run import Run
from stageflow.graph.scheduler import Scheduler, Topology
from stageflow.graph.shape import Both

_T = TypeVar("_T")
_OK = StageStatus.OK
NEVER = -1.0  # in place of when a stage started, where it did not


class Ledger:
    """What has come of one execution of one plan.

    Attributes:
        run: what the whole run shares.
        plan: what is executed. Where ``each`` is true, its slots are the items.
        above: the execution around this one, and ``slot``, the number there of the stage that contains this one.
        items: the numbers of the items that this is inside of, outermost first.
        values: what each stage gave; the last is the input. An item stands in its place until it is done.
        states: how each stage ended, as the scheduler knows it.
        begun: when each stage started, on the run's clock; `ended`, how long it took, in seconds.
        notes: why a stage did not end OK: its error, or the reason.
        riders: outputs that brought artifacts or events along.
        attempts: attempts of each stage after its first, where there were any.
        tried: attempts of the stage around this one before this execution.
        children: the executions inside this one, by stage and plan.
    """

    __slots__ = (
        "above",
        "attempts",
        "begun",
        "children",
        "each",
        "ended",
        "items",
        "notes",
        "plan",
        "riders",
        "run",
        "scheduler",
        "slot",
        "states",
        "tried",
        "values",
    )

    def __init__(
        self, run: Run, plan: Plan, value: object, *, above: Ledger | None = None, slot: int = 0, each: bool = False
    ) -> None:
        self.run = run
        self.plan = plan
        self.above = above
        self.slot = slot
        self.each = each
        self.items: tuple[int, ...] = ()
        self.tried = 0
        if above is not None:
            self.items = (*above.items, slot) if above.each else above.items
            self.tried = above.tried + above.attempts.get(slot, 0)
            above.children[slot, plan] = self
        if each:
            items = _items(value)
            self.values: list[object] = [*items, items]
            self.scheduler = Scheduler(_unrelated(len(items)))
        else:
            self.values = [None] * len(plan.nodes)
            self.values.append(value)
            self.scheduler = Scheduler(plan.topology)
        self.states = self.scheduler.states
        self.begun = [NEVER] * len(self.states)
        self.ended = [0.0] * len(self.states)
        self.notes: dict[int, StageError | str] = {}
        self.riders: dict[int, StageOutput[object]] = {}
        self.attempts: dict[int, int] = {}
        self.children: dict[tuple[int, Plan], Ledger] = {}

    def name(self, slot: int) -> str:
        """The full name of a stage."""
        if self.each:
            return filled(self.plan.names[0], (*self.items, slot)) if self.whole_items else f"item {slot}"
        name = self.plan.names[slot]
        return filled(name, self.items) if self.plan.templated else name

    def kind(self, slot: int) -> StageKind | None:
        """What a stage is for; None where it only contains others."""
        if self.each:
            return self.plan.kinds[0] if self.whole_items else None
        return self.plan.kinds[slot]

    @property
    def whole_items(self) -> bool:
        """Whether each item is one stage, run without an execution of its own."""
        return len(self.plan.nodes) == 1

    def attempt(self, slot: int) -> int:
        """How often a stage has been tried."""
        return 1 + self.tried + self.attempts.get(slot, 0)

    def why(self, slot: int) -> str:
        """Why a stage did not end OK, in words that name where it began."""
        origin = self.scheduler.origin(slot)
        source = slot if origin is None else origin
        note = self.notes.get(source, "")
        if isinstance(note, StageError):
            return f"{self.name(source)}: {note}" if not hasattr(note, "stage") else str(note)
        return f"{self.name(source)}: {note}" if note and self.kind(source) is not None else str(note)

    # --- reading -------------------------------------------------------------------------------------------------

    def read(self, slot: int, wanted: Shape | str) -> object:
        """The output of an ancestor of a stage.

        Raises:
            UndeclaredDependencyError: it is not an ancestor, or has no output to read.
        """
        place = self._place(slot, wanted)
        if place is None:
            known = sorted(self.run.atlas.named) if isinstance(wanted, str) else []
            raise UndeclaredDependencyError(_not_there(self.name(slot), wanted, known))
        ledger, reader = self, slot
        path = _path(self.run.atlas.enclosing, place)
        while ledger.plan.number not in path and ledger.above is not None:
            ledger, reader = ledger.above, ledger.slot
        while ledger.each and ledger.above is not None and not ledger.whole_items:
            ledger, reader = ledger.above, ledger.slot
        target = path[ledger.plan.number]
        if ledger.each or not self._may_read(ledger, reader, target):
            raise UndeclaredDependencyError(_not_followed(self.name(slot), _label(wanted)))
        return ledger.descend(place, path, self.name(slot), _label(wanted))

    def descend(self, place: Place, path: dict[int, int], reader: str, wanted: str) -> object:
        """The value at a place in this execution or in one inside it."""
        ledger = self
        while ledger.plan.number != place.plan:
            slot = path[ledger.plan.number]
            inside = [child for (at, _), child in ledger.children.items() if at == slot and child.plan.number in path]
            if not inside or inside[0].each:
                raise UndeclaredDependencyError(_absent(reader, wanted, per_item=bool(inside)))
            ledger = inside[0]
        if ledger.each:
            raise UndeclaredDependencyError(_absent(reader, wanted, per_item=True))
        if place.slot != INPUT and ledger.states[place.slot] is not _OK:
            raise UndeclaredDependencyError(_absent(reader, wanted, per_item=False))
        return ledger.values[place.slot]

    def look(self, wanted: Shape | str) -> object:
        """The output of any stage of this execution, from outside.

        Raises:
            KeyError: there is no such stage, or it gave no output.
        """
        place = self._place(None, wanted)
        path = _path(self.run.atlas.enclosing, place) if place else {}
        if place is None or self.plan.number not in path:
            raise KeyError(f'No stage "{_label(wanted)}" is in this pipeline.')
        try:
            return self.descend(place, path, "", _label(wanted))
        except UndeclaredDependencyError:
            raise KeyError(f'Stage "{_label(wanted)}" gave no output: see report.stages for how it went.') from None

    def _place(self, slot: int | None, wanted: Shape | str) -> Place | None:
        atlas = self.run.atlas
        if isinstance(wanted, str):
            return atlas.named.get(wanted)
        found = resolved(wanted, atlas.places)
        if not isinstance(found, tuple):
            return found
        scope = self.plan.scopes[0 if self.each else slot] if slot is not None else 0
        while scope >= 0:
            for place in found:
                if place.scope == scope:
                    return place
            scope = atlas.scopes[scope]
        return None

    def _may_read(self, ledger: Ledger, reader: int, target: int) -> bool:
        if target == INPUT:
            return True
        topology = ledger.plan.topology
        if target in topology.parents[reader]:
            return True
        ancestry = self.run.atlas.ancestry
        number = ledger.plan.number
        if number not in ancestry:
            ancestry[number] = Ancestry(topology)
        return ancestry[number].follows(reader, target)


class RunInputs(StageInputs[object]):
    """What a stage of a run sees."""

    __slots__ = ("ledger", "slot")

    def __init__(self, value: object, ledger: Ledger, slot: int) -> None:
        self._value = value
        self.ledger = ledger
        self.slot = slot

    @property
    @override
    def ports(self) -> StagePorts:
        return self.ledger.run.context.ports

    @property
    @override
    def attempt(self) -> int:
        return self.ledger.attempt(self.slot)

    @property
    @override
    def context(self) -> StageContext:
        run = self.ledger.run
        return StageContext(
            run_id=run.run_id,
            stage=self.ledger.name(self.slot),
            kind=self.ledger.kind(self.slot) or StageKind.TRANSFORM,
            attempt=self.attempt,
            correlation=run.context.correlation,
            config=run.context.config,
            timer=run.timer,
            sink=run.teller,
        )

    @override
    def next_attempt(self) -> RunInputs:
        ledger, slot = self.ledger, self.slot
        ledger.attempts[slot] = ledger.attempts.get(slot, 0) + 1
        kind = ledger.kind(slot)
        if ledger.run.teller is not None and kind is not None:
            ledger.run.teller.began(ledger.name(slot), kind, ledger.attempt(slot))
        return RunInputs(self._value, ledger, slot)

    @overload
    def __getitem__(self, stage: StageHandle[_T], /) -> _T: ...
    @overload
    def __getitem__(self, name: str, /) -> object: ...
    @override
    def __getitem__(self, stage: StageHandle[object] | str, /) -> object:
        return self.ledger.read(self.slot, stage if isinstance(stage, str) else stage.shape)


def _items(value: object) -> tuple[object, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(value)
    try:
        return tuple(value)  # type: ignore[arg-type]  # what is no sequence is told so below
    except TypeError:
        raise TypeError(f".each needs a sequence to go through; it was given {value!r}.") from None


def _unrelated(count: int) -> Topology:
    return Topology(((),) * count, ((),) * count, tuple(range(count)))


def _path(enclosing: tuple[tuple[int, int], ...], place: Place) -> dict[int, int]:
    """Of each plan around a place, the number there of the stage that leads to it."""
    path = {place.plan: place.slot}
    plan = place.plan
    while plan:
        plan, slot = enclosing[plan]
        path[plan] = slot
    return path


def _label(wanted: Shape | str) -> str:
    return wanted if isinstance(wanted, str) else wanted.label


def _not_there(reader: str, wanted: Shape | str, known: list[str]) -> str:
    return (
        f'Stage "{reader}" reads "{_label(wanted)}", which is not in this pipeline.{nearest(_label(wanted), known)} '
        "Read a stage of the pipeline that this stage follows."
    )


def _not_followed(reader: str, wanted: str) -> str:
    return (
        f'Stage "{reader}" reads "{wanted}", which it does not follow, so it may not have finished. '
        f'Put "{reader}" after "{wanted}": {wanted} | {reader}, or after=(..., {wanted}).'
    )


def _absent(reader: str, wanted: str, *, per_item: bool) -> str:
    if per_item:
        return (
            f'Stage "{reader}" reads "{wanted}", which ran once per item. '
            "Read the handle of its .each(), which has the output of every item."
        )
    return (
        f'Stage "{reader}" reads "{wanted}", which gave no output: it was skipped, or it failed and that was absorbed. '
        f"Read the handle of what absorbed it: the stage made by .optional(), .recover(), .settled() or route()."
    )


