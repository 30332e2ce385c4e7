"""A bank over real HTTP, in a thread of the test: it charges once per key, and may keep its answer to itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Bank(ThreadingHTTPServer):
    """A bank.

    Attributes:
        charges: by idempotency key, the orders that were charged, and how often each key was sent.
        asked: the orders that somebody looked for.
        answers: whether it answers; where it is cleared, who charges waits.
        charged: set once something is charged.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Counter)
        self.charges: dict[str, dict[str, object]] = {}
        self.sent: list[str] = []
        self.asked: list[str] = []
        self.answers = threading.Event()
        self.answers.set()
        self.charged = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Counter(BaseHTTPRequestHandler):
    server: Bank

    def do_POST(self) -> None:
        key, bank = self.headers["Idempotency-Key"], self.server
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        bank.sent.append(key)
        if wanted["cents"] > 100_000:
            return self._answer(402, b"too much")
        receipt = {"number": f"charge-{len(bank.charges) + 1}", "cents": wanted["cents"], "order": wanted["order"]}
        receipt = bank.charges.setdefault(key, receipt)
        bank.charged.set()
        bank.answers.wait()
        return self._answer(200, json.dumps(receipt).encode())

    def do_GET(self) -> None:
        order = self.path.rpartition("/")[2]
        self.server.asked.append(order)
        found = [receipt for receipt in self.server.charges.values() if receipt["order"] == order]
        self._answer(200, json.dumps(found[0]).encode()) if found else self._answer(404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:  # who asked is dead by now
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: what it did is in its attributes."""


@contextmanager
def open_bank() -> Iterator[Bank]:
    """A bank, open inside the block."""
    with Bank() as bank:
        serving = threading.Thread(target=bank.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield bank
        finally:
            bank.answers.set()
            bank.shutdown()
            serving.join()
