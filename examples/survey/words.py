"""What a survey speaks of: the files it finds, what it learns of each, and what it all comes to."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class File:
    """A Python file, found and not read yet.

    Attributes:
        module: what an import calls it: ``stageflow.core.stage``.
        shown: its path from where the survey started, as a reader sees it.
        path: where to read it.
    """

    module: str
    shown: str
    path: Path

    @property
    def package(self) -> str:
        """What a relative import in it starts from."""
        return self.module if self.path.name == "__init__.py" else self.module.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read."""

    file: File
    content: bytes


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file that was parsed."""

    source: Source
    tree: ast.Module


@dataclass(frozen=True, slots=True)
class Lines:
    """How many lines of each sort."""

    code: int
    comments: int
    blank: int

    @property
    def total(self) -> int:
        """All lines."""
        return self.code + self.comments + self.blank


@dataclass(frozen=True, slots=True)
class Module:
    """What the survey learned of a file.

    Attributes:
        imports: what it imports, as absolute dotted names: ``from .core import stage`` in ``a.b`` is ``a.core.stage``.
    """

    file: File
    lines: Lines
    imports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that the survey could make nothing of, and why."""

    shown: str
    line: int | None
    problem: str


Surveyed: TypeAlias = Module | Finding


@dataclass(frozen=True, slots=True)
class Count:
    """How much of something: lines of a module, modules that import a package."""

    name: str
    count: int


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """One module imports another."""

    importer: str
    imported: str


@dataclass(frozen=True, slots=True)
class ImportGraph:
    """Who imports whom.

    Attributes:
        edges: among the surveyed modules, sorted.
        most_imported: the modules that most others import.
        outside: the packages that are neither surveyed nor Python's own, with how many modules import them.
        cycle: modules that import one another in a ring, the first again as the last; empty where there is no ring.
    """

    edges: tuple[Edge, ...]
    most_imported: tuple[Count, ...]
    outside: tuple[Count, ...]
    cycle: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures.

    Attributes:
        files: how many were found, with those that did not parse.
        lines: of those that did.
        largest: the modules with most lines of code.
    """

    files: int
    lines: Lines
    largest: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """The whole."""

    summary: Summary
    imports: ImportGraph
    findings: tuple[Finding, ...]
