"""Which signatures are alike: those that share a whole band of their numbers are compared, all others never meet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TypeAlias

from returns.result import Failure, Success

from examples.batch.signing import MINIMA
from examples.batch.words import Alike, Likenesses, Signature, TooShortError, UnreadableError
from stageflow import StageExecutionError, lift
from stageflow.placement import LOCAL

BAND = 4  # numbers that two have to share in a row: of texts that are alike by half, two in three pairs meet
LIKE = 0.5

Signed: TypeAlias = Success[Signature] | Failure[UnreadableError | TooShortError | StageExecutionError]


@lift(placement=LOCAL)
def pair(signed: Sequence[Signed]) -> Likenesses:
    """The pairs that are nearly the same, and what could not be looked at."""
    signatures: list[Signature] = []
    left_out: list[str] = []
    for one in signed:
        match one:
            case Success(signature):
                signatures.append(signature)
            case Failure(error):
                left_out.append(_why(error))
    pairs = [_alike(first, second) for first, second in _meeting(signatures)]
    close = sorted(
        [one for one in pairs if one.likeness >= LIKE], key=lambda one: (-one.likeness, one.first, one.second)
    )
    return Likenesses(len(signatures), tuple(close), tuple(left_out))


def _why(error: UnreadableError | TooShortError | StageExecutionError) -> str:
    match error:
        case UnreadableError(shown=shown) | TooShortError(shown=shown):
            return f"{shown}: {error}"
        case StageExecutionError():
            return str(error)


def _meeting(signatures: Sequence[Signature]) -> Iterator[tuple[Signature, Signature]]:
    """Each pair that shares a band, once."""
    bands: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, signature in enumerate(signatures):
        for start in range(0, MINIMA, BAND):
            bands[start, *signature.minima[start : start + BAND]].append(number)
    meeting = {two for together in bands.values() for two in combinations(together, 2)}
    for first, second in sorted(meeting):
        yield signatures[first], signatures[second]


def _alike(first: Signature, second: Signature) -> Alike:
    shared = sum(one == other for one, other in zip(first.minima, second.minima, strict=True))
    return Alike(first.shown, second.shown, shared / MINIMA)
