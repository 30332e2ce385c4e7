"""Running a test through many interleavings of its tasks, each replayable from a seed.

Which task goes on next, of those that can, is drawn at random from the seed; time is virtual. So what a test sees
depends on the seed alone, and a seed that fails fails again. Callbacks that are no tasks keep their order, and a task
that is being cancelled hears of it before others go on: asyncio promises that much, and code may rely on it. Whatever
a stage awaits can come early or late against all other stages, so that any interleaving of their steps has a chance.

What stays outside: threads (they end when they end), what a stage does between two awaits (it is one step), and
stages that await nothing (they run in graph order, one after the other, as they do in production).
"""

from __future__ import annotations

import asyncio
import random
from bisect import insort
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextvars import Context
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast, final
from weakref import WeakKeyDictionary, ref

from typing_extensions import TypeVarTuple, Unpack, override

from stageflow.testing.clock import VirtualEventLoop, need_no_loop, run_in

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_Task: TypeAlias = asyncio.Task[object]


class InterleavingError(AssertionError):
    """A test failed under one interleaving; its cause is what the test raised.

    Attributes:
        seed: what to give to `replay`.
    """

    def __init__(self, seed: int, tried: int, error: Exception) -> None:
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        super().__init__(f"Seed {seed} fails ({what}), after {tried} that passed. Run it again: replay(run, {seed}).")
        self.seed = seed


def explore(run: Callable[[], Coroutine[object, object, _T]], *, seeds: int | Iterable[int] = 100) -> Mapping[int, _T]:
    """Runs a test under one interleaving per seed, and gives what it returned by seed.

    Args:
        run: makes the coroutine anew for each seed; all that it uses is made inside, so that no seed sees another's.
        seeds: how many, from 0; or which.

    Raises:
        InterleavingError: the test raised; the text has the seed, and the cause what it raised.
        RuntimeError: an event loop is running already.

    >>> async def race() -> str:
    ...     order: list[str] = []
    ...     async def runner(name: str) -> None:
    ...         await asyncio.sleep(0)
    ...         order.append(name)
    ...     await asyncio.gather(runner("a"), runner("b"))
    ...     return "".join(order)
    >>> sorted(set(explore(race).values()))
    ['ab', 'ba']
    """
    need_no_loop()
    returned: dict[int, _T] = {}
    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        try:
            returned[seed] = replay(run, seed)
        except Exception as error:
            raise InterleavingError(seed, len(returned), error) from error
    return returned


def replay(run: Callable[[], Coroutine[object, object, _T]], seed: int) -> _T:
    """Runs a test under the interleaving of one seed, gives what it returns, and lets through what it raises."""
    # The random module is seeded too: the jitter of a retry decides about the order as well.
    state = random.getstate()
    random.seed(seed)
    try:
        return run_in(lambda: _SeededEventLoop(seed), run())
    finally:
        random.setstate(state)


@final
class _Found:
    """A task of the loop: its number, by when it was made, and how many cancellations it has heard of."""

    __slots__ = ("_cancellations", "_task", "number")

    def __init__(self, task: ref[_Task], number: int) -> None:
        self._task = task
        self._cancellations = 0
        self.number = number

    @property
    def cancelled_anew(self) -> bool:
        task = self._task()
        return task is not None and task.cancelling() > self._cancellations

    def hear(self) -> None:
        task = self._task()
        self._cancellations = 0 if task is None else task.cancelling()


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A step of a task that could go on now."""

    task: _Found
    handle: asyncio.Handle
    go_on: Callable[[], object]

    def place(self) -> int:
        return self.task.number


@final
class _SeededEventLoop(VirtualEventLoop):
    """A virtual loop in which the next step is drawn at random among those of all tasks that can go on."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)  # noqa: S311  (no secret)
        self._steps: list[_Step] = []
        self._tasks: WeakKeyDictionary[_Task, _Found] = WeakKeyDictionary()
        self._count = 0
        self._releasing = False
        super().__init__()

    @override
    def call_soon(
        self, callback: Callable[[Unpack[_Ts]], object], *args: Unpack[_Ts], context: Context | None = None
    ) -> asyncio.Handle:
        task: object = getattr(callback, "__self__", None)
        if not isinstance(task, asyncio.Task):
            return super().call_soon(callback, *args, context=context)
        found = self._found(cast("_Task", task))
        handle = asyncio.Handle(callback, args, self, context)
        step = _Step(found, handle, lambda: super(_SeededEventLoop, self).call_soon(callback, *args, context=context))
        insort(self._steps, step, key=_Step.place)  # what was ready first may hang on addresses: the place does not
        self._ensure_release()
        return handle

    def _found(self, task: _Task) -> _Found:
        found = self._tasks.get(task)
        if found is None:
            found = self._tasks[task] = _Found(ref(task), self._count)
            self._count += 1
        return found

    def _ensure_release(self) -> None:
        if self._steps and not self._releasing:
            self._releasing = True
            super().call_soon(self._release)

    def _release(self) -> None:
        """Lets one step go on. It stands behind all plain callbacks that are ready, so that those come first."""
        self._releasing = False
        urgent = [step for step in self._steps if step.task.cancelled_anew]
        step = self._draw.choice(urgent or self._steps)
        self._steps.remove(step)
        if not step.handle.cancelled():
            step.go_on()
            super().call_soon(step.task.hear)  # right behind the step, which may also have ended a cancellation
        self._ensure_release()
