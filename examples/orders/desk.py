"""The order desk: places orders, and goes on with those that a killed process left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol, TypeAlias, final
from uuid import UUID

from examples.orders.errors import OrderError
from examples.orders.pipeline import charge, place_order
from examples.orders.ports import PAYMENTS, STOCK, Payments, Stock
from examples.orders.words import Confirmation, Order
from stageflow import (
    CorrelationIds,
    LoggingInterceptor,
    PipelineContext,
    PipelineResult,
    Runner,
    RunStoreError,
    StageExecutionError,
    StagePorts,
    TracingInterceptor,
)
from stageflow.durable import Decision
from stageflow.errors import EffectsUnknownError, LeaseHeldError
from stageflow.journal import DurableStore
from stageflow.stores import RunArchive

_LOG = logging.getLogger(__name__)
AT_ONCE = 64  # stages, across all orders

OrderOutcome: TypeAlias = PipelineResult[Confirmation, OrderError | StageExecutionError]


class OrderStore(DurableStore, RunArchive, Protocol):
    """A store whose runs can be gone on with, and found."""


@final
class OrderDesk:
    """Places orders on one runner.

    Args:
        store: keeps the orders; the desk closes it.
        stock: the warehouse.
        payments: the bank.
        lease_seconds: how long an order of a killed process waits until another goes on with it.
    """

    def __init__(self, store: OrderStore, stock: Stock, payments: Payments, *, lease_seconds: float = 30.0) -> None:
        self._store = store
        self._payments = payments
        self._lease_seconds = lease_seconds
        ports = StagePorts().provide(STOCK, stock).provide(PAYMENTS, payments)
        plain = Runner(store=store, ports=ports, max_concurrency=AT_ONCE, lease_seconds=lease_seconds)
        self._runner = plain.using(LoggingInterceptor()).using(TracingInterceptor())

    async def place(self, order_id: UUID, order: Order, correlation: CorrelationIds) -> OrderOutcome:
        """What becomes of an order. One that was placed before is gone on with, and what it said first counts."""
        if await self._store.get_run(order_id) is not None:
            return await self.go_on(order_id)
        context = PipelineContext(run_id=order_id, correlation=correlation)
        return await self._runner.run(place_order, order, context=context)

    async def go_on(self, order_id: UUID) -> OrderOutcome:
        """What becomes of an order that was placed before; where it was cut off as it charged, the bank is asked."""
        try:
            return await self._runner.resume(place_order, order_id)
        except EffectsUnknownError:
            receipt = await self._payments.find(order_id)
            asked = Decision.of(charge)
            decision = asked.repeat() if receipt is None else asked.gave(receipt)
            return await self._runner.resume(place_order, order_id, decisions=[decision])

    async def status(self, order_id: UUID) -> str | None:
        """``running``, ``completed``, ``failed`` or ``cancelled``; None where there is no such order."""
        record = await self._store.get_run(order_id)
        return None if record is None else record.status

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[OrderDesk]:
        """The desk, which goes on with what other processes left as long as it is open."""
        closing = asyncio.Event()
        async with self._runner, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._going_on(closing))
            try:
                yield self
            finally:
                closing.set()

    async def _going_on(self, closing: asyncio.Event) -> None:
        while not closing.is_set():
            try:
                async for order_id in self._left():
                    if closing.is_set():
                        return
                    await self._try_on(order_id)
            except RunStoreError:  # it may be back when this looks again
                _LOG.exception("Orders that were left cannot be listed.")
            with suppress(TimeoutError):
                await asyncio.wait_for(closing.wait(), self._lease_seconds)

    async def _left(self) -> AsyncIterator[UUID]:
        after: str | None = None
        while True:
            page = await self._store.runs(status="running", pipeline=place_order.name, after=after)
            for record in page.runs:
                yield record.run_id
            after = page.next
            if after is None:
                return

    async def _try_on(self, order_id: UUID) -> None:
        try:
            outcome = await self.go_on(order_id)
        except LeaseHeldError:
            return  # a process has it, perhaps this one
        except Exception:  # noqa: BLE001  (one order that cannot be gone on with keeps no other from it)
            _LOG.exception("Order %s cannot be gone on with.", order_id)
        else:
            _LOG.info("Order %s was left, and came to %s.", order_id, type(outcome).__name__)
