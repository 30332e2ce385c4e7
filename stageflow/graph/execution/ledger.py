"""What has come of one execution of one plan: the state of a run, but for what `Run` shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import NamedTuple, cast
from weakref import ref

from stageflow.core.output import StageOutput
from stageflow.core.stage import StageKind, StageStatus
from stageflow.errors import StageError, StageExecutionError
from stageflow.graph.execution.places import Lent
from stageflow.graph.execution.run import Run
from stageflow.graph.names import filled
from stageflow.graph.plan import Node, Plan
from stageflow.graph.scheduler import Scheduler, Topology
from stageflow.graph.shape import Call

NEVER = -1.0  # in place of when a stage started, where it did not


class Try(NamedTuple):
    """An attempt that another followed: when it began and ended, and when that one began, on the run's clock."""

    began: float
    ended: float
    again: float
    error: StageError | None


@dataclass(slots=True, eq=False, repr=False, weakref_slot=True)
class Ledger:
    """What has come of one execution of one plan.

    Attributes:
        run: what the whole run shares.
        plan: what is executed. Where ``each`` is true, its slots are the items.
        slot: the number in the execution around this one (`above`) of the stage that contains this one.
        each: whether it goes through items.
        items: the numbers of the items that this is inside of, outermost first.
        values: what each stage gave; the last is the input. An item stands in its place until it is done.
        inside: what came from inside the wrappers of a stage that may hide it.
        states: how each stage ended, as the scheduler knows it.
        begun: when each stage started, on the run's clock; `ended`, how long it took, in seconds.
        notes: why a stage did not end OK: its error, or the reason.
        riders: outputs that brought artifacts or events along.
        attempts: attempts of each stage after its first, where there were any.
        tried: attempts of each stage in former executions of the same, where what is around was tried again.
        former: the execution before this one of the same, where what is around was tried again.
        tries: of each stage that was tried again, its former attempts; made with the first.
        children: the executions inside this one, by stage and plan.
        cause: what made the stages of this execution stop; empty where that came from around it, or nothing did.
        chosen: of each route that chose, what it says of the cases that it did not choose.
        held: where the runner has a limit, the place that each running stage holds.
    """

    run: Run
    plan: Plan
    value: InitVar[object]
    around: InitVar[Ledger | None] = None
    slot: int = 0
    each: bool = False
    items: tuple[int, ...] = ()
    nodes: Sequence[Node] = field(init=False)
    scheduler: Scheduler = field(init=False)
    values: list[object] = field(init=False)
    states: list[StageStatus | None] = field(init=False)
    begun: list[float] = field(init=False)
    ended: list[float] = field(init=False)
    inside: dict[int, object] = field(init=False)
    notes: dict[int, StageError | str] = field(init=False)
    riders: dict[int, StageOutput[object]] = field(init=False)
    attempts: dict[int, int] = field(init=False)
    tried: Sequence[int] = ()
    former: Ledger | None = None
    tries: dict[int, tuple[Try, ...]] | None = None
    children: dict[tuple[int, Plan], Ledger] = field(init=False)
    cause: str = ""
    chosen: dict[int, str] | None = None
    held: dict[int, Lent] = field(init=False)
    _above: ref[Ledger] | None = None
    _cores: Mapping[int, Call] = field(init=False)

    def __post_init__(self, value: object, around: Ledger | None) -> None:
        run, plan = self.run, self.plan
        self.inside, self.notes, self.riders, self.attempts = {}, {}, {}, {}
        self.children, self.held = {}, {}
        self.nodes, self._cores = (plan.nodes, plan.cores) if run.around is None else run.around.wired(plan)
        topology = plan.topology
        if self.each:
            items = _items(value)
            self.values = [*items, items]
            topology = _unrelated(len(items))
        else:
            self.values = [None] * len(plan.nodes)
            self.values.append(value)
        self._above = None if around is None else ref(around)  # weak, so that what stages gave does not wait for the GC
        if around is not None:
            self.items = (*around.items, self.slot) if around.each else around.items
        self.scheduler = Scheduler(topology) if run.journal is None else run.journal.scheduler(self, topology)
        self.states = self.scheduler.states
        self.begun = [NEVER] * len(self.states)
        self.ended = [0.0] * len(self.states)
        if around is not None:
            self._follow(around)

    def _follow(self, around: Ledger) -> None:
        """Takes the place of a former execution of the same, where what is around was tried again."""
        run, former = self.run, around.children.get((self.slot, self.plan))
        if former is not None:
            if run.journal is not None:
                run.journal.again(former)
        elif around.former is not None:  # what is around it was tried again
            former = around.former.children.get((self.slot, self.plan))
        if former is not None:
            self.former = former.superseded()
            if len(former.states) == len(self.states):
                self.tried = [former.attempt(at) - (former.begun[at] == NEVER) for at in range(len(self.states))]
                self.tries = former.in_all()
        around.children[self.slot, self.plan] = self

    @property
    def above(self) -> Ledger | None:
        """The execution around this one; None of the outermost, and once that is gone."""
        return None if self._above is None else self._above()

    def name(self, slot: int) -> str:
        """The full name of a stage."""
        if self.each:
            items = (*self.items, slot)
            return filled(self.plan.names[0], items) if self.whole_items else f"item {slot}"
        name = self.plan.names[slot]
        return filled(name, self.items) if self.plan.templated else name

    def kind(self, slot: int) -> StageKind | None:
        """What a stage is for; None where it only contains others."""
        if self.each:
            return self.plan.kinds[0] if self.whole_items else None
        return self.plan.kinds[slot]

    def core(self, slot: int) -> Call:
        """What stands inside the wrappers of a stage."""
        return self._cores[0 if self.each else slot]

    def settled(self) -> int:
        """How many stages have come to an end of their own by now: those that were stopped do not count."""
        return len(self.states) - self.states.count(None) - self.states.count(StageStatus.CANCEL)

    @property
    def whole_items(self) -> bool:
        """Whether each item is one stage, run without an execution of its own."""
        return len(self.plan.nodes) == 1 and self.plan.kinds[0] is not None and self.plan.output == 0

    def attempt(self, slot: int) -> int:
        """How often a stage has been tried."""
        return 1 + (self.tried[slot] if self.tried else 0) + self.attempts.get(slot, 0)

    def again(self, slot: int, error: StageError | None, waited: float) -> None:
        """Keeps that an attempt of a stage failed, so many seconds ago, and is followed by another."""
        now = self.run.timer.clock()
        if self.tries is None:
            self.tries = {}
        former = self.tries.get(slot, ())
        self.tries[slot] = (*former, Try(self._began(slot, former), now - waited, now, error))
        self.attempts[slot] = self.attempts.get(slot, 0) + 1

    def _began(self, slot: int, former: tuple[Try, ...]) -> float:
        """When the last attempt of a stage began: with this execution, or after a former attempt in it."""
        return max(self.begun[slot], former[-1].again) if former else self.begun[slot]

    def superseded(self) -> Ledger:
        """The execution, with what is inside it from the one before, where it did not come to that itself."""
        if self.former is not None:
            self.children = {**self.former.children, **self.children}
            self.former = None
        return self

    def in_all(self) -> dict[int, tuple[Try, ...]]:
        """Every attempt of the stages that were started, the last ones too: all are in the past."""
        every = dict(self.tries or {})
        for slot, begun in enumerate(self.begun):
            if begun == NEVER:
                continue
            former, note, end = every.get(slot, ()), self.notes.get(slot), begun + self.ended[slot]
            error = note if isinstance(note, StageError) else None
            every[slot] = (*former, Try(self._began(slot, former), end, end, error))
        return every

    def running(self) -> list[str]:
        """The full names of the stages that run, those inside others in place of what contains them."""
        found: list[str] = []
        unseen: list[tuple[Ledger, int]] = [(self, slot) for slot in range(len(self.begun)) if self.is_running(slot)]
        while unseen:
            ledger, slot = unseen.pop(0)
            inner = [child for (at, _), child in ledger.children.items() if at == slot]
            inside = [(child, at) for child in inner for at in range(len(child.begun)) if child.is_running(at)]
            if not inside:
                found.append(ledger.name(slot))
            unseen = inside + unseen
        return found

    def is_running(self, slot: int) -> bool:
        """Whether a stage has started and not ended."""
        return self.begun[slot] > NEVER and self.states[slot] is None

    def why(self, slot: int) -> str:
        """Why a stage did not end OK, in words that name where it began."""
        ledger, at = self, slot
        while True:
            origin = ledger.scheduler.origin(at)
            at = at if origin is None else origin
            note = ledger.notes.get(at, "")
            if not note or (isinstance(note, StageExecutionError) and note.stage):
                return str(note)
            inner = (
                []
                if ledger.kind(at) is not None
                else [child for (slot, _), child in ledger.children.items() if slot == at]
            )
            if inner and isinstance(note, str):
                return note  # which names where it began
            began = next(((child, one) for child in inner for one, said in child.notes.items() if said is note), None)
            if began is None:
                return f"{ledger.name(at)}: {note}"
            ledger, at = began

    def stop(self, cause: str) -> None:
        """Keeps what made the stages of this execution stop, unless something around it has."""
        self.cause = self.stopped_by() or cause

    def stopped_by(self) -> str:
        """What made the stages of this execution stop, here or around it; empty where nothing did."""
        at: Ledger | None = self
        while at is not None:
            if at.cause:
                return at.cause
            at = at.above
        return self.run.cause


def _items(value: object) -> tuple[object, ...]:
    if isinstance(value, list | tuple | Sequence) and not isinstance(value, str | bytes):
        return tuple(cast("Sequence[object]", value))
    raise TypeError(f".each needs a sequence to go through, such as a list; it was given {value!r}.")


def _unrelated(count: int) -> Topology:
    return Topology(((),) * count, ((),) * count, tuple(range(count)))
