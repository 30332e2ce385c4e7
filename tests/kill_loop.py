"""Durable runs, killed at random moments and resumed, as often as you like::

    python -m tests.kill_loop --kills 50 --store sqlite
    python -m tests.kill_loop --kills 50 --store postgres

After every kill: nothing that was acknowledged is lost, nothing that was recorded runs again, and SQLite finds its
file whole. In the end: the outcome is that of a run which nobody disturbed. It stops at the first thing that is not so.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID, uuid4

from stageflow import Runner
from tests.durable_runs import Witness, killed_pipeline, say, store_of, summary
from tests.services import INSTALL, PostgresServer

ROOT = Path(__file__).parents[1]
LONGEST_SECONDS = 0.35  # about as long as a run takes that nobody kills


def undisturbed() -> str:
    """What the run comes to in one go."""
    return summary(asyncio.run(Runner().run(killed_pipeline(Witness(None), seconds=0), "site")))


def process(place: str, run_id: UUID, folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.durable_runs", place, str(run_id), str(folder), *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def recorded(place: str, run_id: UUID) -> set[str]:
    """The stages that the journal has as ended well."""

    async def load() -> set[str]:
        store = store_of(place)
        try:
            return {one.path for one in await store.load(run_id) if one.status in {"ok", "skip"}}
        finally:
            await store.aclose()  # type: ignore[attr-defined]

    return asyncio.run(load())


def check_whole(place: str) -> None:
    if place.startswith("postgresql://"):
        return
    connection = sqlite3.connect(place)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


class KilledRun:
    """One run, killed until it is through.

    Attributes:
        kills: how often it was killed.
    """

    def __init__(self, place: str, folder: Path, chance: random.Random) -> None:
        self.kills = 0
        self._place = place
        self._folder = folder
        self._chance = chance
        self._run_id = uuid4()
        self._before: set[str] = set()
        self._seen = 0

    def go_on(self, *, killing: bool) -> str | None:
        """What it came to; None where it was killed."""
        child = process(self._place, self._run_id, self._folder)
        assert child.stdout is not None
        with child.stdout as output:
            assert output.readline() == "ready\n"
            if killing:
                time.sleep(self._chance.uniform(0, LONGEST_SECONDS))
                child.send_signal(signal.SIGKILL)
            said = output.read()
            ended = child.wait(timeout=60)
        self._check()
        if said.startswith("came to "):
            return said.removeprefix("came to ").strip()
        assert ended == -signal.SIGKILL, f"the process ended by itself, with {ended}: {said}"
        self.kills += 1
        return None

    def _check(self) -> None:
        ran, acknowledged = lines(self._folder / "ran"), set(lines(self._folder / "acknowledged"))
        again = self._before.intersection(ran[self._seen :])
        assert not again, f"recorded before, and ran again: {sorted(again)}"
        self._before, self._seen = recorded(self._place, self._run_id), len(ran)
        lost = acknowledged - self._before
        assert not lost, f"acknowledged, and not recorded: {sorted(lost)}"
        unseen = {path for path in self._before if not path.startswith("~")} - set(ran)
        assert not unseen, f"recorded, and never ran: {sorted(unseen)}"
        check_whole(self._place)


def loop(place: str, kills: int, seed: int) -> tuple[int, int]:
    """Kills runs so many times; gives how many kills and how many runs it were."""
    chance, wanted = random.Random(seed), undisturbed()
    done = runs = 0
    while done < kills:
        with tempfile.TemporaryDirectory(prefix="stageflow-killed-") as folder:
            run = KilledRun(place, Path(folder), chance)
            came_to = None
            while came_to is None:
                came_to = run.go_on(killing=done + run.kills < kills)
            assert came_to == wanted, f"it came to\n{came_to}\nand undisturbed to\n{wanted}"
            done, runs = done + run.kills, runs + 1
    return done, runs


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.kill_loop", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    given = parser.parse_args()
    say(f"{given.kills} kills, {given.store}, --seed {given.seed}")
    started = time.monotonic()
    if given.store == "sqlite":
        with tempfile.TemporaryDirectory(prefix="stageflow-kill-loop-") as folder:
            kills, runs = loop(str(Path(folder) / "runs.db"), given.kills, given.seed)
    else:
        server = PostgresServer.installed()
        if server is None:
            raise SystemExit(f"PostgreSQL is not on this machine. {INSTALL}")
        server.start()
        try:
            kills, runs = loop(server.dsn, given.kills, given.seed)
        finally:
            server.remove()
    seconds = time.monotonic() - started
    say(f"{kills} kills over {runs} runs in {seconds:.0f} s: nothing lost, nothing ran twice, every outcome the same")


if __name__ == "__main__":
    main()
