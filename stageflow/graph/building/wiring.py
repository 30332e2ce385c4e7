"""Stages wired by handles or names: which follows which, and in what order they are laid out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from stageflow.core.stage import Shape
from stageflow.graph import problems as say
from stageflow.graph.shape import Both, Named, Replaced, Routed, Then, Together
from stageflow.graph.wired import Returning, Source, Step, Union, Wire
from stageflow.graph.wrapping import Each, OrNone, Recover, Settle, Wrapped


@dataclass(frozen=True, slots=True, eq=False)
class Wiring:
    """Stages, and what each follows.

    Attributes:
        wires: the stages, in the order in which they were declared.
        follows: of each stage, the number of each that it follows; None for what is not one of them.
        order: their numbers in topological order, ties by declaration; what waits for itself comes last.
        problems: what is wrong with it.
    """

    wires: tuple[Wire, ...]
    follows: tuple[tuple[int | None, ...], ...]
    order: tuple[int, ...]
    problems: tuple[str, ...]

    @staticmethod
    def of(shape: Shape) -> Wiring:
        """The wiring of a pipeline that has stages by handle or name."""
        problems: list[str] = []
        wires = _merged(_declared(shape), problems)
        by_name: dict[str, int] = {}
        by_handle: dict[Shape, int] = {}
        for number, wire in enumerate(wires):
            by_name.setdefault(wire.stage.label, number)
        if any(wire.after and not isinstance(wire.after[0], str) for wire in wires):
            for number, wire in enumerate(wires):
                for handle in _handles(wire.stage):
                    by_handle.setdefault(handle, number)
        follows: list[tuple[int | None, ...]] = []
        edges: list[tuple[int, ...]] = []
        within: dict[Shape, int] | None = None
        for number, wire in enumerate(wires):
            found = tuple(
                [by_name.get(after) if isinstance(after, str) else by_handle.get(after) for after in wire.after]
            )
            before: Iterable[int | None] = found
            if None in found:
                within = _inside(wires) if within is None else within
                before = [
                    _holder(after, by_name, within) if at is None else at
                    for at, after in zip(found, wire.after, strict=True)
                ]
            follows.append(found)
            edges.append(tuple([at for at in before if at is not None and at != number]))
            if number in found or len(set(wire.after)) < len(wire.after):
                _check_wire(wire, number, found, problems)
        order, stuck = _topological(edges)
        problems += [say.cycle(tuple(wires[at].stage.label for at in path)) for path in _cycles(edges, stuck)]
        return Wiring(tuple(wires), tuple(follows), (*order, *stuck), tuple(problems))


def _check_wire(wire: Wire, number: int, follows: tuple[int | None, ...], problems: list[str]) -> None:
    label = wire.stage.label
    if number in follows:
        problems.append(say.itself(label))
    seen: set[Shape | str] = set()
    for after in wire.after:
        if after in seen:
            problems.append(say.same_parent(label, after if isinstance(after, str) else after.label))
        seen.add(after)


def _declared(shape: Shape) -> list[Wire]:
    """Every stage, in order of declaration; what is no wired pipeline is a stage on the pipeline's input."""
    found: list[list[Wire]] = []
    unseen: list[Shape] = [shape]
    while unseen:
        current = unseen.pop()
        if isinstance(current, Step):
            found.append(list(current.wires))
            unseen.append(current.before)
        elif isinstance(current, Union):
            unseen += (current.left, current.right)
        elif isinstance(current, Returning) and isinstance(current.inner, Step | Union | Source):
            unseen.append(current.inner)
        elif not isinstance(current, Source):
            found.append([Wire(current, (), True)])
    return [wire for wires in reversed(found) for wire in wires]


def _merged(wires: list[Wire], problems: list[str]) -> list[Wire]:
    """Without the stages that both sides of a union have, wired alike."""
    kept: dict[Shape, Wire] = {}
    merged: list[Wire] = []
    for wire in wires:
        known = kept.get(wire.stage)
        if known is None:
            kept[wire.stage] = wire
            merged.append(wire)
        elif known.after != wire.after:
            problems.append(say.duplicate_handle(wire.stage.label))
    return merged


def _handles(shape: Shape) -> Iterable[Shape]:
    """The shapes whose output is that of this stage."""
    while True:
        yield shape
        match shape:
            case Wrapped(how=OrNone() | Settle() | Recover() | Each()):
                return  # what is inside gives something else than the stage
            case Named(inner=inner, keeps=True) | Wrapped(inner=inner) | Then(second=inner) | Returning(output=inner):
                shape = inner
            case _:
                return


def _inside(wires: Sequence[Wire]) -> dict[Shape, int]:
    """Which of the stages holds each shape inside it; found out only where a handle is not one of the stages."""
    holders: dict[Shape, int] = {}
    for number, wire in enumerate(wires):
        unseen: list[Shape] = [wire.stage]
        while unseen:
            shape = unseen.pop()
            if shape in holders:
                continue
            holders[shape] = number
            match shape:
                case Then(first=one, second=other) | Both(left=one, right=other) | Union(left=one, right=other):
                    unseen += (one, other)
                case Named(inner=one) | Wrapped(inner=one) | Together(branches=one) | Replaced(inner=one):
                    unseen.append(one)
                case Returning(inner=one) | Routed(selector=one):
                    unseen.append(one)
                case Step(before=one, wires=inner):
                    unseen += (one, *(each.stage for each in inner))
                case _:
                    pass
    return holders


def _holder(after: Shape | str, by_name: dict[str, int], within: dict[Shape, int]) -> int | None:
    return by_name.get(after.partition(".")[0]) if isinstance(after, str) else within.get(after)


def _topological(edges: Sequence[tuple[int, ...]]) -> tuple[list[int], list[int]]:
    """The order, and what can never be in it. Kahn's algorithm, with a heap so that ties go by declaration."""
    waiting = [len(before) for before in edges]
    followers: list[list[int]] = [[] for _ in edges]
    for number, before in enumerate(edges):
        for at in before:
            followers[at].append(number)
    ready = [number for number, left in enumerate(waiting) if not left]
    heapify(ready)
    order: list[int] = []
    while ready:
        number = heappop(ready)
        order.append(number)
        for follower in followers[number]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heappush(ready, follower)
    return order, [number for number, left in enumerate(waiting) if left]


def _cycles(edges: Sequence[tuple[int, ...]], stuck: list[int]) -> list[tuple[int, ...]]:
    """One cycle of each knot: from a stuck stage, what it follows is stuck too, until one comes round again."""
    left, cycles, done = set(stuck), list[tuple[int, ...]](), set[int]()
    for first in stuck:
        path: dict[int, None] = {}
        at = first
        while at not in path and at not in done:
            path[at] = None
            at = next(before for before in edges[at] if before in left)
        if at not in done:
            steps = [*path]
            cycle = steps[steps.index(at) :]
            start = cycle.index(min(cycle))
            cycles.append((*cycle[start:], *cycle[:start], cycle[start])[::-1])
        done.update(path)
    return cycles
