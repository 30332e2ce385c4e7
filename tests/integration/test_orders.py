"""The example `examples.orders`: uvicorn as a process, real HTTP, ``kill -9`` in the middle of an order, a restart."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.integration.bank import Bank, open_bank

httpx = pytest.importorskip("httpx", reason="the dev extra has what the example needs")
pytest.importorskip("fastapi", reason="the dev extra has what the example needs")
pytest.importorskip("uvicorn", reason="the dev extra has what the example needs")

ROOT = Path(__file__).parents[2]
RECEIVER = Path(__file__).with_name("otlp_receiver.py")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
TEA = {"customer": "ada", "lines": [{"article": "teapot", "quantity": 1}, {"article": "cup", "quantity": 6}]}
COSTS = 2_495 + 6 * 650


class Service:
    """The service in a process of its own.

    Attributes:
        process: that process.
        client: what talks with it.
    """

    def __init__(self, database: str, bank: Bank, **environment: str) -> None:
        settings = {"ORDERS_DATABASE": database, "ORDERS_BANK": bank.url, "ORDERS_LEASE_SECONDS": "0.5"}
        # Port 0, and what uvicorn says of it: nobody can take the port in between.
        command = [sys.executable, "-m", "uvicorn", "--factory", "examples.orders.api:service", "--port", "0"]
        self._lines: list[str] = []
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **settings, **environment},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self.client = httpx.Client(base_url=self._url(), timeout=60)
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _url(self) -> str:
        assert self.process.stderr is not None
        while line := self.process.stderr.readline():
            self._lines.append(line)
            if found := re.search(r"running on (http://\S+)", line):
                return found[1]
        raise AssertionError("".join(self._lines))

    def _read(self) -> None:
        assert self.process.stderr is not None
        self._lines += self.process.stderr

    def end(self, how: signal.Signals = signal.SIGTERM) -> str:
        """Ends it, and gives what it logged."""
        self.process.send_signal(how)
        self._reading.join(timeout=60)
        self.process.wait(timeout=60)
        assert self.process.stderr is not None
        self.process.stderr.close()
        self.client.close()
        return "".join(self._lines)

    def put(self, order_id: UUID, order: object = TEA, **headers: str) -> httpx.Response:
        return self.client.put(f"/orders/{order_id}", json=order, headers=headers)

    def status(self, order_id: UUID) -> str:
        found: str = self.client.get(f"/orders/{order_id}").json()["status"]
        return found

    def finished(self, order_id: UUID) -> str:
        """How an order ended that the service goes on with by itself."""
        until = time.monotonic() + 60
        while (status := self.status(order_id)) == "running" and time.monotonic() < until:
            time.sleep(0.05)  # the lease of a process that was killed runs out by itself
        return status


@contextmanager
def running(database: object, bank: Bank, **environment: str) -> Iterator[Service]:
    service = Service(str(database), bank, **environment)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.end()


@contextmanager
def receiver() -> Iterator[subprocess.Popen[str]]:
    """Somebody who collects traces."""
    started = subprocess.Popen(
        [sys.executable, str(RECEIVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def spans_of(collecting: subprocess.Popen[str]) -> list[dict[str, str]]:
    """All that it was sent."""
    told, _ = collecting.communicate(timeout=60)
    sent = [json.loads(line) for line in told.splitlines()]
    return [
        span
        for request in sent
        for resource in request["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


@pytest.fixture
def bank() -> Iterator[Bank]:
    with open_bank() as opened:
        yield opened


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that nobody kills."""
    with open_bank() as bank, running(tmp_path_factory.mktemp("orders") / "orders.db", bank) as service:
        yield service


def killed_as_it_charges(database: object, bank: Bank, order_id: UUID, **headers: str) -> str:
    """Places an order, and kills the service when the bank has charged and not answered; gives what it logged."""
    bank.answers.clear()
    with running(database, bank) as service:

        def put() -> None:
            with pytest.raises(httpx.TransportError):
                service.put(order_id, **headers)

        customer = threading.Thread(target=put)
        customer.start()
        assert bank.charged.wait(60)
        logged = service.end(signal.SIGKILL)
        customer.join(60)
    bank.answers.set()
    return logged


def check_finished_and_charged_once(database: object, bank: Bank) -> None:
    order_id = uuid4()
    killed_as_it_charges(database, bank, order_id)
    with running(database, bank) as again:
        assert again.finished(order_id) == "completed"
        answer = again.put(order_id)
        logged = again.end()
    assert (answer.status_code, answer.json()["cents"], answer.json()["receipt"]) == (200, COSTS, "charge-1")
    assert [charge["order"] for charge in bank.charges.values()] == [str(order_id)]
    assert len(bank.sent) == 1  # the bank was asked what had become of it, and the charge not sent again
    assert bank.asked == [str(order_id)]
    assert f"Order {order_id} was left, and came to Completed." in logged


def test_an_order_is_confirmed_and_stays_so_when_it_is_sent_again(desk) -> None:
    order_id = uuid4()
    first, second = desk.put(order_id), desk.put(order_id)
    assert first.status_code == 200, first.text
    assert first.json() == second.json()
    assert (first.json()["order_id"], first.json()["cents"]) == (str(order_id), COSTS)
    assert desk.status(order_id) == "completed"


