"""The desk over HTTP: ``PUT /orders/{id}`` may be sent again as often as one likes, and ``GET`` says how it stands."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import final
from uuid import UUID

import msgspec
from fastapi import FastAPI, Request, Response

from examples.orders.correlation import REQUEST_ID, correlation_of
from examples.orders.desk import OrderDesk, OrderOutcome
from examples.orders.errors import (
    InvalidOrderError,
    OrderError,
    OutOfStockError,
    PaymentDeclinedError,
    UnknownArticleError,
)
from examples.orders.settings import Settings
from examples.orders.telemetry import log_orders, tracing
from examples.orders.words import Confirmation, Order
from stageflow import (
    Cancelled,
    Completed,
    Failed,
    RunStoreError,
    Skipped,
    StageExecutionError,
    StageTimeoutError,
)
from stageflow.errors import LeaseHeldError


def status_of(error: OrderError | StageExecutionError) -> HTTPStatus:
    """What an error is in HTTP. An error that the pipeline learns is a type error here until it is answered."""
    match error:
        case InvalidOrderError():
            return HTTPStatus.UNPROCESSABLE_ENTITY
        case UnknownArticleError():
            return HTTPStatus.NOT_FOUND
        case OutOfStockError():
            return HTTPStatus.CONFLICT
        case PaymentDeclinedError():
            return HTTPStatus.PAYMENT_REQUIRED
        case StageTimeoutError():
            return HTTPStatus.GATEWAY_TIMEOUT
        case StageExecutionError():
            return HTTPStatus.INTERNAL_SERVER_ERROR


def answer(outcome: OrderOutcome) -> Response:
    """What an order came to, as a response."""
    match outcome:
        case Completed(confirmation):
            return _json(HTTPStatus.OK, confirmation)
        case Failed(error):
            return _problem(status_of(error), type(error).__name__, str(error))
        case Skipped(reason) | Cancelled(reason):
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, type(outcome).__name__, reason)


@final
class OrderApi:
    """The requests that the service takes."""

    def __init__(self, desk: OrderDesk) -> None:
        self._desk = desk

    async def put(self, order_id: UUID, order: Order, request: Request) -> Response:
        """Places an order, or goes on with it."""
        correlation = correlation_of(request.headers)
        response = answer(await self._desk.place(order_id, order, correlation))
        response.headers[REQUEST_ID] = str(correlation.request_id)
        return response

    async def get(self, order_id: UUID) -> Response:
        """How an order stands."""
        status = await self._desk.status(order_id)
        if status is None:
            return _problem(HTTPStatus.NOT_FOUND, "UnknownOrder", f"There is no order {order_id}.")
        return _json(HTTPStatus.OK, OrderStatus(order_id, status))


@dataclass(frozen=True, slots=True)
class OrderStatus:
    """How an order stands."""

    order_id: UUID
    status: str


def application(desk: OrderDesk) -> FastAPI:
    """The service around a desk, which is open as long as the service runs."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        with tracing():  # FastAPI makes a span of each request, below its caller's; an order's span is below that
            async with desk.opened():
                yield

    api, app = OrderApi(desk), FastAPI(title="Orders", lifespan=lifespan)
    app.add_api_route("/orders/{order_id}", api.put, methods=["PUT"], response_model=Confirmation)
    app.add_api_route("/orders/{order_id}", api.get, methods=["GET"], response_model=OrderStatus)
    app.add_exception_handler(LeaseHeldError, _under_way)
    app.add_exception_handler(RunStoreError, _away)
    return app


def service() -> FastAPI:
    """The service as the environment has it: ``uvicorn --factory examples.orders.api:service``."""
    log_orders()
    return application(Settings.of(os.environ).desk())


async def _under_way(_: Request, error: Exception) -> Response:
    response = _problem(HTTPStatus.CONFLICT, "OrderUnderWay", str(error))
    response.headers["Retry-After"] = "1"
    return response


async def _away(_: Request, error: Exception) -> Response:
    return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "StoreAway", str(error))


def _problem(status: HTTPStatus, title: str, detail: str) -> Response:
    problem = {"title": title, "status": int(status), "detail": detail}
    return Response(msgspec.json.encode(problem), status, media_type="application/problem+json")


def _json(status: HTTPStatus, content: object) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
