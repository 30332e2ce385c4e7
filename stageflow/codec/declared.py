"""What a stage declares that it takes and gives, for a codec to go by."""

from __future__ import annotations

import typing
from collections import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from returns.result import Failure, Result, Success
from typing_extensions import Never

from stageflow.core.output import StageOutput
from stageflow.core.stage import Shape, StageHandle
from stageflow.errors import StageError
from stageflow.graph.building.annotations import UNKNOWN, gives, takes
from stageflow.graph.leaf import lifted_leaf
from stageflow.graph.shape import Both, Identity, Leaf, Named, Replaced, Routed, Then, Together
from stageflow.graph.wired import Returning, Source, Step
from stageflow.graph.wrapping import Each, OrNone, Recover, Settle, Using, When, Wrapped


@dataclass(frozen=True, slots=True)
class Declared:
    """The types that a stage is annotated with; ``object`` where they are missing or do not resolve.

    Attributes:
        input: the type of what it takes.
        output: the type of what it gives.
    """

    input: object = object
    output: object = object


def declared(stage: StageHandle[object] | Shape) -> Declared:
    """The declared types of a stage or a pipeline, or of its shape.

    >>> from stageflow import lift
    >>> def halves(number: int) -> list[float]:
    ...     return [number / 2, number / 2]
    >>> declared(lift(halves))
    Declared(input=<class 'int'>, output=list[float])
    >>> declared(lift(halves).each()).output
    tuple[list[float], ...]
    """
    shape = stage.shape if isinstance(stage, StageHandle) else stage
    return Declared(_input(shape), _output(shape))


def _input(shape: Shape) -> object:
    while True:
        match shape:
            case Wrapped(inner=inner, how=Each()):
                return _of(Sequence, _input(inner))
            case Then(first=inner) | Named(inner=inner) | Returning(inner=inner) | Replaced(inner=inner):
                shape = inner
            case Wrapped(inner=inner) | Step(before=inner) | Routed(selector=inner) | Both(left=inner):
                shape = inner
            case Together(branches=branches):
                shape = branches
            case Leaf() | Identity() | Source():
                return _resolved(takes(shape, {}))
            case _:
                return object


def _output(shape: Shape) -> object:
    while True:
        match shape:
            case Then(second=inner) | Named(inner=inner) | Returning(output=inner) | Replaced(inner=inner):
                shape = inner
            case Wrapped(inner=inner, how=Using() | When()):
                shape = inner
            case Wrapped(inner=inner, how=how):
                return _wrapped(_output(inner), how)
            case Together(branches=branches):
                shape = branches
            case Both():
                return _of(tuple, *map(_output, shape.branches()))
            case Routed(cases=cases, otherwise=otherwise):
                stages = [case.stage for case in cases.all()] if cases else []
                return _either(*map(_output, stages if otherwise is None else [*stages, otherwise]))
            case Leaf():
                return _made(shape)
            case Identity():
                return _resolved(gives(shape, {}))
            case _:
                return object


def _made(leaf: Leaf) -> object:
    """What a function gives; a class that is lifted, or that `.into` was given, gives its own instances."""
    maker: object = getattr(leaf.function, "joined_by", leaf.function)
    return maker if isinstance(maker, type) else _resolved(gives(replace(leaf, function=maker), {}))


def _wrapped(output: object, how: object) -> object:
    """What a wrapper makes of a stage's output."""
    match how:
        case OrNone():
            return _either(output, None)
        case Settle():
            return _either(_of(Success, output), Failure[StageError])  # the error says its class by itself
        case Recover(handler=handler):
            return _either(output, _resolved(gives(lifted_leaf(handler), {})))
        case Each():
            return _of(tuple, output, ...)
        case _:
            return object


def _resolved(of: object) -> object:
    """A type without what only says how it comes: a plain function may give an awaitable of it."""
    if typing.get_origin(of) in (abc.Awaitable, abc.Coroutine, StageOutput):
        return _resolved(typing.get_args(of)[-1])
    if typing.get_origin(of) is Result:
        return _resolved(typing.get_args(of)[0])
    return object if of is UNKNOWN or isinstance(of, typing.TypeVar) else of


def _of(generic: object, *arguments: object) -> object:
    return cast("Mapping[object, object]", generic)[arguments if len(arguments) != 1 else arguments[0]]


def _either(*types: object) -> object:
    """A union; where a part of it is not known, neither is the whole."""
    known = tuple(of for of in types if of not in _NOTHING)
    if object in known:
        return object
    return _of(typing.Union, *known) if known else Never


_NOTHING: Final[tuple[object, ...]] = (Never, typing.NoReturn)