@pytest.mark.parametrize(
    ("lines", "status", "title"),
    [
        ([], 422, "InvalidOrderError"),
        ([{"article": "cup", "quantity": 0}], 422, "InvalidOrderError"),
        ([{"article": "sofa", "quantity": 1}], 404, "UnknownArticleError"),
        ([{"article": "samovar", "quantity": 3}], 409, "OutOfStockError"),
        ([{"article": "samovar", "quantity": 2}], 402, "PaymentDeclinedError"),
    ],
)
def test_each_error_has_a_status_of_its_own(desk, lines, status, title) -> None:
    answer = desk.put(uuid4(), {"customer": "ada", "lines": lines})
    assert (answer.status_code, answer.json()["title"], answer.json()["status"]) == (status, title, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_an_order_that_nobody_placed_is_not_found(desk) -> None:
    answer = desk.client.get(f"/orders/{uuid4()}")
    assert (answer.status_code, answer.json()["title"]) == (404, "UnknownOrder")


def test_a_body_that_is_no_order_is_refused_before_it_is_placed(desk) -> None:
    order_id = uuid4()
    assert desk.put(order_id, {"customer": "ada", "lines": [{"article": "cup"}]}).status_code == 422
    assert desk.client.get(f"/orders/{order_id}").status_code == 404


def test_a_request_gets_its_id_back_or_one_of_its_own(desk) -> None:
    given = str(uuid4())
    assert desk.put(uuid4(), **{"X-Request-ID": given}).headers["X-Request-ID"] == given
    assert UUID(desk.put(uuid4(), **{"X-Request-ID": "no id"}).headers["X-Request-ID"])


def test_an_order_that_was_charged_as_the_process_was_killed_completes_and_is_charged_once(tmp_path, bank) -> None:
    check_finished_and_charged_once(tmp_path / "orders.db", bank)


@pytest.mark.postgres
def test_it_is_charged_once_with_postgresql_as_well(postgres, bank) -> None:
    check_finished_and_charged_once(postgres.dsn, bank)


def test_an_order_that_the_bank_never_heard_of_is_charged_after_the_restart(tmp_path, bank) -> None:
    order_id = uuid4()
    killed_as_it_charges(tmp_path / "orders.db", bank, order_id)
    ((key, _),) = bank.charges.items()
    bank.charges.clear()  # the charge got lost on its way
    with running(tmp_path / "orders.db", bank) as again:
        assert again.finished(order_id) == "completed"
    assert list(bank.charges) == [key]
    assert bank.sent == [key, key]


def test_an_order_that_another_process_has_is_under_way(tmp_path, bank) -> None:
    order_id, database = uuid4(), tmp_path / "orders.db"
    bank.answers.clear()
    with running(database, bank) as first, running(database, bank) as second:
        answers: list[httpx.Response] = []
        customer = threading.Thread(target=lambda: answers.append(first.put(order_id)))
        customer.start()
        assert bank.charged.wait(60)
        refused = second.put(order_id)
        bank.answers.set()
        customer.join(60)
    assert (refused.status_code, refused.json()["title"], refused.headers["Retry-After"]) == (409, "OrderUnderWay", "1")
    assert [answer.status_code for answer in answers] == [200]
    assert len(bank.charges) == 1


def test_both_processes_of_a_killed_order_are_in_the_trace_of_its_request(tmp_path, bank) -> None:
    order_id, request_id, database = uuid4(), str(uuid4()), tmp_path / "orders.db"
    killed_as_it_charges(database, bank, order_id, traceparent=TRACEPARENT, **{"X-Request-ID": request_id})
    with receiver() as collecting:
        assert collecting.stdout is not None
        endpoint = f"http://127.0.0.1:{int(collecting.stdout.readline())}"
        with running(database, bank, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as again:
            assert again.finished(order_id) == "completed"
            logged = again.end()
        spans = spans_of(collecting)
    of_order = [span for span in spans if span["name"].startswith("place_order")]
    names = {span["name"] for span in of_order}
    assert {"place_order", "place_order.confirm"} <= names
    assert "place_order.reserve" not in names  # the process that was killed has done that
    assert {span["traceId"] for span in of_order} == {b64(TRACE)}
    assert f"request={request_id} trace={TRACE}" in logged


def test_the_span_of_an_order_is_a_child_of_its_requests(tmp_path, bank) -> None:
    with receiver() as collecting:
        assert collecting.stdout is not None
        endpoint = f"http://127.0.0.1:{int(collecting.stdout.readline())}"
        with running(tmp_path / "orders.db", bank, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as service:
            assert service.put(uuid4(), traceparent=TRACEPARENT).status_code == 200
            service.end()
        told = spans_of(collecting)
    spans, parents = {span["name"]: span for span in told}, {span["spanId"]: span for span in told}
    request, order = spans["PUT /orders/{order_id}"], spans["place_order"]
    assert (request["parentSpanId"], request["traceId"]) == (b64("00f067aa0ba902b7"), b64(TRACE))
    above = order
    while above["name"].startswith(("place_order", "fastapi.")):  # FastAPI has a span of the endpoint in between
        above = parents[above["parentSpanId"]]
    assert above == request
    stages = {f"place_order.{stage}" for stage in ("check", "reserve", "price", "charge", "confirm")}
    assert stages <= set(spans)
    assert {spans[name]["parentSpanId"] for name in stages} == {order["spanId"]}


def b64(digits: str) -> str:
    """Hexadecimal digits as OTLP's JSON has bytes."""
    import base64

    return base64.b64encode(bytes.fromhex(digits)).decode()
