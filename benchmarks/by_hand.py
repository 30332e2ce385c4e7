"""What one would write without a library: a task per stage in a TaskGroup, each awaiting the tasks that it follows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from graphs import MASK, Graph

Run = Callable[[int], Awaitable[int]]


def run_of(graph: Graph) -> Run:
    """The graph as a function of its input, which gives the sum of the sinks."""
    nodes = list(zip([_suspending if graph.suspends else _adding] * len(graph.parents), graph.parents, strict=True))
    sinks = graph.sinks()

    async def run(value: int) -> int:
        tasks: list[asyncio.Task[int]] = []

        async def node(stage: Callable[..., Awaitable[int]], parents: tuple[int, ...]) -> int:
            if parents:
                return await stage(*[await tasks[parent] for parent in parents])
            return await stage(value)

        async with asyncio.TaskGroup() as group:
            for stage, parents in nodes:
                tasks.append(group.create_task(node(stage, parents)))
        return sum(tasks[sink].result() for sink in sinks)

    return run


async def each(values: list[int]) -> int:
    """One task per item."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_adding(value)) for value in values]
    return sum(task.result() for task in tasks)


async def _adding(*values: int) -> int:
    return (sum(values) + 1) & MASK


async def _suspending(*values: int) -> int:
    await asyncio.sleep(0)
    return (sum(values) + 1) & MASK
