"""Coroutines from outside: whether one ever waits, and how to have one, to outlast one, to give one its own stack."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable
from functools import lru_cache
from inspect import CO_COROUTINE
from opcode import opmap
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")
_SEND = opmap["SEND"]  # what `await`, `async for` and `async with` are compiled to
DEEP = 24  # so many wrappers or composites inside one another share a stack; the next gets its own


async def awaited(awaitable: Awaitable[_T]) -> _T:
    """Makes a coroutine of any awaitable, since only a coroutine can be stepped."""
    return await awaitable


async def outlasting(future: asyncio.Future[_T]) -> asyncio.CancelledError | None:
    """Waits until a future is done, however often that is cancelled; gives the last such cancellation, to be raised."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled


def in_own_task(call: Callable[[_T], Awaitable[_R]]) -> Callable[[_T], Awaitable[_R]]:
    """The same function on a stack of its own, so that deeply nested composites do not exhaust Python's."""

    async def hopped(argument: _T) -> _R:
        return await asyncio.get_running_loop().create_task(awaited(call(argument)))

    return hopped


def never_waits(function: object) -> bool:
    """Whether a coroutine function is known to end in its first step: nothing is awaited in it."""
    code: object = getattr(function, "__code__", None)
    return isinstance(code, types.CodeType) and _awaits_nothing(code)


@lru_cache
def _awaits_nothing(code: types.CodeType) -> bool:
    return bool(code.co_flags & CO_COROUTINE) and _SEND not in code.co_code[::2]
