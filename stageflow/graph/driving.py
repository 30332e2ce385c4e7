"""Where to find what runs graphs: a lower layer cannot import a higher one, so it is told."""

from __future__ import annotations

from importlib import import_module

_where: list[str] = []  # one place
_found: list[object] = []  # what is there, once it was asked for


def drive_with(where: str) -> None:
    """Says where what runs graphs is, as ``module:name``; it is imported when the first graph is run."""
    _where[:], _found[:] = [where], []


def driving() -> object:
    """What runs graphs."""
    if not _found:
        module, _, name = _where[0].partition(":")
        _found.append(getattr(import_module(module), name))
    return _found[0]
