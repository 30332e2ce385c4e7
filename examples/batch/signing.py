"""What computes: a text's signature by MinHash (Broder, 1997), in plain Python. It runs on workers."""

from __future__ import annotations

import re
from hashlib import blake2b
from itertools import islice

from returns.result import Failure, Result, Success

from examples.batch.words import Signature, Text, TooShortError
from stageflow import StageKind, lift

GROUP = 3  # words that are looked at together
MINIMA = 64
_PRIME = (1 << 61) - 1
_WORD = re.compile(r"\w+")


def _numbers(seed: str) -> tuple[int, ...]:
    return tuple(_digest(f"{seed} {number}") % _PRIME for number in range(MINIMA))


def _digest(text: str) -> int:
    """A number that is the same in every process, as Python's own `hash` is not."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


_FACTORS, _SHIFTS = _numbers("factor"), _numbers("shift")


@lift(kind=StageKind.WORK)
def sign(text: Text) -> Result[Signature, TooShortError]:
    """The smallest of a text's word groups, in each of 64 random orders."""
    words = _WORD.findall(text.content.lower())
    groups = {" ".join(group) for group in zip(*(islice(words, start, None) for start in range(GROUP)), strict=False)}
    if not groups:
        return Failure(TooShortError(f"It has {len(words)} words, and {GROUP} are compared.", shown=text.shown))
    hashes = [_digest(group) for group in groups]
    minima = [
        min((factor * one + shift) % _PRIME for one in hashes) for factor, shift in zip(_FACTORS, _SHIFTS, strict=True)
    ]
    return Success(Signature(text.shown, tuple(minima)))
