"""What lower layers are given by higher ones, which they cannot import: told by name, imported when first asked for."""

from __future__ import annotations

from importlib import import_module

_places: dict[str, str] = {}
_found: dict[str, object] = {}


def give(**places: str) -> None:
    """Says where things are: each as ``module``, or ``module:name``."""
    for what, where in places.items():
        _places[what] = where
        _found.pop(what, None)


def given(what: str) -> object:
    """The thing itself."""
    if what not in _found:
        module, _, name = _places[what].partition(":")
        found = import_module(module)
        _found[what] = getattr(found, name) if name else found
    return _found[what]
