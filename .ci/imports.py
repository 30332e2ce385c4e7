"""Asks an installed stageflow for every public name: ``imports.py EXTRA...``. It is there, or says what brings it.

An extra that is installed and still asked for is a failure, and so is an error that names no extra, or none there is.
"""

import importlib
import re
import sys
from importlib.metadata import metadata
from pathlib import Path

import stageflow

EXTRA = re.compile(r"pip install 'stageflow\[(\w+)\]'")
MADE = {"TracingInterceptor", "MetricsInterceptor"}  # they ask for their extra when they are made


def packages() -> list[str]:
    """The packages of the library, each with its public names."""
    root = Path(stageflow.__file__).parent
    inner = sorted(path.parent.relative_to(root.parent) for path in root.rglob("__init__.py"))
    return [".".join(path.parts) for path in inner]


def lacking(error: ImportError, where: str, installed: set[str]) -> str:
    """The extra that an error names."""
    named = EXTRA.search(str(error))
    known = set(metadata("stageflow").get_all("Provides-Extra") or ())
    if named is None:
        raise SystemExit(f"{where} lacks something, and does not say which extra brings it: {error}")
    if named[1] not in known:
        raise SystemExit(f"{where} asks for the extra {named[1]}, and there are {', '.join(sorted(known))}.")
    if named[1] in installed:
        raise SystemExit(f"{where} asks for the extra {named[1]}, which is installed: {error}")
    return named[1]


def main(installed: set[str]) -> None:
    """Prints how many names are there, and which extras others lack."""
    there, lack = 0, dict[str, str]()
    for package in packages():
        try:
            module = importlib.import_module(package)
        except ImportError as error:
            lack[package] = lacking(error, package, installed)
            continue
        for name in getattr(module, "__all__", ()):
            try:
                found = getattr(module, name)
                if name in MADE and package == "stageflow":
                    found()
            except ImportError as error:
                lack[f"{package}.{name}"] = lacking(error, f"{package}.{name}", installed)
            else:
                there += 1
    if "all" in installed and lack:
        raise SystemExit(f"Of all extras there are some that bring nothing: {lack}")
    extras = ", ".join(f"{name} ({extra})" for name, extra in lack.items())
    print(f"{', '.join(sorted(installed)) or 'no extra'}: {there} names are there; not there: {extras or 'none'}")


if __name__ == "__main__":
    main(set(sys.argv[1:]))
