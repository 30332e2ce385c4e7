"""What a stage gives: `StageOutput`, its artifacts and events, and the four words that make a Result of it."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone

import pytest
from returns.result import Failure, Success

from stageflow import (
    StageArtifact,
    StageError,
    StageEvent,
    StageOutput,
    StageStatus,
    cancel,
    fail,
    ok,
    sealed,
    skip,
)

MOMENT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_ok_carries_the_data_and_no_reason() -> None:
    output = StageOutput.ok(3)
    assert (output.status, output.data, output.reason) == (StageStatus.OK, 3, "")
    assert (output.artifacts, output.events) == ((), ())


def test_skip_and_cancel_carry_a_reason_and_no_data() -> None:
    skipped, cancelled = StageOutput.skip("nothing new"), StageOutput.cancel("enough")
    assert (skipped.status, skipped.data, skipped.reason) == (StageStatus.SKIP, None, "nothing new")
    assert (cancelled.status, cancelled.data, cancelled.reason) == (StageStatus.CANCEL, None, "enough")


def test_the_words_are_successes_of_the_outputs_of_the_same_name() -> None:
    assert ok(3) == Success(StageOutput.ok(3))
    assert skip("why") == Success(StageOutput.skip("why"))
    assert cancel("why") == Success(StageOutput.cancel("why"))


def test_fail_is_a_failure_of_the_error_and_makes_one_of_a_text() -> None:
    error = StageError("no such page", retryable=True)
    assert fail(error) == Failure(error)
    assert fail("no such page") == Failure(StageError("no such page"))


@pytest.mark.parametrize("make", [StageOutput.skip, StageOutput.cancel, skip, cancel])
@pytest.mark.parametrize("reason", ["", "  "])
def test_an_output_without_data_needs_a_reason(make, reason) -> None:
    with pytest.raises(ValueError, match=r"needs a reason"):
        make(reason)


def test_ok_takes_any_iterable_of_artifacts_and_events_and_keeps_tuples() -> None:
    chart, seen = StageArtifact("chart", b"png", MOMENT), StageEvent("seen", {"count": 2}, MOMENT)
    output = ok(3, artifacts=[chart], events=(event for event in (seen,))).unwrap()
    assert (output.data, output.artifacts, output.events) == (3, (chart,), (seen,))
    assert ok(3, artifacts=[chart]).unwrap().events == ()


def test_a_match_reads_status_data_and_reason() -> None:
    match StageOutput.skip("nothing new"):
        case StageOutput(StageStatus.SKIP, None, reason):
            assert reason == "nothing new"
        case other:
            pytest.fail(f"no match for {other}")


@pytest.mark.parametrize("name", ["status", "data", "reason", "artifacts", "events", "more"])
def test_an_output_cannot_be_changed(name) -> None:
    output = StageOutput.ok(3)
    with pytest.raises(AttributeError):
        setattr(output, name, "changed")
    assert output == StageOutput.ok(3)


def test_outputs_are_equal_and_hash_alike_where_their_parts_are() -> None:
    event = StageEvent("seen", {"count": 2}, MOMENT)
    made = [ok(3, events=[event]).unwrap() for _ in range(2)]
    assert made[0] == made[1]
    assert hash(made[0]) == hash(made[1])
    assert made[0] != StageOutput.ok(3)
    assert StageOutput.skip("a") != StageOutput.skip("b")
    assert StageOutput.skip("a") != StageOutput.cancel("a")
    assert StageOutput.ok(3) != 3


def test_an_output_of_what_does_not_hash_does_not_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(StageOutput.ok([3]))


@pytest.mark.parametrize(
    "value",
    [
        StageOutput.ok([1, "two"]),
        StageOutput.skip("nothing new"),
        StageOutput.cancel("enough"),
        ok(3, artifacts=[StageArtifact("chart", b"png")], events=[StageEvent("seen", {"count": 2})]).unwrap(),
        StageArtifact("chart", {"x": 1}, MOMENT),
        StageEvent("seen", {"count": 2}, MOMENT),
    ],
    ids=repr,
)
def test_outputs_artifacts_and_events_come_back_equal_from_a_pickle(value) -> None:
    assert pickle.loads(pickle.dumps(value)) == value


def test_a_repr_shows_the_data_or_the_reason() -> None:
    assert repr(StageOutput.ok("page")) == "StageOutput(ok, data='page')"
    assert repr(StageOutput.skip("nothing new")) == "StageOutput(skip, reason='nothing new')"


def test_artifacts_and_events_are_stamped_in_utc_when_no_time_is_given() -> None:
    before = datetime.now(UTC)
    stamps = [StageArtifact("chart", b"").timestamp, StageEvent("seen").timestamp]
    after = datetime.now(UTC)
    for stamp in stamps:
        assert stamp.tzinfo is UTC
        assert before <= stamp <= after


def test_a_timestamp_of_another_zone_becomes_the_same_moment_in_utc() -> None:
    there = datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    for made in (StageArtifact("chart", b"", there), StageEvent("seen", {}, there)):
        assert made.timestamp == MOMENT
        assert made.timestamp.utcoffset() == timedelta(0)


@pytest.mark.parametrize("make", [lambda at: StageArtifact("chart", b"", at), lambda at: StageEvent("seen", {}, at)])
def test_a_timestamp_without_a_zone_is_refused(make) -> None:
    with pytest.raises(ValueError, match=r"no time zone.*datetime\.now\(UTC\)"):
        make(datetime(2026, 1, 1))  # noqa: DTZ001  (that is the point)


def test_an_artifact_and_an_event_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        StageArtifact("chart", b"").type = "table"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        StageEvent("seen").type = "heard"  # type: ignore[misc]


def test_the_data_of_an_event_is_read_only_and_no_longer_the_callers_own() -> None:
    given: dict[str, object] = {"count": 2}
    event = StageEvent("seen", given, MOMENT)
    given["count"] = 3
    assert event.data == {"count": 2}
    with pytest.raises(TypeError):
        event.data["count"] = 4  # type: ignore[index]
    assert StageEvent("seen").data == {}


def test_artifacts_and_events_hash_where_their_parts_do() -> None:
    assert hash(StageEvent("seen", {"count": 2}, MOMENT)) == hash(StageEvent("seen", {"count": 2}, MOMENT))
    assert hash(StageArtifact("chart", b"png", MOMENT)) == hash(StageArtifact("chart", b"png", MOMENT))
    with pytest.raises(TypeError, match="unhashable"):
        hash(StageArtifact("chart", [], MOMENT))
    with pytest.raises(TypeError, match="unhashable"):
        hash(StageEvent("seen", {"pages": []}, MOMENT))


def test_sealed_gives_the_same_result_back() -> None:
    success, failure = ok(3), fail("no")
    assert sealed(success) is success
    assert sealed(failure) is failure


def test_sealed_refuses_what_is_no_result() -> None:
    with pytest.raises(TypeError, match="3 is no Result: give a Success or a Failure"):
        sealed(3)  # type: ignore[arg-type]
