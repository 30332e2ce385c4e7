"""Errors as data: they come back as their declared type, equal, with their notes and what caused them as text."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stageflow import (
    CircuitOpenError,
    CodecError,
    Failed,
    MissingPortError,
    PortKey,
    StageError,
    StageExecutionError,
    StageTimeoutError,
    UndeclaredDependencyError,
    WorkerLostError,
    lift,
    stage,
)
from stageflow.codec import Codec, OriginalError, TypeHook

ROOT = Path(__file__).parents[2]
T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    line: int


@dataclass(frozen=True)
class Range:
    first: int


class HttpError(StageError):
    url: str
    status: int = 500


class PlacedError(HttpError):
    at: Place | Range | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


class ChainError(StageError):
    inner: StageError | None = None
    others: tuple[StageError, ...] = ()


class OwnTextError(StageError):
    code: int

    def __str__(self) -> str:
        return f"code {self.code}"


class OwnMakingError(StageError):
    code: int

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = len(text)


class BoxedError(StageError, Generic[T]):
    what: T


class HandleError(StageError):
    handle: object


class Outer:
    class InnerError(StageError):
        """Named inside another class."""


class Cloud:
    """What the codec does not know."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cloud) and self.size == other.size

    def __hash__(self) -> int:
        return self.size


class CloudError(StageError):
    cloud: Cloud


ERRORS = [
    StageError(),
    StageError("no such page"),
    StageError("later", retryable=True),
    StageExecutionError("escaped", stage="fetch"),
    MissingPortError("no port", stage="fetch"),
    UndeclaredDependencyError("not an ancestor", stage="fetch"),
    CodecError("no codec", stage="fetch"),
    WorkerLostError("gone", stage="fetch", retryable=True),
    StageTimeoutError("slow", seconds=1.5),
    StageTimeoutError("never", seconds=math.inf),
    CircuitOpenError("open", retry_after=2.0),
    HttpError("no", url="a", status=404),
    PlacedError("no", url="a", at=Place(3), headers={"x": "y"}),
    PlacedError("no", url="a", at=Range(3), headers=MappingProxyType({"x": "y"})),
    ChainError(inner=HttpError("no", url="a"), others=(ChainError(inner=StageError("deep")), StageTimeoutError())),
    OwnTextError(code=3),
    OwnMakingError("text"),
    BoxedError(what=[1, {"a": None}]),
    HandleError(handle={"a": 1}),
    Outer.InnerError("x"),
]


def crossed(error: StageError) -> StageError:
    """The error as another process has it."""
    return Codec().decode_failure(Codec().encode_failure(error).unwrap()).unwrap()


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_error_comes_back_as_its_own_type_and_equal(error: StageError) -> None:
    came = crossed(error)
    assert type(came) is type(error)
    assert came == error
    assert (str(came), repr(came), came.args) == (str(error), repr(error), error.args)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_error_that_came_back_is_immutable_and_can_be_raised(error: StageError) -> None:
    came = crossed(error)
    with pytest.raises(dataclasses.FrozenInstanceError):
        came.message = "other"
    with pytest.raises(type(error)):
        raise came


def test_an_error_is_json_that_names_its_class() -> None:
    data = Codec().encode_failure(HttpError("no", url="a")).unwrap()
    assert json.loads(data)["$plan"] == {
        "error": f"{__name__}:HttpError",
        "fields": {"message": "no", "retryable": False, "url": "a", "status": 500},
    }


@given(st.text(), st.booleans(), st.text(), st.integers(), st.lists(st.text()))
def test_any_fields_and_notes_come_back(message: str, retryable: bool, url: str, status: int, notes: list[str]) -> None:
    error = HttpError(message, retryable=retryable, url=url, status=status)
    for note in notes:
        error.add_note(note)
    came = crossed(error)
    assert came == error
    assert getattr(came, "__notes__", []) == notes


async def test_a_defect_keeps_its_stage_and_what_caused_it_as_text() -> None:
    @lift
    def divide(number: int) -> float:
        return 1 / number

    outcome = await divide.run(0)
    assert isinstance(outcome, Failed)
    came = crossed(outcome.error)
    assert came == outcome.error
    assert isinstance(came, StageExecutionError)
    assert came.stage == "divide"
    cause = came.__cause__
    assert isinstance(cause, OriginalError)
    assert (cause.type, cause.text) == ("ZeroDivisionError", "division by zero")
    assert "return 1 / number" in cause.traceback
    assert cause.traceback.endswith("ZeroDivisionError: division by zero")


async def test_what_python_prints_of_a_defect_that_came_back_has_the_remote_traceback() -> None:
    outcome = await lift(int).run("x")
    assert isinstance(outcome, Failed)
    printed = "".join(traceback.format_exception(crossed(outcome.error)))
    assert "invalid literal for int() with base 10: 'x'" in printed
    assert "Traceback" in printed.split("OriginalError: ValueError")[1]


