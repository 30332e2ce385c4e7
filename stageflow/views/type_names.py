"""Types as people write them: ``list[Page] | None``, without the modules they come from."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from typing import cast

from stageflow.graph.building.annotations import UNKNOWN

_DEEPEST = 6  # what is nested deeper is shown as three dots


def type_name(of: object, depth: int = 0) -> str:
    """The type as it is written; empty where it is not known.

    >>> type_name(dict[str, tuple[int, ...]] | None)
    'dict[str, tuple[int, ...]] | None'
    """
    if of is UNKNOWN or isinstance(of, typing.TypeVar):
        return ""
    if of is None or of is type(None):
        return "None"
    if of is ... or depth > _DEEPEST:
        return "..."
    origin: object = typing.get_origin(of)
    arguments = cast("tuple[object, ...]", typing.get_args(of))
    if origin is None or not arguments:
        return _bare(of)
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin is typing.Annotated:
        return type_name(arguments[0], depth)
    if getattr(of, "__parameters__", ()):
        return ""  # what it is, only a checker knows
    names = [_argument(argument, depth + 1) for argument in arguments]
    if origin is typing.Union or origin is types.UnionType:
        return " | ".join(names)
    return f"{_bare(cast('object', Callable) if _is_callable(of) else origin)}[{', '.join(names)}]"


def _argument(of: object, depth: int) -> str:
    if isinstance(of, list):
        return f"[{', '.join(_argument(inner, depth) for inner in cast('list[object]', of))}]"
    return type_name(of, depth) or "?"


def _is_callable(of: object) -> bool:
    return typing.get_origin(of) is typing.get_origin(Callable[[], object])


def _bare(of: object) -> str:
    name = getattr(of, "__name__", None)
    return name if isinstance(name, str) else str(of).rpartition(".")[2]
