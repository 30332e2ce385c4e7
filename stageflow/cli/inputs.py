"""From ``--input`` to a value of the type that a pipeline declares."""

from __future__ import annotations

import sys
from pathlib import Path

from returns.result import Failure

from stageflow.cli.exit_codes import CommandError
from stageflow.codec import Codec
from stageflow.durable.chart import input_type
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
    wanted = input_type(graph.shape, {})
    if given is None and wanted not in (None, type(None), object):
        raise CommandError(f'"{graph.name}" takes {type_name(wanted)}. Give it by --input JSON or --input @file.')
    data = b"null" if given is None else _read(given)
    value = Codec().decode(data, wanted)
    if isinstance(value, Failure):
        text = data.decode(errors="replace")
        short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        raise CommandError(f'The input does not fit "{graph.name}". {value.failure()}\n  It was: {short}{_hint(text)}')
    return value.unwrap()


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


def _hint(text: str) -> str:
    """What to write instead, where a text was given without its quotes."""
    return f"\n  A text is JSON in quotes: --input '\"{text}\"'" if text.strip().replace(" ", "").isalnum() else ""
