"""The pure scheduler under every order of calls: a Hypothesis state machine holds it to the invariants it states."""

from __future__ import annotations

from typing import SupportsIndex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from stageflow import StageStatus
from stageflow.graph.scheduler import Scheduler, Topology

OK, SKIP, FAIL, CANCEL = StageStatus.OK, StageStatus.SKIP, StageStatus.FAIL, StageStatus.CANCEL
Parents = tuple[tuple[int, ...], ...]


@st.composite
def graphs(draw: st.DrawFn, most: int = 12) -> Parents:
    """Who follows whom; a parent has a lower number than its child."""
    count = draw(st.integers(1, most))
    return tuple(
        tuple(draw(st.lists(st.integers(0, stage - 1), unique=True, max_size=4))) if stage else ()
        for stage in range(count)
    )


class Crossings(tuple[tuple[int, ...], ...]):  # noqa: SLOT001  (a tuple subclass cannot have slots of its own)
    """The successors of each stage, which count how often they were asked for."""

    asked: dict[int, int]

    @override
    def __getitem__(self, stage: SupportsIndex) -> tuple[int, ...]:  # type: ignore[override]
        self.asked[stage.__index__()] = self.asked.get(stage.__index__(), 0) + 1
        return super().__getitem__(stage)


class Scheduling(RuleBasedStateMachine):
    """A driver that ends what was given out in any order and any way, and a model that is recomputed from scratch."""

    def __init__(self) -> None:
        super().__init__()
        self.parents: Parents = ()
        self.given_out: list[int] = []
        self.own: dict[int, StageStatus] = {}
        self.heard: list[int] = []
        self.seen: dict[int, StageStatus] = {}
        self.settled_at: dict[int, int] = {}
        self.halted = False
        self.closed = False
        self.moment = 0

    @initialize(parents=graphs())
    def start(self, parents: Parents) -> None:
        self.parents = parents
        plain = Topology.of(parents)
        self.crossings = Crossings(plain.successors)
        self.crossings.asked = {}
        self.scheduler = Scheduler(Topology(plain.parents, self.crossings, plain.sources))
        self.give_out(list(self.scheduler.start()))
        assert self.given_out == [stage for stage, follows in enumerate(parents) if not follows]

    @property
    def running(self) -> list[int]:
        return [stage for stage in self.given_out if self.scheduler.states[stage] is None]

    def give_out(self, ready: list[int]) -> None:
        for stage in ready:
            assert stage not in self.given_out, "given out twice"
            assert all(self.scheduler.states[parent] is OK for parent in self.parents[stage])
            assert not self.halted, "given out after halt()"
        self.given_out += ready

    @precondition(lambda self: self.running and not self.closed)
    @rule(data=st.data(), status=st.sampled_from((OK, OK, OK, SKIP, FAIL, CANCEL)))
    def finish_one(self, data: st.DataObject, status: StageStatus) -> None:
        stage = data.draw(st.sampled_from(self.running))
        self.own[stage] = status
        self.moment += 1
        self.give_out(self.scheduler.finished(stage, status))

    @rule(data=st.data(), status=st.sampled_from((OK, SKIP, FAIL, CANCEL)))
    def finish_what_is_not_running(self, data: st.DataObject, status: StageStatus) -> None:
        states = self.scheduler.states
        withheld = {  # see test_what_was_withheld_after_halt_cannot_finish
            stage
            for stage, follows in enumerate(self.parents)
            if stage not in self.given_out and states[stage] is None and all(states[at] is OK for at in follows)
        }
        idle = [stage for stage in range(len(self.parents)) if stage not in self.running and stage not in withheld]
        if not idle:
            return
        before = list(self.scheduler.states)
        with pytest.raises(ValueError, match="cannot finish"):
            self.scheduler.finished(data.draw(st.sampled_from(idle)), status)
        assert self.scheduler.states == before

    @precondition(lambda self: not self.closed)
    @rule()
    def halt(self) -> None:
        self.halted = True
        self.scheduler.halt()

    @rule()
    def hear_what_settled(self) -> None:
        self.heard += self.scheduler.settled()
        assert self.scheduler.settled() == []

    @precondition(lambda self: not self.closed and (self.halted or not self.running))
    @rule()
    def close(self) -> None:
        self.moment += 1
        self.scheduler.close()
        self.closed = True
        assert None not in self.scheduler.states

    def expected(self) -> tuple[list[StageStatus | None], dict[int, int]]:
        """The states and their origins, recomputed in topological order from what was ended."""
        states: list[StageStatus | None] = []
        origins: dict[int, int] = {}
        for stage, follows in enumerate(self.parents):
            above = [states[parent] for parent in follows]
            if stage in self.own:
                states.append(self.own[stage])
            elif None in above or (all(state is OK for state in above) and not self.closed):
                states.append(None)
            else:
                cause = next(
                    (parent for kind in (SKIP, FAIL, CANCEL) for parent in follows if states[parent] is kind), -1
                )
                if cause >= 0:
                    origins[stage] = origins.get(cause, cause)
                states.append(SKIP if SKIP in above else CANCEL)
        return states, origins

    @invariant()
    def the_states_are_those_that_topological_order_gives(self) -> None:
        states, origins = self.expected()
        assert self.scheduler.states == states
        assert {stage: self.scheduler.origin(stage) for stage in range(len(states))} == {
            stage: origins.get(stage) for stage in range(len(states))
        }

    @invariant()
    def a_stage_that_can_run_was_given_out(self) -> None:
        if self.halted or self.closed:
            return
        for stage, follows in enumerate(self.parents):
            if all(self.scheduler.states[parent] is OK for parent in follows):
                assert stage in self.given_out

    @invariant()
    def waiting_is_the_number_of_parents_that_have_not_settled(self) -> None:
        if self.closed:
            return
        for stage, follows in enumerate(self.parents):
            unsettled = sum(self.scheduler.states[parent] is None for parent in follows)
            withheld = self.halted and follows and not unsettled and stage not in self.given_out
            marked = withheld and all(self.scheduler.states[parent] is OK for parent in follows)
            assert self.scheduler._waiting[stage] == (-1 if marked else unsettled)

    @invariant()
    def what_has_settled_never_changes_and_settles_after_its_parents(self) -> None:
        for stage, state in enumerate(self.scheduler.states):
            if state is None:
                assert stage not in self.seen
                continue
            assert self.seen.setdefault(stage, state) is state
            self.settled_at.setdefault(stage, self.moment)
            for parent in self.parents[stage]:
                assert self.settled_at[parent] <= self.settled_at[stage]

    @invariant()
    def no_edge_is_crossed_twice(self) -> None:
        assert all(times == 1 for times in self.crossings.asked.values())

    @invariant()
    def each_that_settled_unstarted_is_heard_of_once_and_after_what_it_follows(self) -> None:
        assert len(set(self.heard)) == len(self.heard)
        assert not set(self.heard) & set(self.own)
        at = {stage: number for number, stage in enumerate(self.heard)}
        for stage in self.heard:
            assert all(at[parent] < at[stage] for parent in self.parents[stage] if parent in at)

    @override
    def teardown(self) -> None:
        if not self.parents:
            return
        while self.running and not self.closed:
            self.finish_last()
        if not self.closed:
            self.close()
        self.hear_what_settled()
        assert sorted([*self.own, *self.heard]) == list(range(len(self.parents)))

    def finish_last(self) -> None:
        stage = self.running[-1]
        self.own[stage] = OK
        self.give_out(self.scheduler.finished(stage, OK))


