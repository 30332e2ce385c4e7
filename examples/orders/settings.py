"""What the environment says of a deployment, and what is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from examples.orders.bank import BankPayments
from examples.orders.desk import OrderDesk, OrderStore
from examples.orders.memory import MemoryPayments, MemoryStock
from examples.orders.ports import Payments
from stageflow.stores import PostgresRunStore, SqliteRunStore


@dataclass(frozen=True, slots=True)
class Settings:
    """How the service is deployed.

    Attributes:
        database: a PostgreSQL server as ``postgresql://...``, or else the path of a SQLite file.
        bank: the bank's URL; where there is none, a bank in memory.
        lease_seconds: how long an order of a killed process waits until another goes on with it.
    """

    database: str
    bank: str | None
    lease_seconds: float

    @staticmethod
    def of(environment: Mapping[str, str]) -> Settings:
        """The settings in the variables ``ORDERS_DATABASE``, ``ORDERS_BANK`` and ``ORDERS_LEASE_SECONDS``."""
        return Settings(
            environment.get("ORDERS_DATABASE", "orders.db"),
            environment.get("ORDERS_BANK"),
            float(environment.get("ORDERS_LEASE_SECONDS", "30")),
        )

    def store(self) -> OrderStore:
        """Where orders are kept."""
        server = self.database.startswith(("postgresql://", "postgres://"))
        return PostgresRunStore(self.database) if server else SqliteRunStore(self.database)

    def payments(self) -> Payments:
        """The bank."""
        return MemoryPayments() if self.bank is None else BankPayments(httpx.AsyncClient(base_url=self.bank))

    def desk(self) -> OrderDesk:
        """The order desk."""
        return OrderDesk(self.store(), MemoryStock(), self.payments(), lease_seconds=self.lease_seconds)
