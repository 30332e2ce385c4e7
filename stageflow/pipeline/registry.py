"""Pipelines by name, for hosts that pick one at run time."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TypeAlias, cast, final

from typing_extensions import Never, TypeVar

from stageflow.errors import StageError
from stageflow.graph.building.annotations import UNKNOWN, disjoint, gives, shown, takes
from stageflow.pipeline.builder import Pipeline, Stage

_T = TypeVar("_T")
_U = TypeVar("_U")

AnyStage: TypeAlias = Stage[Never, object, StageError]


@final
class PipelineRegistry:
    """Pipelines by name; the one place in the library that changes after it is made, and only by `register`.

    There is no global one: an application makes its own and passes it on.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[str, AnyStage | Callable[[], AnyStage]] = {}

    def register(self, name: str, pipeline: AnyStage | Callable[[], AnyStage], /, *, replace: bool = False) -> None:
        """Gives a pipeline a name.

        Args:
            name: the name.
            pipeline: the pipeline, or a function that makes it, called when it is first asked for.
            replace: whether it may take the place of one that has the name.

        Raises:
            ValueError: the name is blank, or another has it.
            TypeError: what is registered is neither a pipeline nor can be called.
        """
        if not name.strip():
            raise ValueError(f"A pipeline needs a name to be found by; it was given {name!r}.")
        if not (isinstance(pipeline, Stage) or callable(pipeline)):
            raise TypeError(f'"{name}" is to be a pipeline or a function that makes one; it is {pipeline!r}.')
        if name in self._entries and not replace:
            raise ValueError(f'A pipeline is registered as "{name}" already. Give replace=True to replace it.')
        self._entries[name] = pipeline

    def get(self, name: str, /, *, input: type[_T], output: type[_U]) -> Pipeline[_T, _U, StageError]:
        """The pipeline of this name, with its types checked as far as its annotations tell.

        Raises:
            KeyError: there is none of this name.
            TypeError: it takes or gives something else.
        """
        entry = self._entries.get(name)
        if entry is None:
            near = difflib.get_close_matches(name, self._entries, n=1)
            hint = f' Did you mean "{near[0]}"?' if near else " Register it first: registry.register(name, pipeline)."
            raise KeyError(f'No pipeline is registered as "{name}".{hint}')
        found = entry if isinstance(entry, Stage) else _made(name, entry)
        self._entries[name] = found
        _check(name, "takes", takes(found.shape, {}), input)
        _check(name, "gives", gives(found.shape, {}), output)
        return cast("Pipeline[_T, _U, StageError]", Pipeline(found.shape))

    def list(self) -> tuple[str, ...]:
        """The names, in the order in which they were registered."""
        return tuple(self._entries)


def _made(name: str, factory: Callable[[], object]) -> AnyStage:
    made = factory()
    if not isinstance(made, Stage):
        raise TypeError(f'The factory of "{name}" gave {made!r}, which is no pipeline.')
    return cast("AnyStage", made)


def _check(name: str, what: str, declared: object, wanted: object) -> None:
    if declared is not UNKNOWN and disjoint(declared, wanted):
        raise TypeError(f'Pipeline "{name}" {what} {shown(declared)}, not {shown(wanted)}. Ask for what it {what}.')
