"""From ``--input`` to a value of the type that a pipeline declares."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import cast

import msgspec
from returns.result import Failure

from stageflow.cli.exit_codes import CommandError
from stageflow.codec import Codec
from stageflow.durable.chart import input_type
from stageflow.errors import CodecError
from stageflow.graph.executor import AnyGraph
from stageflow.views.type_names import type_name

_SHOWN = 60  # characters of an input that an error quotes


def decoded(given: str | None, graph: AnyGraph) -> object:
    """The input of a run.

    Args:
        given: JSON; ``@file`` for what is in a file, ``@-`` for what comes in; None where there is no input.
        graph: the pipeline, whose first stage says what it takes.

    Raises:
        CommandError: there is no such file, it is no JSON, or it does not fit the type.
    """
    wanted = input_type(graph.shape)
    if given is None and wanted not in (None, type(None), object):
        raise CommandError(f'"{graph.name}" takes {type_name(wanted)}. Give it by --input JSON or --input @file.')
    data = b"null" if given is None else _read(given)
    name = type_name(wanted) or "JSON"
    value = Codec().decode(data, wanted)
    if isinstance(value, Failure):
        raise CommandError(_refused(data, graph.name, name, value.failure()))
    lost = _lost(msgspec.json.decode(data), value.unwrap(), "$")
    if lost:
        raise CommandError(
            f'"{graph.name}" takes {name}, which the input does not fit: {lost}\n  It was: {_short(data)}'
        )
    return value.unwrap()


def _lost(given: object, value: object, where: str) -> str:
    """Which field of the input no type has, so that it would be left out in silence; empty where there is none."""
    inside: list[tuple[object, object, str]] = []
    if isinstance(given, dict) and (known := _fields(value)) is not None:
        record = cast("dict[str, object]", given)
        unknown = next((name for name in record if name not in known), None)
        if unknown is not None:
            return f"{where} has the field {unknown!r}, and {type_name(type(value))} has {', '.join(known)}."
        inside = [(record[name], known[name], f"{where}.{name}") for name in record]
    elif isinstance(given, list) and isinstance(value, list | tuple):
        items = zip(cast("list[object]", given), cast("Sequence[object]", value), strict=False)
        inside = [(one, made, f"{where}[{number}]") for number, (one, made) in enumerate(items)]
    return next((lost for one in inside if (lost := _lost(*one))), "")


def _fields(value: object) -> Mapping[str, object] | None:
    """What is in a value by the names that JSON has for it; None where it is no record."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name, None) for field in fields(value) if field.init}
    if isinstance(value, dict) and all(isinstance(key, str) for key in cast("dict[object, object]", value)):
        return cast("dict[str, object]", value)
    return None


def _short(data: bytes) -> str:
    text = data.decode(errors="replace")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _refused(data: bytes, name: str, wanted: str, error: CodecError) -> str:
    """What is wrong with an input, and what it was."""
    text, short = data.decode(errors="replace"), _short(data)
    try:
        msgspec.json.decode(data)
    except msgspec.DecodeError as broken:
        hint = f" A text is JSON in quotes: --input '\"{text}\"'." if _words(text) else ""
        return f'"{name}" takes {wanted} as JSON, and the input is no JSON: {broken}.{hint}\n  It was: {short}'
    # The codec goes on to tell how recorded data may have come to this, which is not about an input.
    what = str(error).partition(" It was encoded")[0].partition(": ")[2]
    return f'"{name}" takes {wanted}, which the input does not fit: {what}\n  It was: {short}'


def _read(given: str) -> bytes:
    if not given.startswith("@"):
        return given.encode(errors="surrogateescape")
    if given == "@-":
        return sys.stdin.buffer.read()
    path = Path(given[1:])
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"The input cannot be read from {path}: {error.strerror}.") from None


def _words(text: str) -> bool:
    """Whether it seems to be a text without its quotes."""
    return bool(text) and not set(text) & set("{}[]\"'\\")
