"""What every `EventSink` is held to; run it over your own in one line: ``await check_sink(Mine)``.

===========  ==============================================================================================
takes        any type and data, also None, read-only mappings, and values that nothing can be made of
leaves       the data as it was
at once      `try_emit` is a plain call that gives None, and a thousand of them take less than a second
delivers     `emit` ends
in order     what was told comes out in the order in which it was told, where it can be read back
closes       ``aclose``, if there is one, ends, may be called again, and leaves no task behind
outcomes     of runs are the same with the sink as without it
===========  ==============================================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeVar

from returns.result import Result

from stageflow.context.inputs import StageInputs
from stageflow.core.output import StageOutput, fail, ok, skip
from stageflow.errors import StageError
from stageflow.events.sink import NoOpEventSink
from stageflow.pipeline.functions import stage
from stageflow.ports import EventSink
from stageflow.running.runner import Runner
from stageflow.sinks.fan_out import close

_S = TypeVar("_S", bound=EventSink)
_PATIENCE: Final = 10.0  # seconds
_MANY: Final = 1000
_FEW: Final = 20  # so few that no queue need overflow


class SinkBrokenError(AssertionError):
    """A sink is not what the executor counts on; the text says in what."""


async def check_sink(make: Callable[[], _S], *, read: Callable[[_S], Sequence[str]] | None = None) -> None:
    """Holds a sink to what the executor counts on.

    Args:
        make: makes the sink; called for each check, inside the running loop.
        read: the types of the events that a sink has got by now, in order; called after it was closed.

    Raises:
        SinkBrokenError: it does not hold.
    """
    for check in (_takes, _leaves_data, _at_once, _closes):
        await check(make())
    if read is not None:
        await _in_order(make(), read)
    await _outcomes(make)


async def _takes(sink: EventSink) -> None:
    odd: Sequence[Mapping[str, object] | None] = (
        None,
        {},
        MappingProxyType({"read": "only"}),
        {"nan": float("nan"), "bytes": b"\xff", "surrogate": "\ud800", "class": int, "error": ValueError("x")},
        {"deep": {"key": {1: {2, 3}}, "path": [(None, True)]}, "": "an empty key"},
        {"object": object(), "stage": check_sink},
    )
    for data in odd:
        for type in ("stage.a.b.started", "", "line\nbreak", "stage.größe[7].failed"):
            try:
                sink.try_emit(type=type, data=data)
                await _in_time(sink, sink.emit(type=type, data=data), "emit()")
            except Exception as error:
                what = f"data with the keys {sorted(data)}" if data is not None else "no data"
                raise _broken(sink, f"takes {what} under the type {type!r} badly: {error!r}") from error
    await _in_time(sink, close(sink), "aclose()")


async def _leaves_data(sink: EventSink) -> None:
    inner: dict[str, object] = {"list": [1, 2]}
    data: dict[str, object] = {"a": 1, "inner": inner}
    sink.try_emit(type="data.left", data=data)
    await _in_time(sink, sink.emit(type="data.left", data=data), "emit()")
    await _in_time(sink, close(sink), "aclose()")
    if data != {"a": 1, "inner": {"list": [1, 2]}}:
        raise _broken(sink, f"changes the data that it is told: {data}")


async def _at_once(sink: EventSink) -> None:
    began = time.perf_counter()
    for number in range(_MANY):
        returned: object = _try_emit(sink)(type="burst", data={"number": number})
        if returned is not None:
            if inspect.iscoroutine(returned):
                returned.close()
            raise _broken(sink, f"gives {returned!r} from try_emit(), which is to be a plain function that gives None")
    seconds = time.perf_counter() - began
    await _in_time(sink, close(sink), "aclose()")
    if seconds > 1:
        raise _broken(sink, f"holds a run up: {_MANY} calls of try_emit() took {seconds:.1f} s")


def _try_emit(sink: EventSink) -> Callable[..., object]:  # type: ignore[explicit-any]  # of keywords alone
    return sink.try_emit


async def _closes(sink: EventSink) -> None:
    before = asyncio.all_tasks()
    sink.try_emit(type="before.close", data={})
    for _ in range(2):
        await _in_time(sink, close(sink), "aclose()")
    left = asyncio.all_tasks() - before
    if left:
        raise _broken(sink, f"leaves tasks behind when it is closed: {', '.join(task.get_name() for task in left)}")
    with contextlib.suppress(Exception):  # it may refuse, as a closed file does
        sink.try_emit(type="after.close", data={})


async def _in_order(sink: _S, read: Callable[[_S], Sequence[str]]) -> None:
    told = [f"event.{number}" for number in range(_FEW)]
    for type in told[:-1]:
        sink.try_emit(type=type, data=None)
    await _in_time(sink, sink.emit(type=told[-1], data=None), "emit()")
    await _in_time(sink, close(sink), "aclose()")
    got = list(read(sink))
    if got != told:
        raise _broken(sink, f"was told {told} and has {got}")


async def _outcomes(make: Callable[[], EventSink]) -> None:
    for ending in ("ok", "skip", "fail", "raise"):
        silent, told = NoOpEventSink(), make()
        without, with_it = await _run(silent, ending), await _run(told, ending)
        await _in_time(told, close(told), "aclose()")
        if with_it != without:
            raise _broken(told, f"changes the outcome of runs from {without} to {with_it}")


async def _run(sink: EventSink, ending: str) -> list[str]:
    @stage
    async def told_of(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
        inputs.context.emit("stage.word", {"of": "its own"})
        match inputs.value:
            case "ok":
                return ok("done")
            case "skip":
                return skip("nothing to do")
            case "fail":
                return fail("it failed")
            case _:
                raise RuntimeError("it raised")

    runner = Runner(sink=sink)
    outcomes = await asyncio.gather(*(runner.run(told_of, ending) for _ in range(10)))
    return [type(outcome).__name__ for outcome in outcomes]


async def _in_time(sink: EventSink, awaitable: Awaitable[object], what: str) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            await awaitable
    except TimeoutError as error:
        raise _broken(sink, f"does not end its {what} within {_PATIENCE:g} s") from error


def _broken(sink: EventSink, what: str) -> SinkBrokenError:
    return SinkBrokenError(f"The sink {sink!r} {what}.")