def test_what_caused_an_error_stays_through_several_crossings() -> None:
    error = StageExecutionError("escaped", stage="fetch")
    error.__cause__ = ValueError("bad")
    once = crossed(error)
    twice = crossed(once)
    assert twice.__cause__ == once.__cause__ == OriginalError("ValueError", "bad", "ValueError: bad")
    assert hash(twice.__cause__) == hash(once.__cause__)


async def test_a_defect_without_a_cause_keeps_where_it_was_raised() -> None:
    @stage
    async def asks(inputs):
        return inputs.ports[PortKey("clock")]

    outcome = await asks.run(1)
    assert isinstance(outcome, Failed)
    came = crossed(outcome.error)
    assert isinstance(came, MissingPortError)
    assert isinstance(came.__cause__, OriginalError)
    assert 'inputs.ports[PortKey("clock")]' in came.__cause__.traceback


def test_an_exception_group_keeps_its_members_as_text() -> None:
    error = StageExecutionError("escaped", stage="fetch")
    error.__cause__ = ExceptionGroup("two", [ValueError("one"), KeyError("other")])
    cause = crossed(error).__cause__
    assert isinstance(cause, OriginalError)
    assert cause.type == "ExceptionGroup"
    assert "ValueError: one" in cause.traceback
    assert "KeyError: 'other'" in cause.traceback


def test_a_cause_whose_text_raises_does_not_hide_the_error() -> None:
    class SilentError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    error = StageExecutionError("escaped")
    error.__cause__ = SilentError()
    assert crossed(error) == error


def test_hooks_apply_to_the_fields_of_errors() -> None:
    error = CloudError("no", cloud=Cloud(3))
    assert "does not know the type Cloud" in str(Codec().encode_failure(error).failure())
    codec = Codec(hooks=(TypeHook(Cloud, encode=lambda cloud: cloud.size, decode=lambda size: Cloud(int(str(size)))),))
    assert codec.decode_failure(codec.encode_failure(error).unwrap()).unwrap() == error


def test_a_declared_error_does_not_come_back_as_another() -> None:
    data = Codec().encode_failure(HttpError("no", url="a")).unwrap()
    assert Codec().decode(data, HttpError).unwrap() == HttpError("no", url="a")
    assert "which is no StageTimeoutError" in str(Codec().decode(data, StageTimeoutError).failure())


def test_a_field_that_an_earlier_version_of_an_error_did_not_have_comes_back_as_its_default() -> None:
    data = json.dumps({"error": f"{__name__}:PlacedError", "fields": {"message": "no", "url": "a"}}).encode()
    assert Codec().decode_failure(data).unwrap() == PlacedError("no", url="a")


SCRIPT = """
import sys
from stageflow import StageError
from stageflow.codec import Codec
class ScriptError(StageError):
    line: int
print(Codec().encode_failure(ScriptError("x", line=3)).unwrap().decode())
"""


def test_an_error_crosses_to_a_process_that_has_not_imported_its_class() -> None:
    data = Codec().encode_failure(PlacedError("no", url="a", at=Place(3))).unwrap()
    ask = "import sys; from stageflow.codec import Codec; given = sys.argv[1].encode(); "
    printed = python(ask + "print([Codec().decode_failure(given).unwrap()])", data.decode())
    assert "PlacedError(message='no', retryable=False, url='a', status=500, at=Place(line=3), headers={})" in printed


def test_the_error_of_another_processs_script_is_refused_with_the_fix() -> None:
    text = str(Codec().decode_failure(python(SCRIPT).encode()).failure())
    assert "the class __main__:ScriptError is not there" in text
    assert "in a module that is imported by its name, and not in the script that is run" in text


def python(script: str, *given: str) -> str:
    """What a Python of its own prints."""
    return subprocess.run(
        [sys.executable, "-c", script, *given],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ).stdout.strip()


@pytest.mark.parametrize(
    "place",
    ["nowhere:Error", "json:JSONDecodeError", "os:system", "builtins:ValueError", ":", "x", "stageflow:Nothing"],
)
def test_a_class_that_is_none_of_errors_is_refused(place: str) -> None:
    data = json.dumps({"error": place, "fields": {}}).encode()
    assert "$ " in str(Codec().decode_failure(data).failure())


@pytest.mark.parametrize("data", [b"", b"{", b"null", b"[]", b"{}", b'{"error":3,"fields":{}}', b'{"error":"x"}'])
def test_data_that_is_no_error_is_refused(data: bytes) -> None:
    assert isinstance(Codec().decode_failure(data).failure(), CodecError)
