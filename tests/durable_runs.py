"""A run that is to be killed, as a process of its own: ``python -m tests.durable_runs STORE RUN FOLDER``.

Every stage writes its path to a file that no kill takes back (O_APPEND and fsync) before it gives its output, and the
event that tells of its end is written to another: what is in that one was acknowledged. The process starts the run, or
goes on with it where it is there already, and says how it ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from returns.result import Failure, Result, Success

from stageflow import (
    Completed,
    Pipeline,
    PipelineContext,
    Runner,
    Stage,
    StageError,
    StageInputs,
    StageOutput,
    lift,
    ok,
    stage,
)
from stageflow.durable import Decision
from stageflow.errors import LeaseHeldError
from stageflow.journal import DurableStore
from stageflow.stores import PostgresRunStore, SqliteRunStore

LEASE_SECONDS = 0.5
ITEMS = 12


@dataclass(frozen=True, slots=True)
class Page:
    url: str
    words: tuple[str, ...]


class NotFoundError(StageError):
    url: str


class Witness:
    """What stages leave behind: a line each, on the disk before they give their output."""

    def __init__(self, path: Path | None) -> None:
        self._file = -1 if path is None else os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def saw(self, line: str) -> None:
        if self._file >= 0:
            os.write(self._file, f"{line}\n".encode())
            os.fsync(self._file)


class Acknowledged:
    """The sink that writes which stages have ended: they are recorded before it is told."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        if type.endswith(".completed") and type.startswith("stage.") and data is not None:
            self._witness.saw(str(data["stage"]))

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.try_emit(type=type, data=data)


def killed_pipeline(witness: Witness, *, seconds: float = 0.004) -> Pipeline[str, str, StageError]:
    """A pipeline with something of everything: items, branches, what is recovered, hidden, nested and wired."""

    async def work(inputs: StageInputs[object]) -> None:
        await asyncio.sleep(seconds)
        witness.saw(inputs.context.stage)

    @lift
    async def urls(site: str) -> tuple[str, ...]:
        witness.saw("urls")
        return tuple(f"{site}/{number}" for number in range(ITEMS))

    @stage
    async def fetch(inputs: StageInputs[str]) -> Result[StageOutput[Page], NotFoundError]:
        await work(inputs)
        if inputs.value.endswith("7"):
            return Failure(NotFoundError("no such page", url=inputs.value))
        return ok(Page(inputs.value, ("a", "b", inputs.value)))

    async def absent(error: NotFoundError) -> Result[StageOutput[Page], NotFoundError]:
        return ok(Page(error.url, ()))

    @stage
    async def count(inputs: StageInputs[Page]) -> Result[StageOutput[int], StageError]:
        await work(inputs)
        return ok(len(inputs.value.words))

    @stage
    async def longest(inputs: StageInputs[Page]) -> Result[StageOutput[str], NotFoundError]:
        await work(inputs)
        words = inputs.value.words
        return ok(max(words, key=len)) if words else Failure(NotFoundError("no word", url=inputs.value.url))

    @stage
    async def joined(
        inputs: StageInputs[tuple[int, Success[str] | Failure[StageError]]],
    ) -> Result[StageOutput[str], StageError]:
        await work(inputs)
        number, word = inputs.value
        return ok(f"{number}:{word.value_or('-')}")

    @stage
    async def report(inputs: StageInputs[Sequence[str]]) -> Result[StageOutput[str], StageError]:
        await work(inputs)
        return ok(" ".join(inputs.value))

    @stage
    async def sealed_up(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        await work(inputs)
        return ok(inputs.value + "!")

    item = fetch.recover(absent) | (count & (longest | sealed_up).settled()) | joined
    return urls | item.each(limit=3) | report  # type: ignore[return-value]


def store_of(place: str) -> DurableStore:
    return PostgresRunStore(place) if place.startswith("postgresql://") else SqliteRunStore(place)


async def went_on(place: str, run_id: UUID, folder: Path) -> str:
    """Starts or resumes the run and gives what it came to, as JSON."""
    witness, acknowledged = Witness(folder / "ran"), Acknowledged(Witness(folder / "acknowledged"))
    pipeline = killed_pipeline(witness)
    store = store_of(place)
    async with Runner(store=store, sink=acknowledged, lease_seconds=LEASE_SECONDS) as runner:
        say("ready")
        if await store.get_run(run_id) is None:
            outcome = await runner.run(pipeline, "site", context=PipelineContext(run_id=run_id))
        else:
            outcome = await resumed(runner, pipeline, run_id)
    return summary(outcome)


async def resumed(
    runner: Runner, pipeline: Stage[str, str, StageError], run_id: UUID, decisions: Sequence[Decision] = ()
) -> object:
    """Resumes the run once nobody has it."""
    while True:
        try:
            return await runner.resume(pipeline, run_id, decisions=decisions)
        except LeaseHeldError:
            await asyncio.sleep(0.02)  # the lease of a process that was killed runs out by itself


def sending(witness: Witness, *, waits: bool) -> tuple[Stage[str, str, StageError], Stage[str, str, StageError]]:
    """A stage that must not run twice, and a pipeline with it; where it waits, it says so and waits to be killed."""

    @lift
    def before(text: str) -> str:
        witness.saw("before")
        return text

    @lift(effects="once")
    async def send(text: str) -> str:
        witness.saw("send")
        if waits:
            say("sending")
            await asyncio.Event().wait()
        return text

    @lift
    def after(text: str) -> str:
        witness.saw("after")
        return f"{text}!"

    return send, before | send | after


async def was_killed(place: str, run_id: UUID, folder: Path) -> None:
    """Starts a run that waits to be killed in a stage that must not run twice."""
    say("ready")
    _, pipeline = sending(Witness(folder / "ran"), waits=True)
    await Runner(store=store_of(place), lease_seconds=LEASE_SECONDS).run(
        pipeline, "a", context=PipelineContext(run_id=run_id)
    )


def say(line: str) -> None:
    """Tells whoever started this process, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def summary(outcome: object) -> str:
    """What is to be the same, however often a run was killed."""
    assert isinstance(outcome, Completed), outcome
    stages = {
        name: [result.status.value, result.reason, str(result.error), repr(result.data)]
        for name, result in outcome.report.stages.items()
    }
    return json.dumps({"value": outcome.value, "stages": stages})


if __name__ == "__main__":
    given = (sys.argv[1], UUID(sys.argv[2]), Path(sys.argv[3]))
    if sys.argv[4:] == ["once"]:
        asyncio.run(was_killed(*given))
    else:
        say(f"came to {asyncio.run(went_on(*given))}")
