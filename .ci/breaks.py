"""Says which changes since a version break code that uses stageflow's public names: ``breaks.py VERSION``.

Public is what a package lists in its ``__all__``, with its members. What griffe finds elsewhere is the library's own.
"""

import re
import sys
from collections.abc import Iterator

import griffe

PACKAGE = "stageflow"
COLOUR = re.compile(r"\x1b\[\d+m")


def public(package: griffe.Module) -> Iterator[str]:
    """The paths of the public names, where they are exported and where they are defined."""
    for module in (package, *modules_of(package)):
        for name in module.exports or ():
            path = f"{module.path}.{name}"
            yield path
            member = module.members.get(str(name))
            if isinstance(member, griffe.Alias):
                yield member.target_path


def modules_of(module: griffe.Module) -> Iterator[griffe.Module]:
    """The modules inside a module."""
    for inner in module.modules.values():
        if isinstance(inner, griffe.Module):
            yield inner
            yield from modules_of(inner)


def main(version: str) -> int:
    """Prints what broke; 1 where something did."""
    old = griffe.load_git(PACKAGE, ref=version, repo=".", force_inspection=False)
    new = griffe.load(PACKAGE, search_paths=["."], force_inspection=False)
    if not isinstance(old, griffe.Module) or not isinstance(new, griffe.Module):
        raise SystemExit(f"{PACKAGE} is no package at {version}, or is none here.")
    names = set(public(old))
    found = {
        COLOUR.sub("", breakage.explain(griffe.ExplanationStyle.ONE_LINE))
        for breakage in griffe.find_breaking_changes(old, new)
        if any(breakage.obj.path == name or breakage.obj.path.startswith((f"{name}.", f"{name}(")) for name in names)
    }
    print("\n".join(sorted(found)) or f"Nothing public broke since {version}: {len(names)} names.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
