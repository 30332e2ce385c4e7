"""What may run next: a pure state machine, without I/O, clock or tasks.

One stage is in one state; a transition not in this table is a `ValueError`.

=========  =====================================  ===========================================================
state      meaning                                leaves it
=========  =====================================  ===========================================================
waiting    some parent has not settled            the last parent settles: to *ready* where all are OK, to
                                                  SKIP where a parent is SKIP, else to CANCEL
ready      given out by start() or finished()     the driver's ``finished(stage, status)``: to that status
OK         it gave a value                        never
SKIP       it, or a stage it follows, skipped     never
FAIL       it failed                              never
CANCEL     it was stopped, or could not start     never
=========  =====================================  ===========================================================

Invariants, at every moment:

1. A stage is given out at most once, and only when all its parents are OK.
2. ``waiting[s]`` is the number of parents of ``s`` that have not settled, or a mark that ``s`` was ready too late to be
   given out; a settled stage never changes.
3. A stage settles after all its parents, so what caused a skip does not depend on who finished first.
4. After ``halt()`` nothing is given out; what had been given out may still settle.
5. The work of ``finished`` is linear in the edges it crosses; over a run, in stages plus edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stageflow.core.stage import StageStatus

_OK, _SKIP, _FAIL, _CANCEL = StageStatus.OK, StageStatus.SKIP, StageStatus.FAIL, StageStatus.CANCEL
_WITHHELD = -1


@dataclass(frozen=True, slots=True, eq=False)
class Topology:
    """Who follows whom, by number; numbers are in topological order.

    Attributes:
        parents: of each stage, the stages it follows (distinct).
        successors: of each stage, the stages that follow it.
        sources: the stages that follow nothing.
    """

    parents: tuple[tuple[int, ...], ...]
    successors: tuple[tuple[int, ...], ...]
    sources: tuple[int, ...]

    @staticmethod
    def of(parents: Sequence[Sequence[int]]) -> Topology:
        """The topology in which each stage follows these; a parent has a lower number than its child."""
        successors: list[list[int]] = [[] for _ in parents]
        for stage, follows in enumerate(parents):
            for parent in follows:
                successors[parent].append(stage)
        return Topology(
            tuple([tuple(follows) for follows in parents]),
            tuple([tuple(followers) for followers in successors]),
            tuple([stage for stage, follows in enumerate(parents) if not follows]),
        )


class Scheduler:
    """The states of the stages of one run of one topology.

    Attributes:
        states: how each stage went; None while that is open.
        spoiled: the stages that will not run, because of what they follow.

    >>> chain = Scheduler(Topology.of([(), (0,), (1,)]))
    >>> chain.start(), chain.finished(0, StageStatus.OK), chain.finished(1, StageStatus.SKIP)
    ((0,), [1], [])
    >>> [state and state.value for state in chain.states]
    ['ok', 'skip', 'skip']
    """

    __slots__ = (
        "_halted",
        "_origins",
        "_settled",
        "_successors",
        "_topology",
        "_waiting",
        "spoiled",
        "states",
    )

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._successors = topology.successors
        self._waiting = [len(follows) for follows in topology.parents]
        self.states: list[StageStatus | None] = [None] * len(topology.parents)
        self.spoiled: set[int] = set()
        self._origins: dict[int, int] = {}
        self._settled: list[int] = []
        self._halted = False

    def start(self) -> Sequence[int]:
        """The stages that may run at once."""
        return () if self._halted else self._topology.sources

    def finished(self, stage: int, status: StageStatus) -> list[int]:
        """Settles a stage that was given out, and gives what became ready.

        Raises:
            ValueError: the stage was not given out, or has settled already.
        """
        waiting, states = self._waiting, self.states
        if states[stage] is not None or waiting[stage]:
            raise ValueError(f"Stage {stage} cannot finish: it was not given out, or has settled already.")
        states[stage] = status
        ready: list[int] = []
        if status is not _OK:
            self._spoil(stage)
            return ready
        for successor in self._successors[stage]:
            waiting[successor] = left = waiting[successor] - 1
            if left:
                continue
            if self.spoiled and successor in self.spoiled:
                self._settle(successor)
            else:
                ready.append(successor)
        if self._halted:
            for withheld in ready:
                waiting[withheld] = _WITHHELD
            return []
        return ready

    def halt(self) -> None:
        """Gives nothing out any more."""
        self._halted = True

    def settled(self) -> list[int]:
        """The stages that settled without being given out since this was last asked, in the order they did."""
        settled, self._settled = self._settled, []
        return settled

    def close(self) -> None:
        """Settles what never started, once nothing runs: SKIP where it follows a skip, else CANCEL."""
        for stage, state in enumerate(self.states):
            if state is None:
                self.states[stage] = self._inherited(stage)
                self._settled.append(stage)

    def origin(self, stage: int) -> int | None:
        """The stage whose skip or failure this one inherited; None where it has its status of its own."""
        return self._origins.get(stage)

    def _spoil(self, stage: int) -> None:
        for successor in self._successors[stage]:
            self.spoiled.add(successor)
            self._waiting[successor] -= 1
            if not self._waiting[successor]:
                self._settle(successor)

    def _settle(self, first: int) -> None:
        unsettled = [first]
        while unsettled:
            stage = unsettled.pop()
            self.states[stage] = self._inherited(stage)
            self._settled.append(stage)
            for successor in self._successors[stage]:
                self.spoiled.add(successor)
                self._waiting[successor] -= 1
                if not self._waiting[successor]:
                    unsettled.append(successor)

    def _inherited(self, stage: int) -> StageStatus:
        parents = self._topology.parents[stage]
        for wanted, gives in ((_SKIP, _SKIP), (_FAIL, _CANCEL), (_CANCEL, _CANCEL)):
            for parent in parents:
                if self.states[parent] is wanted:
                    self._origins[stage] = self._origins.get(parent, parent)
                    return gives
        return _CANCEL
