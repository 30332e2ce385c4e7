"""What is recorded of each place of a graph, and by which type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, final

from stageflow.codec import declared
from stageflow.codec.plan import named
from stageflow.core.stage import Shape
from stageflow.graph.building.annotations import UNKNOWN, Known, answers
from stageflow.graph.names import PER_ITEM, filled
from stageflow.graph.plan import Plan
from stageflow.graph.shape import Leaf, Named
from stageflow.graph.wrapping import Absorber, Each, OrNone, Recover, Settle, Wrapped
from stageflow.running.durability import ValueCodec


class Cell(NamedTuple):
    """One place of a graph, as the journal has it.

    Attributes:
        key: its path, with empty brackets for the number of an item.
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


@final
class Cells:
    """Makes the cells of a graph; of each type and each function it asks once, since there may be very many stages."""

    def __init__(self, codec: ValueCodec) -> None:
        self._codec = codec
        self._known: Known = {}
        self._outputs: dict[object, object] = {}
        self._told: dict[object, tuple[str, str]] = {}

    def of(self, plan: Plan) -> Iterator[Cell]:
        """The cells of one plan."""
        for slot, shape in enumerate(plan.shapes):
            contains = plan.kinds[slot] is None
            leaf, absorber = _inside(shape)
            gives: object = object if contains or leaf is None else self._output(leaf)
            handled = answers(absorber.handler, self._known) if isinstance(absorber, Recover) else UNKNOWN
            name = plan.names[slot]
            key = f"~{plan.number}.{slot}" if contains else name.replace(PER_ITEM, "[]")
            once = leaf is not None and leaf.once and not contains
            text, digest = self.told(gives)
            yield Cell(key, filled(name, ()), gives, text, digest, absorber, handled, once, contains)

    def told(self, of: object) -> tuple[str, str]:
        """A type as it is written, and a digest of it."""
        try:
            if of not in self._told:
                self._told[of] = (named(of), self._codec.schema_hash(of))
            return self._told[of]
        except TypeError:  # a Literal or Annotated of what does not hash
            return named(of), self._codec.schema_hash(of)

    def _output(self, leaf: Leaf) -> object:
        annotations: Mapping[str, object] = getattr(leaf.function, "__annotations__", {})
        key = (getattr(leaf.function, "__code__", leaf.function), *map(id, annotations.values()))
        if key not in self._outputs:
            self._outputs[key] = declared(leaf).output
        return self._outputs[key]


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
