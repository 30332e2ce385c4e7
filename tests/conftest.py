"""What tests of every kind share: golden texts, a clock that tests control, a sink that remembers."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stageflow import PipelineTimer
from tests.drawn import INSTALL as DIAGRAMS
from tests.drawn import DotGraph, MermaidParser, read_dot
from tests.services import INSTALL, PostgresServer

GOLDEN = Path(__file__).parent / "golden"


def pytest_sessionstart() -> None:
    """Hears Ctrl-C, which a shell has whatever it runs in the background ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with a golden file, whose name is relative to ``tests/golden``, without its suffix."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        assert path.exists(), f"{path} is not there: run pytest --update-golden, and read what it writes."
        assert text + "\n" == path.read_text(encoding="utf-8")

    return check


class Clock:
    """Seconds on a monotonic clock, which move only when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def timer(self) -> PipelineTimer:
        """A run's timer on this clock, started on the first of January 2026."""
        return PipelineTimer(clock=self, wall=lambda: datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until the test advances it."""
    return Clock()


class Told:
    """A sink that keeps what it was told, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, object]]] = []

    @property
    def types(self) -> list[str]:
        return [type for type, _ in self.events]

    def data(self, type: str) -> Mapping[str, object]:
        """The data of the one event of this type."""
        (found,) = [data for told, data in self.events if told == type]
        return found

    def try_emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.events.append((type, data or {}))

    async def emit(self, *, type: str, data: Mapping[str, object] | None) -> None:
        self.try_emit(type=type, data=data)


@pytest.fixture
def told() -> Told:
    """A sink that keeps every event."""
    return Told()


def _missing(what: str, install: str = INSTALL) -> None:
    """Leaves a test out, or fails it where .ci/run says that everything has to be there."""
    if os.environ.get("STAGEFLOW_REQUIRE_SERVICES"):
        pytest.fail(f"{what} is not on this machine. {install}")
    pytest.skip(f"{what} is not on this machine. {install}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of these tests' own, running; a test that crashes it starts it again."""
    server = PostgresServer.installed()
    if server is None:
        _missing("PostgreSQL")
        return
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def mermaid() -> Iterator[MermaidParser]:
    """Mermaid's own parser."""
    parser = MermaidParser.installed()
    if parser is None:
        _missing("Mermaid's parser", DIAGRAMS)
        return
    with parser:
        yield parser


@pytest.fixture(scope="session")
def graphviz() -> Callable[[str], DotGraph]:
    """What Graphviz makes of DOT text."""
    if shutil.which("dot") is None:
        _missing("Graphviz", DIAGRAMS)
    return read_dot


# What the library does not do yet, each with its reason; strict, so that who mends one has to take it off the list.
KNOWN_GAPS = {
    "test_the_core_is_within_its_budget": "the core has more than twice the lines that the design allows",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        reason = next((why for part, why in KNOWN_GAPS.items() if part in item.nodeid), None)
        if reason is not None:
            strict = "pickle" not in reason  # how deep it recurses differs between versions of Python
            item.add_marker(pytest.mark.xfail(reason=reason, strict=strict))
