"""The files, which stay where the batch was started: workers get texts, and need no file system of ours."""

from __future__ import annotations

from pathlib import Path

from returns.result import Failure, Result, Success

from examples.batch.words import Found, NoFolderError, Text, UnreadableError
from stageflow import StageKind, lift
from stageflow.placement import LOCAL


@lift(thread=True, placement=LOCAL)
def discover(folder: Path) -> Result[tuple[Found, ...], NoFolderError]:
    """The files under a folder, sorted."""
    if not folder.is_dir():
        return Failure(NoFolderError(f"{folder} is no folder."))
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return Success(tuple([Found(path.relative_to(folder).as_posix(), path) for path in paths]))


@lift(thread=True, placement=LOCAL, kind=StageKind.ENRICH)
def read(found: Found) -> Result[Text, UnreadableError]:
    """A file's text."""
    try:
        return Success(Text(found.shown, found.path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        return Failure(UnreadableError(str(error), shown=found.shown))
