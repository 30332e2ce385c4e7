"""What can go wrong, as types: the checker knows which of these each stage can give, and which are handled where."""

from __future__ import annotations

from typing import TypeAlias

from stageflow import StageError


class NoSuchPathError(StageError):
    """There is nothing at the path."""


class NotAFolderError(StageError):
    """The path is that of a file."""


class NoPythonError(StageError):
    """The folder holds no Python file."""


class UnlistableError(StageError):
    """A folder may not be listed."""


NoSurveyError: TypeAlias = NoSuchPathError | NotAFolderError | NoPythonError | UnlistableError


class UnreadableError(StageError):
    """A file may not be read, or is gone."""

    shown: str


class UnparsableError(StageError):
    """A file is no Python that this Python can parse."""

    shown: str
    line: int


BadFileError: TypeAlias = UnreadableError | UnparsableError
