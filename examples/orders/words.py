"""What an order speaks of. Money is in cents, so that nothing is lost in a float."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Line:
    """So many of an article."""

    article: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer wants."""

    customer: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Reservation:
    """Stock that is kept for an order; it lapses where the order is not finished.

    Attributes:
        number: the warehouse's own number of it.
    """

    number: str


@dataclass(frozen=True, slots=True)
class Bill:
    """An order that can be charged: its stock is kept, and what it costs is known."""

    reservation: Reservation
    cents: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """A charge that the bank made."""

    number: str
    cents: int


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What the customer is told: the order is paid and on its way."""

    order_id: UUID
    customer: str
    reservation: str
    receipt: str
    cents: int
