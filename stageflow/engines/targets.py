"""Finding the function of a stage in another process, and what it declares of its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import cast

from stageflow.codec import Codec, declared
from stageflow.core.stage import StageHandle
from stageflow.graph.building.annotations import shown
from stageflow.graph.executor import AnyGraph
from stageflow.graph.leaf import leaf, lifted_leaf, location
from stageflow.graph.names import filled
from stageflow.graph.shape import Leaf, Named
from stageflow.graph.wrapping import Wrapped
from stageflow.placement import Placement

_ANYWHERE = Placement()
CODEC = Codec()  # of values and errors on their way; it keeps what it has analysed


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A stage that can be sent.

    Attributes:
        name: where its function is found again, as ``module:qualname``.
        value: the declared type of what it works on.
        output: the declared type of what it gives.
        reads: of each stage that it declares to read, the declared type of what that gives.
    """

    name: str
    leaf: Leaf
    value: object
    output: object
    reads: tuple[object, ...]

    @property
    def placement(self) -> Placement:
        """Where it is to run."""
        return self.leaf.placement or _ANYWHERE


def travels(of: Leaf) -> bool:
    """Whether a stage is to run on an engine: not one that is placed here, nor one that requires what is here."""
    return not of.requires and not (of.placement or _ANYWHERE).local


def target(of: Leaf, name: str) -> Target:
    """The stage, as it is sent."""
    types = declared(of)
    return Target(name, of, types.input, types.output, tuple([declared(read).output for read in of.reads]))


@cache
def found(name: str, *, lifted: bool) -> Target:
    """The stage whose function has this name in this process.

    Raises:
        TypeError: what has the name is no function of a stage.
    """
    of = _at(name)
    shape = cast("StageHandle[object]", of).shape if isinstance(of, StageHandle) else of
    while isinstance(shape, Wrapped | Named):
        shape = shape.inner
    if not isinstance(shape, Leaf):
        shape = lifted_leaf(shape) if lifted else leaf(shape)
    return target(shape, name)


def _at(name: str) -> object:
    module, _, qualname = name.partition(":")
    of: object = import_module(module)
    for part in qualname.split("."):
        of = cast("object", getattr(of, part))
    return of


def placed_targets(graph: AnyGraph, *, remote: bool) -> tuple[Mapping[Leaf, Target], tuple[str, ...]]:
    """The stages of a graph that are to be sent, and what keeps some from it: what, where, and how to mend it."""
    targets: dict[Leaf, Target] = {}
    problems: dict[str, None] = {}
    for of, stage in _leaves(graph):
        if of in targets or not travels(of):
            continue
        name = _name(of)
        if name is None or (remote and name.startswith("__main__:")):
            problems[_nowhere(of, stage, name)] = None
            continue
        targets[of] = target(of, name)
        problems.update(dict.fromkeys(_undecodable(targets[of], stage)))
    return targets, tuple(problems)


def _leaves(graph: AnyGraph) -> Iterator[tuple[Leaf, str]]:
    for plan in graph.atlas.plans:
        for body, name in zip(plan.bodies, plan.names, strict=True):
            shape = body
            while isinstance(shape, Wrapped | Named):
                shape = shape.inner
            if isinstance(shape, Leaf):
                yield shape, filled(name, ())


def _name(of: Leaf) -> str | None:
    """Where the function of a stage is found again, or None."""
    place = location(of)
    if place is not None:
        return ":".join(place)
    module, qualname = getattr(of.function, "__module__", None), getattr(of.function, "__qualname__", None)
    name = f"{module}:{qualname}"
    try:
        plain = isinstance(module, str) and _at(name) is of.function
    except (AttributeError, ImportError, ValueError):
        return None
    return name if plain and not of.reads else None


def _nowhere(of: Leaf, stage: str, name: str | None) -> str:
    qualname = str(getattr(of.function, "__qualname__", type(of.function).__qualname__))
    keep = "or keep it in this process: placement=LOCAL."
    if name is not None:
        return (
            f'Stage "{stage}" is defined in the main script ({name}), which workers do not have. '
            f"Define it in a module that they can import, {keep}"
        )
    what = "a lambda" if "<lambda>" in qualname else "defined inside a function" if "<locals>" in qualname else None
    why = f"is {what}" if what else f"is not found again as {getattr(of.function, '__module__', '?')}:{qualname}"
    return (
        f'Stage "{stage}" cannot be sent to a worker: {qualname} {why}. '
        f"Define its function at the top of a module, under its own name, {keep}"
    )


def _undecodable(of: Target, stage: str) -> Iterator[str]:
    kinds = (("works on", of.value), ("gives", of.output), *(("reads", read) for read in of.reads))
    for verb, type_ in kinds:
        unknown = ", ".join(f"{shown(one)}" for one in CODEC.unknown(type_))
        if unknown:
            yield (
                f'Stage "{stage}" cannot be sent to a worker: it {verb} {shown(type_)}, and what is declared as '
                f"{unknown} cannot be encoded. Declare a dataclass, a builtin or a typing form, "
                "or keep the stage in this process: placement=LOCAL."
            )
