"""What the annotations of a class stand for, its type variables filled in."""

from __future__ import annotations

import sys
import typing
from collections.abc import Mapping
from typing import cast

from stageflow.codec.plan import Misfit, named


def hints_of(of: type) -> dict[str, object]:
    """The annotations of a class and its bases, evaluated.

    Raises:
        Misfit: one of them names what cannot be found.
    """
    try:
        return cast("dict[str, object]", typing.get_type_hints(of, include_extras=True))
    except Exception as error:
        raise Misfit(
            f"is of the class {named(of)}, whose annotations cannot be evaluated: {error}. "
            "Define what they name where a module can be imported, and import it outside of TYPE_CHECKING."
        ) from error


def evaluated(hint: object, module: str | None) -> object:
    """What an annotation stands for that is written as a text, by the names of its module."""
    if not isinstance(hint, str):
        return hint
    names = vars(sys.modules[module]) if module in sys.modules else {}
    written = type("written", (), {"__annotations__": {"hint": hint}})
    try:
        return typing.get_type_hints(written, globalns=names)["hint"]
    except Exception as error:
        raise Misfit(f"is declared as {hint!r}, which cannot be evaluated: {error}. Define what it names.") from error


def bound(of: object) -> dict[type, dict[object, object]]:
    """What the type variables of a generic class and of its generic bases stand for, by class."""
    found: dict[type, dict[object, object]] = {}
    unseen = [of]
    while unseen:
        alias = unseen.pop()
        origin = typing.get_origin(alias) or alias
        if not isinstance(origin, type) or origin in found:
            continue
        parameters = cast("tuple[object, ...]", getattr(origin, "__parameters__", ()))
        variables = dict(zip(parameters, typing.get_args(alias), strict=False))
        found[origin] = variables
        bases: tuple[object, ...] = origin.__dict__.get("__orig_bases__", origin.__bases__)
        unseen += [
            put(base, variables) for base in bases if typing.get_origin(base) not in (typing.Generic, typing.Protocol)
        ]
    return found


def put(hint: object, variables: Mapping[object, object]) -> object:
    """An annotation with what its type variables stand for."""
    if hint in variables:
        return variables[hint]
    parameters = cast("tuple[object, ...]", getattr(hint, "__parameters__", ()))
    if not parameters or isinstance(hint, type) or not variables:
        return hint
    given = tuple(variables.get(parameter, parameter) for parameter in parameters)
    return cast("Mapping[object, object]", hint)[given]
