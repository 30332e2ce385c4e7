"""What is recorded of each place of a graph, and by which type: made once for a graph."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from stageflow.codec import declared
from stageflow.codec.plan import named
from stageflow.core.stage import Shape
from stageflow.errors import PipelineValidationError
from stageflow.graph.annotations import UNKNOWN, Known, answers
from stageflow.graph.executor import AnyGraph
from stageflow.graph.ledger import Ledger
from stageflow.graph.names import PER_ITEM, filled
from stageflow.graph.plan import Atlas, Plan
from stageflow.graph.resolving import resolved
from stageflow.graph.shape import Both, Leaf, Named, Returning, Routed, Step, Then, Together
from stageflow.graph.wrapping import Absorber, Each, OrNone, Recover, Settle, Wrapped
from stageflow.running.durability import ValueCodec

_NUMBERS: Final = re.compile(r"\[\d+\]")


class Cell(NamedTuple):
    """One place of a graph, as the journal has it.

    Attributes:
        key: its path, without the numbers of items.
        label: what reports call it, of what only contains others too.
        type: what its function gives; ``object`` where that is not said, and of what only contains others.
        text: the type, as it is written.
        schema_hash: a digest of the type.
        absorber: the wrapper that may hide how it went.
        handled: what the handler of its ``.recover`` gives.
        once: whether it must not run twice.
        contains: whether it only contains others.
    """

    key: str
    label: str
    type: object
    text: str
    schema_hash: str
    absorber: Absorber | None
    handled: object
    once: bool
    contains: bool


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """The places of a graph.

    Attributes:
        atlas: where everything stands.
        input: the type of the pipeline's input.
        cells: of each plan, its places.
        by_key: each place by its path, without the numbers of items: its plan and number there.
    """

    atlas: Atlas
    input: object
    cells: tuple[tuple[Cell, ...], ...]
    by_key: Mapping[str, tuple[int, int]]

    @staticmethod
    def of(graph: AnyGraph, codec: ValueCodec) -> Chart:
        """The places of a graph.

        Raises:
            PipelineValidationError: a stage of it gives what cannot be recorded, or two would be recorded as one.
        """
        known: Known = {}
        cells = tuple([tuple(_cells(plan, codec, known)) for plan in graph.atlas.plans])
        by_key: dict[str, tuple[int, int]] = {}
        problems: dict[str, None] = {}
        for number, row in enumerate(cells):
            for slot, cell in enumerate(row):
                if cell.key in by_key:
                    problems[_same_key(cell)] = None
                by_key[cell.key] = (number, slot)
                refused = "" if cell.contains else codec.refused(cell.type)
                if refused:
                    problems[f'Stage "{cell.label}" gives {cell.text}, which cannot be recorded: {refused}'] = None
        if problems:
            raise PipelineValidationError(tuple(problems))
        return Chart(graph.atlas, _input(graph.shape, known), cells, by_key)

    def cell(self, ledger: Ledger, slot: int) -> Cell:
        """The place of a stage of an execution."""
        return self.cells[ledger.plan.number][0 if ledger.each else slot]

    def found(self, path: str) -> Cell | None:
        """The place that a path of the journal means."""
        at = self.by_key.get(key_of(path))
        return None if at is None else self.cells[at[0]][at[1]]

    def keys(self, shape: Shape) -> frozenset[str]:
        """The paths of a stage's places, without the numbers of items: several where it is in several pipelines."""
        found = resolved(shape, self.atlas.places)
        places = found if isinstance(found, tuple) else () if found is None else (found,)
        at = [(place.plan, place.source) for place in places if isinstance(place.source, int) and place.source >= 0]
        return frozenset([self.cells[plan][slot].key for plan, slot in at])

    def all(self) -> Iterator[tuple[Plan, int, Cell]]:
        """Every place, in graph order plan by plan."""
        for plan in self.atlas.plans:
            for slot, cell in enumerate(self.cells[plan.number]):
                yield plan, slot, cell


def path_of(ledger: Ledger, slot: int) -> str | None:
    """What the journal calls a stage of an execution: its name, or for what only contains others its place."""
    if ledger.each:
        return ledger.name(slot) if ledger.whole_items else None
    if ledger.plan.kinds[slot] is not None:
        return ledger.name(slot)
    return f"~{ledger.plan.number}.{slot}{''.join([f'[{item}]' for item in ledger.items])}"


def key_of(path: str) -> str:
    """A path without the numbers of items."""
    return path.partition("[")[0] if path.startswith("~") else _NUMBERS.sub("[]", path)


def _cells(plan: Plan, codec: ValueCodec, known: Known) -> Iterator[Cell]:
    for slot, shape in enumerate(plan.shapes):
        contains = plan.kinds[slot] is None
        leaf, absorber = _inside(shape)
        gives: object = object if contains or leaf is None else declared(leaf, known).output
        handled = answers(absorber.handler, known) if isinstance(absorber, Recover) else UNKNOWN
        name = plan.names[slot]
        key = f"~{plan.number}.{slot}" if contains else key_of(name.replace(PER_ITEM, "[0]"))
        once = leaf is not None and leaf.once and not contains
        yield Cell(
            key, filled(name, ()), gives, named(gives), codec.schema_hash(gives), absorber, handled, once, contains
        )


def _inside(shape: Shape) -> tuple[Leaf | None, Absorber | None]:
    """The function in wrappers, and the outermost wrapper that may hide how it went."""
    absorber: Absorber | None = None
    while isinstance(shape, Wrapped | Named):
        if isinstance(shape, Wrapped):
            if isinstance(shape.how, Each):
                return None, absorber
            if isinstance(shape.how, OrNone | Settle | Recover):
                absorber = absorber or shape.how
        shape = shape.inner
    return (shape if isinstance(shape, Leaf) else None), absorber


def _input(shape: Shape, known: Known) -> object:
    """The declared type of a pipeline's input; ``object`` where its first stage does not say."""
    items = 0
    while True:
        match shape:
            case Wrapped(inner=inner, how=Each()):
                items, shape = items + 1, inner
            case Then(first=inner) | Named(inner=inner) | Wrapped(inner=inner) | Returning(inner=inner):
                shape = inner
            case Both(left=inner) | Together(branches=inner) | Routed(selector=inner):
                shape = inner
            case Step(before=inner) if not isinstance(inner, Step) and declared(inner, known).input is object:
                shape = shape.wires[0].stage
            case Step(before=inner):
                shape = inner
            case _:
                break
    found = declared(shape, known).input
    for _ in range(items):
        found = _sequence(found)
    return found


def _sequence(of: object) -> object:
    return cast("object", Sequence[of])  # type: ignore[valid-type]  # a type found at run time


def _same_key(cell: Cell) -> str:
    return (
        f'Two stages would be recorded as "{cell.key}": give "{cell.label}" a name without a number in brackets, '
        "or without a tilde in front."
    )
