"""What can become of an order but success. `api.status_of` says what each is in HTTP, and forgets none."""

from __future__ import annotations

from typing import TypeAlias

from stageflow import StageError, StageTimeoutError


class InvalidOrderError(StageError):
    """The order says nothing that can be done."""


class UnknownArticleError(StageError):
    """There is no such article."""

    article: str


class OutOfStockError(StageError):
    """There is not enough of an article."""

    article: str
    left: int


class PaymentDeclinedError(StageError):
    """The bank does not charge this customer; nothing was charged."""


StockError: TypeAlias = UnknownArticleError | OutOfStockError
OrderError: TypeAlias = InvalidOrderError | StockError | PaymentDeclinedError | StageTimeoutError