TestScheduling = Scheduling.TestCase
TestScheduling.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


def driven(parents: Parents, endings: list[StageStatus], picks: list[int]) -> Scheduler:
    """A scheduler driven to its end: which of the running stages ends next is picked, how it ends is its own."""
    scheduler = Scheduler(Topology.of(parents))
    running = list(scheduler.start())
    step = 0
    while running:
        stage = running.pop(picks[step % len(picks)] % len(running))
        running += scheduler.finished(stage, endings[stage])
        step += 1
    scheduler.close()
    return scheduler


@settings(max_examples=300, deadline=None)
@given(data=st.data(), parents=graphs())
def test_the_end_does_not_depend_on_who_finished_first(data: st.DataObject, parents: Parents) -> None:
    ways = st.sampled_from((OK, OK, SKIP, FAIL))
    endings = data.draw(st.lists(ways, min_size=len(parents), max_size=len(parents)))
    picks = st.lists(st.integers(0, 11), min_size=1, max_size=12)
    one, other = (driven(parents, endings, data.draw(picks)) for _ in range(2))
    assert one.states == other.states
    assert [one.origin(stage) for stage in range(len(parents))] == [
        other.origin(stage) for stage in range(len(parents))
    ]


@given(parents=graphs())
def test_what_is_halted_before_its_start_gives_nothing_out(parents: Parents) -> None:
    scheduler = Scheduler(Topology.of(parents))
    scheduler.halt()
    assert list(scheduler.start()) == []
    scheduler.close()
    assert scheduler.states == [CANCEL] * len(parents)


def test_what_was_withheld_after_halt_cannot_finish() -> None:
    scheduler = Scheduler(Topology.of([(), (0,)]))
    scheduler.start()
    scheduler.halt()
    assert scheduler.finished(0, OK) == []
    with pytest.raises(ValueError, match="not given out"):
        scheduler.finished(1, OK)
