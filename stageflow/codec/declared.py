"""What a stage declares that it takes and gives, for a codec to go by."""

from __future__ import annotations

import typing
from collections import abc
from dataclasses import dataclass

from stageflow.core.stage import Shape, StageHandle
from stageflow.graph.annotations import UNKNOWN, Known, gives, takes


@dataclass(frozen=True, slots=True)
class Declared:
    """The types that a stage's function is annotated with; ``object`` where they are missing or do not resolve.

    Attributes:
        input: the type of what it takes.
        output: the type of what it gives.
    """

    input: object = object
    output: object = object


def declared(stage: StageHandle[object] | Shape, known: Known | None = None) -> Declared:
    """The declared types of a stage, or of its shape.

    Args:
        stage: the stage.
        known: annotations that were resolved already, where many stages are asked for.

    >>> from stageflow import lift
    >>> def halves(number: int) -> list[float]:
    ...     return [number / 2, number / 2]
    >>> declared(lift(halves))
    Declared(input=<class 'int'>, output=list[float])
    """
    shape = stage.shape if isinstance(stage, StageHandle) else stage
    known = {} if known is None else known
    return Declared(_known(takes(shape, known)), _awaited(_known(gives(shape, known))))


def _known(of: object) -> object:
    return object if of is UNKNOWN else of


def _awaited(of: object) -> object:
    """What comes of awaiting it, where a plain function gives an awaitable."""
    if typing.get_origin(of) in (abc.Awaitable, abc.Coroutine):
        return typing.get_args(of)[-1]
    return of
