"""The graph of a run as it was: so that a changed one is refused, with what changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from stageflow.codec.plan import named
from stageflow.durable.cells import Cell
from stageflow.durable.chart import Chart
from stageflow.graph.plan import INPUT, Plan, Source
from stageflow.graph.wrapping import Recover, Wrapped
from stageflow.running.durability import ValueCodec


@dataclass(frozen=True, slots=True)
class Described:
    """One place of a graph.

    Attributes:
        follows: what it follows, in order, as text.
        type: what it gives.
        shape: a digest of that type.
        how: the wrappers and what else it is made of.
    """

    follows: str
    type: str
    shape: str
    how: str


@dataclass(frozen=True, slots=True)
class Description:
    """A graph in plain words.

    Attributes:
        text: all of it, for the store.
    """

    text: str

    @staticmethod
    def of(chart: Chart, codec: ValueCodec) -> Description:
        """The description of a graph."""
        shapes: dict[object, str] = {}
        rows = [("the input", "", named(chart.input), codec.schema_hash(chart.input), ""), *_rows(chart, codec, shapes)]
        return Description(json.dumps(rows, separators=(",", ":"), ensure_ascii=False))

    @property
    def fingerprint(self) -> str:
        """A digest of it all."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:32]

    def places(self) -> Mapping[str, Described]:
        """Each place of the graph, by name."""
        rows = cast("list[tuple[str, str, str, str, str]]", json.loads(self.text))
        return {name: Described(follows, type, shape, how) for name, follows, type, shape, how in rows}

    def changes(self, now: Description) -> tuple[str, ...]:
        """What is another in the graph of now, a sentence each."""
        was, places = self.places(), now.places()
        found = [f'"{name}" is gone.' for name in was if name not in places]
        for name, place in places.items():
            former = was.get(name)
            found += [f'"{name}" is new.'] if former is None else _changed(name, former, place)
        return tuple(found) or ("The order of its stages is another.",)


def _changed(name: str, was: Described, now: Described) -> Iterator[str]:
    if was.follows != now.follows:
        yield f'"{name}" follows {now.follows}; it followed {was.follows}.'
    if was.type != now.type:
        yield f'"{name}" gives {now.type}; it gave {was.type}.'
    elif was.shape != now.shape:
        yield f'"{name}" gives {now.type}, whose fields, or the types of these, are others.'
    if was.how != now.how:
        yield f'"{name}" is {now.how or "a plain stage"}; it was {was.how or "a plain stage"}.'


def _rows(chart: Chart, codec: ValueCodec, shapes: dict[object, str]) -> Iterator[tuple[str, ...]]:
    seen: set[str] = set()
    names = {(plan.number, slot): _unlike(cell, seen) for plan, slot, cell in chart.all()}
    for plan, slot, cell in chart.all():
        source = plan.nodes[slot][1]
        type, shape = (cell.text, cell.schema_hash) if not cell.contains else ("", "")
        if isinstance(cell.absorber, Recover):
            shape += shapes.setdefault(cell.handled, codec.schema_hash(cell.handled))
        yield names[plan.number, slot], _follows(plan, source, names), type, shape, _how(plan, slot, cell)
    for plan in chart.atlas.plans:
        if plan.output is not None:
            around = "the output" if not plan.number else f"the output inside {_around(chart, plan, names)}"
            yield _numbered(around, seen), _follows(plan, plan.output, names), "", "", ""


def _around(chart: Chart, plan: Plan, names: Mapping[tuple[int, int], str]) -> str:
    return names[chart.atlas.enclosing[plan.number]]


def _unlike(cell: Cell, seen: set[str]) -> str:
    return _numbered(f"({cell.label})" if cell.contains else cell.key, seen)


def _numbered(name: str, seen: set[str]) -> str:
    """The name, with a number where there was one like it: of what only contains others there may be."""
    number, numbered = 1, name
    while numbered in seen:
        number += 1
        numbered = f"{name} #{number}"
    seen.add(numbered)
    return numbered


def _follows(plan: Plan, source: Source, names: Mapping[tuple[int, int], str]) -> str:
    sources = source if isinstance(source, tuple) else (source,)
    return ", ".join(["the input" if one == INPUT else f'"{names[plan.number, one]}"' for one in sources])


def _how(plan: Plan, slot: int, cell: Cell) -> str:
    words: list[str] = []
    shape = plan.shapes[slot]
    while isinstance(shape, Wrapped):
        words.append(type(shape.how).__name__)
        shape = shape.inner
    if cell.contains:
        words.append(type(shape).__name__)
    if cell.once:
        words.append('effects="once"')
    return " ".join(words)
