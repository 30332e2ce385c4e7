"""Errors as values: equality, immutability, pickling, and being raised all the same."""

from __future__ import annotations

import copy
import pickle
import traceback
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, field

import pytest

from stageflow import (
    CircuitOpenError,
    CodecError,
    MissingPortError,
    PipelineValidationError,
    RunStoreError,
    StageError,
    StageExecutionError,
    StageTimeoutError,
    UndeclaredDependencyError,
    UnifiedPipelineCancelled,
    WorkerLostError,
)
from stageflow.graph.errors import defect, no_result

DEFECTS = [StageExecutionError, MissingPortError, UndeclaredDependencyError, CodecError, WorkerLostError]


class HttpError(StageError):
    url: str
    status: int = 500


class TracedHttpError(HttpError):
    hops: tuple[str, ...] = field(default=())


EVERY = [
    StageError("plain", retryable=True),
    *(kind("escaped", stage="fetch") for kind in DEFECTS),
    StageTimeoutError("late", seconds=2.5),
    CircuitOpenError("open", retry_after=30.0),
    HttpError("gone", url="https://a", status=404),
    TracedHttpError(url="https://a", hops=("b", "c")),
]


@pytest.mark.parametrize("error", EVERY, ids=repr)
def test_an_error_comes_back_equal_from_a_pickle_and_a_copy(error) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert other == error
        assert type(other) is type(error)
        assert hash(other) == hash(error)
        assert str(other) == str(error)
        assert other.args == error.args


@pytest.mark.parametrize("error", EVERY, ids=repr)
def test_the_fields_of_an_error_can_neither_be_set_nor_deleted(error) -> None:
    for name in ("message", "retryable"):
        with pytest.raises(FrozenInstanceError, match="errors are values"):
            setattr(error, name, "changed")
        with pytest.raises(FrozenInstanceError, match="errors are values"):
            delattr(error, name)


def test_a_subclass_declares_fields_as_a_dataclass_does() -> None:
    error = HttpError("gone", url="https://a")
    assert (error.message, error.url, error.status, error.retryable) == ("gone", "https://a", 500, False)
    with pytest.raises(TypeError, match="url"):
        HttpError("gone")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="positional"):
        HttpError("gone", "https://a")  # type: ignore[misc, call-arg]
    with pytest.raises(FrozenInstanceError, match=r"HttpError\.url cannot be set"):
        error.url = "https://b"  # type: ignore[misc]


def test_errors_are_equal_by_type_and_fields() -> None:
    assert StageError("a") == StageError("a")
    assert StageError("a") != StageError("b")
    assert StageError("a") != StageError("a", retryable=True)
    assert StageExecutionError("a") != StageError("a")
    assert HttpError("a", url="x") != TracedHttpError("a", url="x")
    assert StageError("a") != ValueError("a")
    assert len({StageError("a"), StageError("a"), StageError("b")}) == 2


def test_an_error_whose_fields_do_not_hash_does_not_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(HttpError(url=["not", "hashable"]))  # type: ignore[arg-type]


def test_an_error_reads_as_its_message_or_as_its_fields_where_it_has_none() -> None:
    assert str(StageError("no such page")) == "no such page"
    assert str(HttpError(url="https://a")) == "HttpError(message='', retryable=False, url='https://a', status=500)"


def test_an_error_can_be_raised_through_a_context_manager_and_caught_with_its_traceback() -> None:
    @contextmanager
    def around():
        yield

    with pytest.raises(HttpError) as caught, around():
        raise HttpError("gone", url="https://a")
    assert caught.value == HttpError("gone", url="https://a")
    assert "raise HttpError" in "".join(traceback.format_exception(caught.value))


def test_what_is_no_field_can_be_set_as_on_any_exception() -> None:
    error, cause = StageError("a"), ValueError("b")
    error.__cause__ = cause
    error.add_note("seen in a test")
    error.seen = True
    del error.seen
    assert error.__cause__ is cause
    assert error == StageError("a")


def test_the_notes_of_an_error_cross_a_pickle() -> None:
    error = StageError("a")
    error.add_note("seen in a test")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["seen in a test"]
    assert not hasattr(pickle.loads(pickle.dumps(StageError("a"))), "__notes__")


@pytest.mark.parametrize("kind", DEFECTS)
def test_every_defect_is_a_stage_execution_error(kind) -> None:
    assert issubclass(kind, StageExecutionError)
    assert kind("why", stage="fetch").stage == "fetch"


@pytest.mark.parametrize("kind", [PipelineValidationError, UnifiedPipelineCancelled, RunStoreError])
def test_what_is_not_for_stages_to_name_is_no_stage_error(kind) -> None:
    assert not issubclass(kind, StageError)


def test_a_validation_error_reads_as_its_problem_or_as_a_list_of_them() -> None:
    assert str(PipelineValidationError(("one",))) == "one"
    assert str(PipelineValidationError(("one", "two"))) == "2 problems:\n  - one\n  - two"


def test_a_validation_error_is_a_value() -> None:
    error = PipelineValidationError(("one", "two"))
    assert error.problems == ("one", "two")
    assert error == PipelineValidationError(("one", "two"))
    assert error != PipelineValidationError(("one",))
    assert error != ValueError("one", "two")
    assert hash(error) == hash(PipelineValidationError(("one", "two")))
    assert pickle.loads(pickle.dumps(error)) == error
    with pytest.raises(AttributeError):
        error.problems = ()  # type: ignore[misc]


def test_a_defect_keeps_what_escaped_as_its_cause_and_says_where() -> None:
    escaped = ValueError("bad digit")
    made = defect("parse", escaped)
    assert made == StageExecutionError('Stage "parse" raised ValueError: bad digit', stage="parse")
    assert made.__cause__ is escaped
    assert defect("parse", KeyError()).message == 'Stage "parse" raised KeyError'


def test_a_defect_that_has_its_stage_stays_what_it_is() -> None:
    inner = CodecError("no", stage="store")
    assert defect("outer", inner) is inner


def test_a_defect_without_a_stage_gets_one_and_keeps_its_kind() -> None:
    made = defect("fetch", WorkerLostError("the process is gone", retryable=True))
    assert type(made) is WorkerLostError
    assert (made.stage, made.retryable) == ("fetch", True)
    assert "the process is gone" in made.message
    assert '"fetch"' in made.message


def test_a_raised_stage_error_is_a_defect_too() -> None:
    raised = HttpError("gone", url="https://a")
    made = defect("fetch", raised)
    assert type(made) is StageExecutionError
    assert made.__cause__ is raised


def test_an_exception_group_keeps_its_members() -> None:
    group = ExceptionGroup("several", [ValueError("a"), KeyError("b")])
    cause = defect("fetch", group).__cause__
    assert isinstance(cause, ExceptionGroup)
    assert cause.exceptions == group.exceptions


@pytest.mark.parametrize("given", [None, 3, "text", [1]])
def test_what_is_no_result_is_told_with_its_type(given) -> None:
    made = no_result("count", given)
    assert made.stage == "count"
    assert f"{given!r} ({type(given).__name__})" in made.message
    assert "@lift" in made.message
