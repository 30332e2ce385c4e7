"""Finding the files and reading them: blocking work, done in threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from returns.result import Failure, Result, Success
from typing_extensions import Never

from examples.survey.errors import (
    NoPythonError,
    NoSuchPathError,
    NoSurveyError,
    NotAFolderError,
    UnlistableError,
    UnreadableError,
)
from examples.survey.words import File, Source
from stageflow import StageEvent, StageInputs, StageKind, StageOutput, lift, ok, stage


@lift(thread=True)
def discover(root: Path) -> Result[tuple[File, ...], NoSurveyError]:
    """The Python files under a folder, sorted; hidden folders and caches are passed over."""
    try:
        if not root.exists():
            return Failure(NoSuchPathError(f"{root} does not exist"))
        if not root.is_dir():
            return Failure(NotAFolderError(f"{root} is no folder"))
        found = tuple(_file(root, path) for path in _walk(root))
    except OSError as error:
        return Failure(UnlistableError(f"{error.filename} cannot be listed: {error.strerror}"))
    return Success(found) if found else Failure(NoPythonError(f"{root} holds no Python file"))


@stage
async def announce(inputs: StageInputs[tuple[File, ...]]) -> Result[StageOutput[tuple[File, ...]], Never]:
    """The files, told to whoever watches the run: how many there will be."""
    return ok(inputs.value, events=(StageEvent("survey.found", {"files": len(inputs.value)}),))


@lift(thread=True, kind=StageKind.ENRICH)
def read(file: File) -> Result[Source, UnreadableError]:
    """The file's content, as bytes: its first lines say in what encoding."""
    try:
        return Success(Source(file, file.path.read_bytes()))
    except OSError as error:
        return Failure(UnreadableError(f"cannot be read: {error.strerror}", shown=file.shown))


def _walk(root: Path) -> Iterator[Path]:
    for folder, inner, names in os.walk(root, onerror=_refuse):
        inner[:] = sorted(name for name in inner if not name.startswith(".") and name != "__pycache__")
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


def _refuse(error: OSError) -> None:
    raise error  # os.walk would pass over the folder in silence


def _file(root: Path, path: Path) -> File:
    shown = path.relative_to(root)
    return File(_module(root.resolve(), shown), str(shown).encode(errors="replace").decode(), path)


def _module(root: Path, shown: Path) -> str:
    """The dotted name: from the outermost package that holds the file, from the root where none does."""
    path = root / shown
    above = next((folder for folder in path.parents if not (folder / "__init__.py").is_file()), root)
    parts = path.relative_to(root if above == path.parent else above).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
