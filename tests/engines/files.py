"""Waiting for what other processes do, without a guess at how long they take."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

PATIENCE = 60.0


async def until(holds: Callable[[], bool]) -> None:
    """Returns when something holds that nobody tells of."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  (what it waits for is in other processes)
            await asyncio.sleep(0.01)


async def written(path: Path) -> int:
    """The number in a file, once it is there."""
    await until(path.exists)
    return int(path.read_text())  # noqa: ASYNC240  (a few bytes)


async def gone(pid: int) -> None:
    """Returns when a process has ended."""
    await until(lambda: not _alive(pid))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
