"""What stages say of their types at run time: for string wiring and exhaustive routes, which no checker can see.

What cannot be resolved is passed over: an annotation that is missing, a name that is not importable, a type variable.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, cast

from returns.result import Result

from stageflow.context.inputs import StageInputs
from stageflow.core.output import StageOutput
from stageflow.core.stage import Shape
from stageflow.graph.shape import Identity, Leaf, Named, Then
from stageflow.graph.wired import Returning, Source, Step
from stageflow.graph.wrapping import Using, When, Wrapped

UNKNOWN: Final = object()


Known: TypeAlias = dict[object, Mapping[str, object]]  # by code: functions made in a loop share their annotations


def takes(shape: Shape, known: Known) -> object:
    """The type of a stage's value, or `UNKNOWN`."""
    if type(shape) is Named:
        shape = shape.inner
    if type(shape) is Leaf and not getattr(shape.function, "__annotations__", True):
        return UNKNOWN
    while True:
        match shape:
            case Leaf(function=function, lifted=lifted):
                return _taken(_hints(function, known), lifted=lifted)
            case Identity(type=given) | Source(type=given):
                return given
            case Then(first=inner) | Named(inner=inner) | Returning(inner=inner) | Step(before=inner):
                shape = inner
            case Wrapped(inner=inner, how=Using() | When()):
                shape = inner
            case _:
                return UNKNOWN


def gives(shape: Shape, known: Known) -> object:
    """The type of a stage's output, or `UNKNOWN`."""
    while True:
        match shape:
            case Leaf(function=function, lifted=lifted):
                return _given(_hints(function, known), lifted=lifted)
            case Identity(type=given):
                return given
            case Then(second=inner) | Named(inner=inner) | Returning(output=inner):
                shape = inner
            case Wrapped(inner=inner, how=Using() | When()):
                shape = inner
            case _:
                return UNKNOWN


def answers(handler: object, known: Known) -> object:
    """The type of what an async function gives that answers with a Result of a StageOutput, or `UNKNOWN`."""
    return _given(_hints(handler, known), lifted=False)


def cases(of: object) -> tuple[object, ...]:
    """The values that a type can have, where they can be listed: a Literal, an Enum, bool, None, a union of them."""
    if of is bool:
        return (True, False)
    if of is None or of is type(None):
        return (None,)
    if isinstance(of, type) and issubclass(of, enum.Enum):
        return tuple(of)
    if typing.get_origin(of) is typing.Literal:
        return typing.get_args(of)
    if _is_union(of):  # pyright: ignore[reportUnknownArgumentType]  # isinstance above made it partly unknown
        parts = [cases(part) for part in typing.get_args(of)]
        return tuple(value for part in parts for value in part) if all(parts) else ()
    return ()


def disjoint(given: object, wanted: object) -> bool:
    """Whether no value can be of both types, as far as can be told."""
    if UNKNOWN in (given, wanted) or object in (given, wanted):
        return False
    if _is_union(given):
        return all(disjoint(part, wanted) for part in typing.get_args(given))
    if _is_union(wanted):
        return all(disjoint(given, part) for part in typing.get_args(wanted))
    given_class, wanted_class = _plain(given), _plain(wanted)
    if given_class is None or wanted_class is None:
        return False
    if given_class is tuple and wanted_class is tuple:
        return _tuples_disjoint(typing.get_args(given), typing.get_args(wanted))
    if {given_class, wanted_class} <= {int, float, complex, bool}:
        return False
    return not (issubclass(given_class, wanted_class) or issubclass(wanted_class, given_class))


def shown(of: object) -> str:
    """The type as it is written."""
    return of.__name__ if isinstance(of, type) and not typing.get_args(of) else str(of).replace("typing.", "")


def _tuples_disjoint(given: tuple[object, ...], wanted: tuple[object, ...]) -> bool:
    if not given or not wanted or ... in given or ... in wanted:
        return False
    return len(given) != len(wanted) or any(map(disjoint, given, wanted))


def _plain(of: object) -> type | None:
    if of is None:
        return type(None)
    origin = typing.get_origin(of)
    found = origin if isinstance(origin, type) else of
    if not isinstance(found, type) or getattr(found, "_is_protocol", False):
        return None
    return found if not found.__flags__ & _ABSTRACT else None


_ABSTRACT: Final = 1 << 20  # an abstract base class may have virtual subclasses, so nothing is disjoint from it


def _is_union(of: object) -> bool:
    return typing.get_origin(of) in (typing.Union, types.UnionType)


def _hints(function: object, known: Known) -> Mapping[str, object]:
    called = function if hasattr(function, "__annotations__") or isinstance(function, type) else type(function).__call__
    if not getattr(called, "__annotations__", None):
        return {}
    annotations: Mapping[str, object] = called.__annotations__
    key = (getattr(called, "__code__", called), *map(id, annotations.values()))
    if key not in known:
        known[key] = _resolved(called)
    return known[key]


def _resolved(called: object) -> Mapping[str, object]:
    try:
        return typing.get_type_hints(cast("Callable[[], object]", called))
    except Exception:  # noqa: BLE001  (whatever an annotation's evaluation raises, it is unresolved)
        return {}


def _taken(hints: Mapping[str, object], *, lifted: bool) -> object:
    first = next((hint for name, hint in hints.items() if name not in {"return", "self"}), UNKNOWN)
    return first if lifted else _argument(first, StageInputs)


def _given(hints: Mapping[str, object], *, lifted: bool) -> object:
    returned = hints.get("return", UNKNOWN)
    if typing.get_origin(returned) is Result:
        returned = typing.get_args(returned)[0]
    return returned if lifted else _argument(returned, StageOutput)


def _argument(of: object, generic: type) -> object:
    found = typing.get_args(of)[0] if typing.get_origin(of) is generic else UNKNOWN
    return UNKNOWN if isinstance(found, typing.TypeVar) else found
