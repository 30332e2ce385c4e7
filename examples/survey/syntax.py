"""What one file's syntax tells: its lines and its imports."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

from returns.result import Failure, Result, Success

from examples.survey.errors import UnparsableError
from examples.survey.words import File, Lines, Parsed, Source
from stageflow import lift


@lift
def parse(source: Source) -> Result[Parsed, UnparsableError]:
    """The syntax tree. In no thread: parsing holds Python's lock, so that a thread would gain nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the surveyed code's style: an invalid escape, say
            return Success(Parsed(source, ast.parse(source.content)))
    except SyntaxError as error:
        return Failure(UnparsableError(error.msg, shown=source.file.shown, line=error.lineno or 1))
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte; nested too deeply for the parser
        return Failure(UnparsableError(str(error) or "nested too deeply", shown=source.file.shown, line=1))


@lift
def file_of(parsed: Parsed) -> File:
    """The file that was parsed."""
    return parsed.source.file


@lift
def lines(parsed: Parsed) -> Lines:
    """How many lines of each sort; a line of a text that starts with ``#`` counts as a comment."""
    stripped = [line.strip() for line in parsed.source.content.splitlines()]
    blank, comments = stripped.count(b""), sum(line.startswith(b"#") for line in stripped)
    return Lines(len(stripped) - blank - comments, comments, blank)


@lift
def imports(parsed: Parsed) -> tuple[str, ...]:
    """What the file imports, sorted, each once, relative imports made absolute."""
    return tuple(sorted(set(_imported(parsed.tree, parsed.source.file.package))))


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module, names, level):
                origin = ".".join(part for part in (_above(package, level or 0), module) if part)
                yield from (f"{origin}.{alias.name}" for alias in names)
            case _:
                pass


def _above(package: str, level: int) -> str:
    """The package that so many dots mean, seen from inside this one; none where there is no dot."""
    return ".".join(package.split(".")[: 1 - level or None]) if level else ""
