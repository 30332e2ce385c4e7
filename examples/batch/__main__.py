"""The command line: ``python -m examples.batch FOLDER --engine processes``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from examples.batch.pipeline import likenesses
from examples.batch.places import Place, engine_at
from examples.batch.words import Likenesses
from stageflow import Cancelled, Completed, Failed, Runner, Skipped

OK, REFUSED = 0, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints which files are nearly the same, and gives the exit code."""
    parser = argparse.ArgumentParser(prog="batch", description="Finds texts that are nearly the same.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", choices=get_args(Place), default="here", help="where to compute (default: here)")
    parser.add_argument("--workers", type=int, metavar="N", help="how many processes (default: one for each CPU)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="the Dask cluster (default: one of this machine's own)")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    place: Place = options.engine
    return asyncio.run(_found(folder, place, options.workers, options.scheduler))


async def _found(folder: Path, place: Place, workers: int | None, scheduler: str | None) -> int:
    async with engine_at(place, workers=workers, scheduler=scheduler) as engine, Runner(engine=engine) as runner:
        outcome = await runner.run(likenesses, folder)
    match outcome:
        case Completed(found):
            print(_page(found))
            return OK
        case Failed(error):
            print(f"batch: {error}", file=sys.stderr)
            return REFUSED
        case Skipped(reason) | Cancelled(reason):
            print(f"batch: {reason}", file=sys.stderr)
            return REFUSED


def _page(found: Likenesses) -> str:
    pairs = [f"{alike.likeness:4.0%}  {alike.first}  {alike.second}" for alike in found.pairs]
    left_out = [f"left out: {what}" for what in found.left_out]
    return "\n".join([f"{found.texts} texts, {len(pairs)} pairs nearly the same", *pairs, *left_out])


if __name__ == "__main__":  # processes that are spawned import this module, and must not start again
    sys.exit(main())
