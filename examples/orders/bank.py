"""The bank, over HTTP: the adapter that a deployment uses in place of `memory.MemoryPayments`."""

from __future__ import annotations

from http import HTTPStatus
from typing import final
from uuid import UUID

import httpx
import msgspec
from returns.result import Failure, Result, Success

from examples.orders.errors import PaymentDeclinedError
from examples.orders.words import Receipt


@final
class BankPayments:
    """Charges by ``POST /charges`` with an ``Idempotency-Key``, and finds by ``GET /charges/{order}``.

    What the bank says is a value. A bank that cannot be reached is not an answer: it raises, as a defect of the stage.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def charge(self, order_id: UUID, cents: int, *, key: str) -> Result[Receipt, PaymentDeclinedError]:
        """Charges an order once per key."""
        wanted = {"order": str(order_id), "cents": cents}
        answer = await self._client.post("/charges", json=wanted, headers={"Idempotency-Key": key})
        if answer.status_code == HTTPStatus.PAYMENT_REQUIRED:
            return Failure(PaymentDeclinedError(answer.text))
        return Success(_receipt(answer))

    async def find(self, order_id: UUID, /) -> Receipt | None:
        """The charge of an order, if there was one."""
        answer = await self._client.get(f"/charges/{order_id}")
        return None if answer.status_code == HTTPStatus.NOT_FOUND else _receipt(answer)

    async def aclose(self) -> None:
        """Closes its connections."""
        await self._client.aclose()


def _receipt(answer: httpx.Response) -> Receipt:
    return msgspec.json.decode(answer.raise_for_status().content, type=Receipt)
