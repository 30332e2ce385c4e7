"""What the workers of `engines.py` run: importable by its name there."""

from __future__ import annotations

from stageflow import lift


def add_one(number: int) -> int:
    return number + 1


def count(upto: int) -> int:
    """Computes for a while, in Python."""
    total = 0
    for number in range(upto):
        total += number & 3
    return total


added = lift(add_one)
counted = lift(count)
