"""Laws that every interceptor is held to; run them over your own in one line: ``check_interceptor(Mine())``.

==============  ==========================================================================================
identity        stacked with an interceptor that does nothing, outside or inside, it is as it is alone
associativity   in a stack of three it does not matter which two were stacked first
attachment      as a decorator, by ``.using`` and on a runner it does the same
cancellation    a cancellation passes through: the stage hears it, and ends before the call does
failure         where the stage's last call failed, no success and no skip comes out, unless declared
==============  ==========================================================================================

Each law is a function of its own, plays scripts in virtual time, and raises `LawBrokenError` where it does not hold.
Scripts can be given, so that a property-based test can draw them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import product
from typing import Final

from returns.result import Failure, Success

from stageflow.errors import StageError
from stageflow.graph.outcome import Cancelled, Completed, Failed, PipelineResult, Skipped
from stageflow.pipeline.functions import stage
from stageflow.running.runner import Runner
from stageflow.testing.clock import run_virtually
from stageflow.testing.script import Act, Ending, ScriptedStage
from stageflow.testing.stacking import (
    CALLS,
    AnyCall,
    AnyInterceptor,
    Marking,
    Script,
    Stacked,
    Transparent,
    inputs_of,
    play,
    said,
)

_PATIENCE: Final = 1e6  # virtual seconds: more than any sane interceptor waits
_MOMENTS: Final = (0.0, 0.01, 1.0, 61.0)  # virtual seconds at which a call is cancelled,
_STEPS: Final = 4  # and so many steps of the loop later
_FINE: Final = frozenset({Ending.OK, Ending.SKIP, Ending.CANCEL})
SCRIPTS: Final[tuple[Script, ...]] = (
    *((Act(ending),) for ending in Ending),
    *((Act(ending, after=60.0),) for ending in Ending),
    (Act(Ending.FAIL_RETRYABLE), Act(Ending.RAISE), Act(Ending.FAIL_RETRYABLE, after=1.0), Act(Ending.OK)),
    (Act(Ending.OK), Act(Ending.FAIL), Act(Ending.OK, after=60.0), Act(Ending.SKIP), Act(Ending.RAISE)),
)


class LawBrokenError(AssertionError):
    """An interceptor breaks a law; the text says which, how, and under which script."""


def check_interceptor(
    interceptor: AnyInterceptor, *, absorbs_failures: bool = False, scripts: Iterable[Script] = SCRIPTS
) -> None:
    """Holds an interceptor to every law.

    Args:
        interceptor: what is held to them; state that it has is to be made in `wrap`, anew for each place.
        absorbs_failures: declares that it turns failures into something else, as a fallback does; the law of failure
            is not asked of it then.
        scripts: what the stage does inside it.

    Raises:
        LawBrokenError: a law does not hold.
    """
    played = tuple(scripts)
    check_identity(interceptor, scripts=played)
    check_associativity(interceptor, scripts=played)
    check_attachment(interceptor, scripts=played)
    check_cancellation(interceptor, scripts=played)
    if not absorbs_failures:
        check_failure(interceptor, scripts=played)


def check_identity(interceptor: AnyInterceptor, *, scripts: Iterable[Script] = SCRIPTS) -> None:
    """Stacked with an interceptor that does nothing, outside or inside, it is as it is alone."""
    for script in scripts:
        alone = play(interceptor, script)
        for where, stack in {
            "outside": Stacked(Transparent(), interceptor),
            "inside": Stacked(interceptor, Transparent()),
        }.items():
            played = play(stack, script)
            if played != alone:
                how = f"with an interceptor that does nothing {where}, {played} came instead of {alone}"
                raise _broken(interceptor, "identity", how, script)


def check_associativity(interceptor: AnyInterceptor, *, scripts: Iterable[Script] = SCRIPTS) -> None:
    """In a stack of three, wherever it stands, it does not matter which two were stacked first."""
    for script, place in product(scripts, range(3)):
        grouped = [_stacked_at(interceptor, place, script, outer_first=outer_first) for outer_first in (True, False)]
        if grouped[0] != grouped[1]:
            how = f"at place {place} of three, {grouped[0]} came with the outer two stacked first, else {grouped[1]}"
            raise _broken(interceptor, "associativity", how, script)


def _stacked_at(interceptor: AnyInterceptor, place: int, script: Script, *, outer_first: bool) -> str:
    log: list[str] = []
    three: list[AnyInterceptor] = [Marking("a", log), Marking("b", log)]
    three.insert(place, interceptor)
    one, two, last = three
    stack = Stacked(Stacked(one, two), last) if outer_first else Stacked(one, Stacked(two, last))
    return f"{play(stack, script)}, seen as {log}"


def check_attachment(interceptor: AnyInterceptor, *, scripts: Iterable[Script] = SCRIPTS) -> None:
    """As a decorator, by ``.using`` and on a runner it does the same to a stage that a pipeline runs."""
    for script in scripts:
        came = {way: run_virtually(_attached(interceptor, script, way)) for way in ("decorator", "using", "runner")}
        if len(set(came.values())) > 1:
            how = "; ".join(f"as {way}, {what} came" for way, what in came.items())
            raise _broken(interceptor, "attachment", how, script)


async def _attached(interceptor: AnyInterceptor, script: Script, way: str) -> str:
    scripted = ScriptedStage(*script)
    bare = stage(name="scripted")(scripted)
    attached = {"decorator": interceptor(bare), "using": bare.using(interceptor), "runner": bare}[way]
    runner = Runner().using(interceptor) if way == "runner" else Runner()
    outcomes = [_outcome(await runner.run(attached, f"value {number}")) for number in range(1, CALLS + 1)]
    return f"[{'; '.join(outcomes)}] with {len(scripted.calls)} calls of the stage"


def _outcome(outcome: PipelineResult[object, StageError]) -> str:
    match outcome:
        case Completed(value):
            return f"ok({value!r})"
        case Failed(error):
            return said(Failure(error))
        case Skipped(reason) | Cancelled(reason):
            return f"{type(outcome).__name__}({reason})"


def check_cancellation(interceptor: AnyInterceptor, *, scripts: Iterable[Script] = SCRIPTS) -> None:
    """A cancellation passes through, whenever it comes: the stage hears it, and ends before the call does."""
    for script, moment, steps in product(scripts, _MOMENTS, range(_STEPS)):
        how = run_virtually(_cancelled(interceptor, script, moment, steps))
        if how:
            when = f"cancelled at {moment:g} s and {steps} steps of the loop"
            raise _broken(interceptor, "cancellation", f"{when}, {how}", script)


async def _cancelled(interceptor: AnyInterceptor, script: Script, moment: float, steps: int) -> str:
    """What is wrong with how a call ends that is cancelled then; nothing, where it ended before."""
    scripted = ScriptedStage(*script)
    call: AnyCall = interceptor.wrap(scripted)

    async def call_it() -> object:
        return await call(inputs_of(1))

    task = asyncio.create_task(call_it())
    await asyncio.sleep(moment)
    for _ in range(steps):
        await asyncio.sleep(0)
    if task.done():
        task.exception()  # looked at: how it ended is another law's
        return ""
    task.cancel()
    await asyncio.wait([task], timeout=_PATIENCE)
    if not task.done():
        return "the call goes on for ever"
    if len(scripted.endings) < len(scripted.calls):
        return "the stage still runs when the call is over"
    if task.cancelled():
        return ""
    error = task.exception()
    return f"{type(error).__name__} came instead: {error}" if error else f"it gave {said(task.result())} all the same"


def check_failure(interceptor: AnyInterceptor, *, scripts: Iterable[Script] = SCRIPTS) -> None:
    """Where the stage's last call failed, no success and no skip comes out."""
    for script in scripts:
        how = run_virtually(_absorbed(interceptor, script))
        if how:
            raise _broken(interceptor, "failure", f"{how}. Declare absorbs_failures=True if it is to", script)


async def _absorbed(interceptor: AnyInterceptor, script: Script) -> str:
    scripted = ScriptedStage(*script)
    call: AnyCall = interceptor.wrap(scripted)
    for number in range(1, CALLS + 1):
        before = len(scripted.endings)
        try:
            result = await call(inputs_of(number))
        except Exception:  # noqa: BLE001, S112  (a failure that stays one)
            continue
        ended = scripted.endings[before:]
        if isinstance(result, Success) and ended and ended[-1] not in _FINE:
            return f"call {number} gave {said(result)}, though the stage's last ending was: {ended[-1]}"
    return ""


def _broken(interceptor: AnyInterceptor, law: str, how: str, script: Script) -> LawBrokenError:
    acts = ", ".join(f"{act.ending.value} after {act.after:g} s" for act in script)
    return LawBrokenError(f"{interceptor!r} breaks the law of {law}: {how}. The stage's script: {acts}.")
