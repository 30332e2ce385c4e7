"""What it costs to encode a value and to decode it, beside msgspec alone and pickle.

    python benchmarks/codec.py            the table; about ten seconds
    python benchmarks/codec.py --quick    only whether what comes back is equal

``encode`` has the proof in it: it decodes what it made, and compares.
"""

from __future__ import annotations

import argparse
import pickle
import statistics
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from returns.result import Failure, Success

from stageflow import StageError
from stageflow.codec import Codec


@dataclass(frozen=True, slots=True)
class Page:
    url: str
    status: int
    size: float
    body: str


@dataclass(frozen=True, slots=True)
class Moved:
    to: str


class NotFoundError(StageError):
    url: str
    status: int = 404


PAGE = Page("https://example.com/a", 200, 1.5, "x" * 100)
VALUES: dict[str, tuple[object, object]] = {
    "an int": (3, int),
    "a dataclass of 4 fields": (PAGE, Page),
    "the same, of a union of two": (PAGE, Page | Moved),
    "the same, settled": (Success(PAGE), Success[Page] | Failure[NotFoundError]),
    "an error": (NotFoundError("no such page", url="a"), StageError),
    "a tuple of 1,000 dataclasses": ((PAGE,) * 1_000, tuple[Page, ...]),
    "a list of 10,000 floats": ([number / 7 for number in range(10_000)], list[float]),
    "undeclared JSON data of 100 values": ({str(number): [number, None] for number in range(50)}, object),
}


def microseconds(call: Callable[[], object]) -> float:
    """The processor's time, per call: the median of nine rounds."""
    timer = timeit.Timer(call, timer=time.process_time)  # what else the machine does is not counted
    times, _ = timer.autorange()
    times = max(1, times // 10)
    return statistics.median(timer.repeat(9, times)) / times * 1e6


def by_msgspec(value: object, of: object) -> str:
    """What msgspec alone takes, there and back, or a dash where it cannot."""
    try:
        decoder = msgspec.json.Decoder(of)
        equal = decoder.decode(msgspec.json.encode(value)) == value
    except (TypeError, msgspec.ValidationError):
        equal = False
    if not equal:
        return "-"
    return f"{microseconds(lambda: decoder.decode(msgspec.json.encode(value))):,.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only whether what comes back is equal")
    quick = parser.parse_args().quick
    codec = Codec()
    print(f"{'microseconds':38}{'encode, proven':>16}{'decode':>12}{'msgspec, both':>16}{'pickle, both':>14}")
    for name, (value, of) in VALUES.items():
        data = codec.encode(value, of).unwrap()
        assert codec.decode(data, of).unwrap() == value, name
        if quick:
            continue
        encode = microseconds(lambda value=value, of=of: codec.encode(value, of))
        decode = microseconds(lambda data=data, of=of: codec.decode(data, of))
        pickled = microseconds(lambda value=value: pickle.loads(pickle.dumps(value)))
        print(f"{name:38}{encode:>16,.1f}{decode:>12,.1f}{by_msgspec(value, of):>16}{pickled:>14,.1f}")


if __name__ == "__main__":
    main()
