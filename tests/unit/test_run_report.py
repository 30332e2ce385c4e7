"""The data of a run report, from an outcome or from a store, and the page that it is put on."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from uuid import UUID

import pytest

from stageflow import (
    CorrelationIds,
    PipelineContext,
    RetryInterceptor,
    Runner,
    StageArtifact,
    StageError,
    StageEvent,
    StageInputs,
    cancel,
    fail,
    lift,
    ok,
    skip,
    stage,
)
from stageflow.journal import StageRecord
from stageflow.ports import RunRecord
from stageflow.sinks.recording import RecordingEventSink
from stageflow.testing import run_virtually
from stageflow.views.report import ReportData, as_html, outcome_report, stored_report, write_report
from stageflow.views.report.texts import LONGEST, error_text, shown

RUN = UUID(int=7)
START = datetime(2026, 1, 1, tzinfo=UTC)


class HttpError(StageError):
    url: str
    status: int = 500


async def reported(pipeline, value, *, events=True, **settings) -> ReportData:
    sink = RecordingEventSink()
    context = PipelineContext(run_id=RUN, correlation=CorrelationIds(extra={"tenant": "acme"}))
    async with Runner(sink=sink, **settings) as runner:
        outcome = await runner.run(pipeline, value, context=context)
    return outcome_report(outcome, pipeline, sink.events if events else ())


def entry(report: ReportData, name: str):
    (found,) = [each for each in report.stages if each.name == name]
    return found


@lift
async def slow(value: int) -> int:
    await asyncio.sleep(3)
    return value


@lift
async def quick(value: int) -> int:
    await asyncio.sleep(1)
    return value


@stage
async def refuse(inputs: StageInputs[object]):
    return fail(HttpError("no such page", url="https://a", status=404))


@stage
async def pass_over(inputs: StageInputs[object]):
    return skip("nothing new")


@stage
async def end(inputs: StageInputs[object]):
    return cancel("enough")


def test_a_report_says_what_ran_when_and_for_how_long() -> None:
    report = run_virtually(reported(lift(len) | (slow & quick).together(), "ab"))
    assert (report.status, report.run_id, dict(report.correlation)) == ("completed", str(RUN), {"tenant": "acme"})
    assert report.duration_ms == pytest.approx(3000, abs=1)
    assert [each.name for each in report.stages] == ["len", "slow", "quick"]
    assert entry(report, "quick").duration_ms == pytest.approx(1000, abs=1)
    assert entry(report, "slow").start_ms == pytest.approx(entry(report, "quick").start_ms, abs=1)
    assert report.critical == ("len", "slow")


@pytest.mark.parametrize(
    ("last", "status", "reason", "error"),
    [
        (refuse, "failed", "", "no such page"),
        (pass_over, "skipped", "pass_over: nothing new", ""),
        (end, "cancelled", "end: enough", ""),
    ],
)
async def test_a_report_says_what_the_run_came_to_and_why(last, status, reason, error) -> None:
    report = await reported(lift(len) | last, "ab")
    assert (report.status, report.error) == (status, error)
    assert report.reason == reason


async def test_an_error_that_is_a_value_is_told_by_its_fields() -> None:
    error = entry(await reported(refuse, 1), "refuse").error
    assert error is not None
    assert (error.type, error.message, error.trace) == ("HttpError", "no such page", "")
    assert error.fields == (("url", "https://a"), ("status", "404"))


def test_an_error_that_was_raised_is_told_with_its_causes_notes_and_members() -> None:
    group = ExceptionGroup("two things", [ValueError("the first"), KeyError("the second")])
    group.add_note("while indexing")
    group.__cause__ = OSError("disk full")
    text = error_text(group)
    for part in ("two things", "the first", "the second", "while indexing", "disk full", "direct cause"):
        assert part in text.trace


async def test_retries_come_with_the_times_of_attempts_and_what_failed() -> None:
    tries: list[int] = []

    @stage
    async def shaky(inputs: StageInputs[int]):
        tries.append(1)
        return ok(1) if len(tries) == 3 else fail(StageError("try again", retryable=True))

    report = await reported(shaky.using(RetryInterceptor(attempts=3)), 1)
    found = entry(report, "shaky")
    assert found.attempts == 3
    assert [attempt.error for attempt in found.tries] == ["", "try again", "try again"]
    assert sorted(attempt.at_ms for attempt in found.tries) == [attempt.at_ms for attempt in found.tries]


async def test_events_and_artifacts_stand_with_their_stage() -> None:
    @stage
    async def read(inputs: StageInputs[int]):
        inputs.context.emit("cache.miss", {"key": "a"})
        return ok(1, artifacts=[StageArtifact("file", {"path": "a.txt"})], events=[StageEvent("read.done")])

    heard = entry(await reported(read, 1), "read")
    assert [event.type for event in heard.events] == ["started", "cache.miss", "artifact", "read.done", "completed"]
    assert ("key", "a") in heard.events[1].data
    assert [(artifact.type, artifact.payload) for artifact in heard.artifacts] == [("file", "{'path': 'a.txt'}")]
    unheard = entry(await reported(read, 1, events=False), "read")
    assert [event.type for event in unheard.events] == ["read.done"]


async def test_events_of_other_runs_are_passed_over() -> None:
    pipeline, sink = lift(len), RecordingEventSink()
    async with Runner(sink=sink) as runner:
        outcomes = [await runner.run(pipeline, "ab") for _ in range(3)]
    report = outcome_report(outcomes[1], pipeline, sink.events)
    assert [event.type for event in report.events] == ["pipeline.created", "pipeline.started", "pipeline.completed"]
    assert len(entry(report, "len").events) == 2


async def test_what_never_started_says_why() -> None:
    report = await reported(pass_over | lift(len), 1)
    found = entry(report, "len")
    assert (found.status, found.start_ms, found.attempts) == ("skip", None, 0)
    assert "nothing new" in found.reason


def test_what_others_cut_short_is_not_on_the_critical_path() -> None:
    @lift
    async def breaks(value: int) -> int:
        await asyncio.sleep(1)
        raise ValueError(value)

    report = run_virtually(reported(lift(len) | (breaks & slow).together(), "ab"))
    assert entry(report, "slow").status == "cancel"
    assert report.critical == ("len", "breaks")


def test_a_run_that_its_deadline_ends_was_determined_by_what_ran_then() -> None:
    report = run_virtually(reported(lift(len) | (quick & slow).together() | lift(sum), "ab", deadline=2))
    assert report.status == "cancelled"
    assert report.critical == ("len", "slow")


def test_the_critical_path_leads_through_the_item_that_ended_last() -> None:
    @lift
    async def wait(value: int) -> int:
        await asyncio.sleep(value)
        return value

    report = run_virtually(reported((wait | quick).each() | lift(sum), [2, 5, 1]))
    assert report.critical == ("wait[1]", "quick[1]", "sum")


async def test_a_report_is_plain_data_that_pickles_and_cannot_be_changed() -> None:
    report = await reported(lift(len) | pass_over, "ab")
    assert pickle.loads(pickle.dumps(report)) == report
    with pytest.raises(AttributeError):
        report.status = "completed"


def kept(path: str, status: str, at: float | None = 0.0, seconds: float = 1.0, **more) -> StageRecord:
    started = None if at is None else START + timedelta(seconds=at)
    return StageRecord(path, 1, status, started_at=started, duration_ms=seconds * 1000, **more)


def run(status: str, **metadata) -> RunRecord:
    return RunRecord(
        RUN, status, {"pipeline": "site", "tenant": "acme", **metadata}, START, START + timedelta(seconds=9)
    )


def test_a_report_is_made_of_what_a_store_kept() -> None:
    pipeline = lift(len) | quick.each() | refuse
    records = [kept("len", "ok"), kept("quick[1]", "ok", 1, 4), kept("quick[0]", "ok", 1), kept("refuse", "fail", 5)]
    report = stored_report(run("failed", error="no such page"), records, pipeline)
    assert (report.pipeline, report.status, report.error, report.duration_ms) == (
        "site",
        "failed",
        "no such page",
        9000,
    )
    assert [each.name for each in report.stages] == ["len", "quick[0]", "quick[1]", "refuse"]
    assert [(each.kind, each.start_ms) for each in report.stages[:2]] == [("transform", 0), ("transform", 1000)]
    assert report.critical == ("len", "quick[1]", "refuse")
    assert report.correlation == (("tenant", "acme"),)


def test_a_stored_error_is_decoded_where_somebody_can() -> None:
    failed = kept("refuse", "fail", payload=b"404", type="HttpError")
    decoded = stored_report(run("failed"), [failed], refuse, decode=lambda record: HttpError("gone", url=record.path))
    assert entry(decoded, "refuse").error == error_text(HttpError("gone", url="refuse"))
    error = entry(stored_report(run("failed"), [failed], refuse), "refuse").error
    assert error is not None
    assert (error.type, "encoded" in error.message) == ("HttpError", True)


def test_a_run_that_goes_on_has_stages_that_run_and_stages_that_wait() -> None:
    records = [kept("len", "ok"), kept("quick", "started", 1, 0)]
    report = stored_report(run("running"), records, lift(len) | quick | slow)
    assert [(each.name, each.status) for each in report.stages] == [
        ("len", "ok"),
        ("quick", "running"),
        ("slow", "waiting"),
    ]
    assert report.critical == ("len",)


def test_a_killed_run_whose_last_record_of_a_stage_counts() -> None:
    records = [kept("len", "started", 0, 0), kept("len", "ok"), kept("quick", "started", 1, 0)]
    report = stored_report(run("cancelled", reason="killed"), records)
    assert [(each.name, each.status) for each in report.stages] == [("len", "ok"), ("quick", "running")]
    assert (report.reason, report.critical, report.drawing.nodes) == ("killed", (), ())


EVIL = "</script><script>alert(1)</script><!--<script>\u2028\u2029&amp;\udc80"


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


async def test_no_text_of_a_run_ends_its_script_tag_or_opens_a_comment(tmp_path) -> None:
    report = await reported(lift(len).named(EVIL) | refuse, "ab")
    report = replace(report, pipeline=EVIL, reason=EVIL, correlation=((EVIL, EVIL),))
    page = as_html(report)
    assert page.count("<script") == page.count("</script>") == 3
    assert "<!--<" not in page
    assert data_of(page)["pipeline"] == EVIL
    assert data_of(page)["stages"][0]["name"] == EVIL
    write_report(tmp_path / "run.html", report)
    assert "alert(1)" in (tmp_path / "run.html").read_text(encoding="utf-8")


async def test_the_page_names_nothing_outside_itself_but_the_homes_of_what_it_is_made_of() -> None:
    page = as_html(await reported(lift(len), "ab"))
    assert set(re.findall(r"https?://[^\s\"',)<]+", page)) <= {
        "https://github.com/dagrejs/dagre",
        "http://www.w3.org/2000/svg",
    }
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert "http" not in policy[1]


async def test_the_page_of_a_small_run_stays_near_sixty_kilobytes() -> None:
    assert len(as_html(await reported(lift(len) | lift(str) | (lift(int) & lift(float)).together(), "ab"))) < 64_000


async def test_the_library_that_lays_out_the_graph_comes_with_its_license() -> None:
    license = files("stageflow.views.report").joinpath("assets", "dagre.LICENSE").read_text(encoding="utf-8")
    assert "Chris Pettitt" in license
    page = as_html(await reported(lift(len), "ab"))
    assert "dagre" in page
    assert "Chris Pettitt" in page


def test_very_long_texts_lose_their_middle_and_say_so() -> None:
    text = shown("a" * LONGEST + "b" * LONGEST)
    assert len(text) < LONGEST + 100
    assert "characters left out" in text
    assert (text[0], text[-1]) == ("a", "b")


def test_what_has_a_broken_repr_is_named_instead() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert shown(Broken()) == "<Broken, whose repr raised RuntimeError>"
