"""Where the batch computes: the one line that differs between a laptop and a cluster."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

from stageflow import Engine
from stageflow.engines import ProcessEngine

if TYPE_CHECKING:
    from distributed import Client

Place: TypeAlias = Literal["here", "processes", "dask"]


@asynccontextmanager
async def engine_at(
    place: Place, *, workers: int | None = None, scheduler: str | None = None
) -> AsyncGenerator[Engine | None]:
    """An engine, or None where the batch is to compute in this process.

    Args:
        place: which one.
        workers: how many processes; as many as there are CPUs where None.
        scheduler: of the Dask cluster that exists; one of this machine's own, made for the time, where None.
    """
    match place:
        case "here":
            yield None
        case "processes":
            yield ProcessEngine(workers=workers)
        case "dask":
            from stageflow.engines import DaskEngine  # noqa: PLC0415  (who computes elsewhere needs no distributed)

            async with _client(scheduler, workers) as client:
                yield DaskEngine(client)


def _client(scheduler: str | None, workers: int | None) -> Client:
    from distributed import Client  # noqa: PLC0415  (the same)

    if scheduler is not None:
        return Client(scheduler, asynchronous=True)  # type: ignore[no-untyped-call]  # distributed says no types
    return Client(asynchronous=True, n_workers=workers, threads_per_worker=1, dashboard_address=":0")  # type: ignore[no-untyped-call]  # the same
