"""The places of a graph as a journal knows them, made once for a graph."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from stageflow.codec import declared
from stageflow.core.stage import Shape
from stageflow.durable.cells import Cell, Cells
from stageflow.errors import PipelineValidationError
from stageflow.graph.execution.ledger import Ledger
from stageflow.graph.executor import AnyGraph
from stageflow.graph.plan import Atlas, Plan
from stageflow.graph.resolving import resolved
from stageflow.graph.wired import Returning, Step
from stageflow.running.durability import ValueCodec

_NUMBERS: Final = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """The places of a graph.

    Attributes:
        atlas: where everything stands.
        input: the type of the pipeline's input.
        cells: of each plan, its places.
        by_key: each place by its key: its plan and number there.
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
        made = Cells(codec)
        cells = tuple([tuple(made.of(plan)) for plan in graph.atlas.plans])
        by_key: dict[str, tuple[int, int]] = {}
        problems: dict[str, None] = {}
        for number, row in enumerate(cells):
            for slot, cell in enumerate(row):
                if cell.key in by_key:
                    problems[_same(cell.key)] = None
                by_key[cell.key] = (number, slot)
                refused = "" if cell.contains else codec.refused(cell.type)
                if refused:
                    problems[f'Stage "{cell.label}" gives {cell.text}, which cannot be recorded: {refused}'] = None
        problems |= {_same(key): None for key in by_key if key_of(key) != key and key_of(key) in by_key}
        if problems:
            raise PipelineValidationError(tuple(problems))
        return Chart(graph.atlas, input_type(graph.shape), cells, by_key)

    def cell(self, ledger: Ledger, slot: int) -> Cell:
        """The place of a stage of an execution."""
        return self.cells[ledger.plan.number][0 if ledger.each else slot]

    def found(self, path: str) -> Cell | None:
        """The place that a path of the journal means."""
        at = self.by_key.get(path) or self.by_key.get(key_of(path))
        return None if at is None else self.cells[at[0]][at[1]]

    def keys(self, shape: Shape) -> frozenset[str]:
        """The keys of a stage's places: several where it is in several pipelines."""
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
    """A path with empty brackets for the numbers of items."""
    return path.partition("[")[0] if path.startswith("~") else _NUMBERS.sub("[]", path)


def input_type(shape: Shape) -> object:
    """The declared type of a pipeline's input: that of a stage which takes it, where the pipeline does not say."""
    found = declared(shape).input
    while found is object and isinstance(shape, Step | Returning):
        if isinstance(shape, Returning):
            shape = shape.inner
            continue
        takes = [wire.stage for wire in shape.wires if not wire.after]
        found = declared(takes[0]).input if takes else object
        shape = shape.before
    return found


def _same(key: str) -> str:
    return (
        f'Two stages may be recorded as "{key}": one of that name, and an item or a pipeline. Give the one another '
        "name: without a number in brackets, or a tilde in front."
    )
