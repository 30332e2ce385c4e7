"""What the batch speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stageflow import StageError


@dataclass(frozen=True, slots=True)
class Found:
    """A file to look at.

    Attributes:
        shown: its path from the folder, as a reader sees it.
        path: where to read it.
    """

    shown: str
    path: Path


@dataclass(frozen=True, slots=True)
class Text:
    """A file that was read: what travels to a worker, which need not see the file."""

    shown: str
    content: str


@dataclass(frozen=True, slots=True)
class Signature:
    """A text in few numbers: in so many of them as two texts share, they are alike."""

    shown: str
    minima: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Alike:
    """Two texts that are nearly the same.

    Attributes:
        likeness: the estimated part of their word groups that they share, from 0 to 1.
    """

    first: str
    second: str
    likeness: float


@dataclass(frozen=True, slots=True)
class Likenesses:
    """What the batch found: pairs, the most alike first, and what could not be looked at."""

    texts: int
    pairs: tuple[Alike, ...]
    left_out: tuple[str, ...]


class NoFolderError(StageError):
    """There is no folder to look into."""


class UnreadableError(StageError):
    """A file is no text, or may not be read."""

    shown: str


class TooShortError(StageError):
    """A text has too few words to be compared."""

    shown: str
