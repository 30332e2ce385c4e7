"""A warehouse and a bank in memory: to try the service out, and for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final
from uuid import UUID

from returns.result import Failure, Result, Success

from examples.orders.errors import OutOfStockError, PaymentDeclinedError, StockError, UnknownArticleError
from examples.orders.words import Line, Receipt, Reservation


@dataclass(frozen=True, slots=True)
class Article:
    """An article of the warehouse: its price, and how many there are at first."""

    cents: int
    pieces: int


ARTICLES: Mapping[str, Article] = {
    "teapot": Article(2_495, 40),
    "cup": Article(650, 400),
    "samovar": Article(89_000, 2),
}


@final
class MemoryStock:
    """A warehouse that forgets with its process."""

    def __init__(self, articles: Mapping[str, Article] = ARTICLES) -> None:
        self._articles = dict(articles)
        self._left = {name: article.pieces for name, article in articles.items()}
        self._kept: dict[UUID, Reservation] = {}

    async def price(self, lines: Sequence[Line], /) -> Result[int, UnknownArticleError]:
        """What the lines cost, in cents."""
        for line in lines:
            if line.article not in self._articles:
                return Failure(_unknown(line.article))
        return Success(sum(self._articles[line.article].cents * line.quantity for line in lines))

    async def reserve(self, order_id: UUID, lines: Sequence[Line], /) -> Result[Reservation, StockError]:
        """Keeps the articles for an order: all or none."""
        if order_id in self._kept:
            return Success(self._kept[order_id])
        left = dict(self._left)
        for line in lines:
            if line.article not in left:
                return Failure(_unknown(line.article))
            if left[line.article] < line.quantity:
                return Failure(_out_of(line, left[line.article]))
            left[line.article] -= line.quantity
        self._left = left
        self._kept[order_id] = Reservation(f"shelf-{len(self._kept) + 1}")
        return Success(self._kept[order_id])

    async def ship(self, order_id: UUID, /) -> None:
        """Takes what was kept off the shelf."""
        self._kept.pop(order_id, None)


@final
class MemoryPayments:
    """A bank that forgets with its process, and charges no more than so much at once."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._charged: dict[str, tuple[UUID, Receipt]] = {}

    async def charge(self, order_id: UUID, cents: int, *, key: str) -> Result[Receipt, PaymentDeclinedError]:
        """Charges an order once per key."""
        if key in self._charged:
            return Success(self._charged[key][1])
        if cents > self._most:
            return Failure(PaymentDeclinedError(f"{cents / 100:.2f} is more than may be charged at once"))
        receipt = Receipt(f"charge-{len(self._charged) + 1}", cents)
        self._charged[key] = (order_id, receipt)
        return Success(receipt)

    async def find(self, order_id: UUID, /) -> Receipt | None:
        """The charge of an order, if there was one."""
        return next((receipt for charged, receipt in self._charged.values() if charged == order_id), None)


def _unknown(article: str) -> UnknownArticleError:
    return UnknownArticleError(f'There is no article "{article}".', article=article)


def _out_of(line: Line, left: int) -> OutOfStockError:
    return OutOfStockError(
        f'Of "{line.article}" there are {left} left, not {line.quantity}.', article=line.article, left=left
    )
