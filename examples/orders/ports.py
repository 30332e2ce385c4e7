"""What the order pipeline asks of the outside, as protocols, and the keys by which a host provides them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from returns.result import Result

from examples.orders.errors import PaymentDeclinedError, StockError, UnknownArticleError
from examples.orders.words import Line, Receipt, Reservation
from stageflow import PortKey


class Stock(Protocol):
    """The warehouse. All that it does for an order it does once, however often it is asked."""

    async def price(self, lines: Sequence[Line], /) -> Result[int, UnknownArticleError]:
        """What the lines cost, in cents."""
        ...

    async def reserve(self, order_id: UUID, lines: Sequence[Line], /) -> Result[Reservation, StockError]:
        """Keeps the articles for an order, for a while."""
        ...

    async def ship(self, order_id: UUID, /) -> None:
        """Sends what was kept for an order."""


class Payments(Protocol):
    """The bank."""

    async def charge(self, order_id: UUID, cents: int, *, key: str) -> Result[Receipt, PaymentDeclinedError]:
        """Charges an order; asked again with the same key, it gives the same receipt and charges nothing."""
        ...

    async def find(self, order_id: UUID, /) -> Receipt | None:
        """The charge of an order, if there was one."""
        ...


STOCK: PortKey[Stock] = PortKey("stock")
PAYMENTS: PortKey[Payments] = PortKey("payments")
