"""Telling the outside: sinks, and the one that is ambient."""

from __future__ import annotations

import contextvars
import logging

import pytest

from stageflow import (
    LoggingEventSink,
    NoOpEventSink,
    clear_event_sink,
    event_sink,
    get_event_sink,
    lift,
    set_event_sink,
)
from stageflow.events.sink import EventSink as SeedsPlace
from stageflow.ports import EventSink


@pytest.fixture
def apart():
    """Runs a function in a context of its own, so that no test leaves a sink behind."""
    return contextvars.copy_context().run


def test_there_is_no_sink_until_one_is_set(apart) -> None:
    assert isinstance(apart(get_event_sink), NoOpEventSink)


def test_a_sink_that_was_set_stays_until_it_is_cleared(apart, told) -> None:
    apart(set_event_sink, told)
    assert apart(get_event_sink) is told
    apart(clear_event_sink)
    assert isinstance(apart(get_event_sink), NoOpEventSink)
    assert isinstance(get_event_sink(), NoOpEventSink)


def test_a_block_has_its_sink_and_gives_the_former_one_back(apart, told) -> None:
    def body() -> None:
        outer = NoOpEventSink()
        with event_sink(outer), event_sink(told) as given:
            assert given is told
            assert get_event_sink() is told
        with event_sink(outer):
            assert get_event_sink() is outer

    apart(body)
    assert isinstance(apart(get_event_sink), NoOpEventSink)


def test_a_block_that_raises_gives_the_former_sink_back_too(apart, told) -> None:
    def body() -> None:
        with event_sink(told):
            raise LookupError

    with pytest.raises(LookupError):
        apart(body)
    assert isinstance(apart(get_event_sink), NoOpEventSink)


async def test_a_run_in_a_block_tells_its_sink(told) -> None:
    with event_sink(told):
        await lift(len).run("abc")
    await lift(len).run("abc")
    assert told.types == [
        "pipeline.created",
        "pipeline.started",
        "stage.len.started",
        "stage.len.completed",
        "pipeline.completed",
    ]


async def test_a_sink_of_nothing_takes_everything() -> None:
    sink = NoOpEventSink()
    assert sink.try_emit(type="x", data={"a": 1}) is None
    assert await sink.emit(type="x", data=None) is None


def test_the_sinks_module_has_the_protocol_too() -> None:
    assert SeedsPlace is EventSink


async def test_a_logging_sink_writes_each_event_with_its_data(caplog) -> None:
    caplog.set_level(logging.INFO, "stageflow.events.sink")
    sink = LoggingEventSink()
    sink.try_emit(type="stage.fetch.started", data={"stage": "fetch", "attempt": 1})
    await sink.emit(type="pipeline.completed", data=None)
    first, second = caplog.records
    assert first.getMessage() == "stage.fetch.started stage=fetch attempt=1"
    assert first.event == {"type": "stage.fetch.started", "stage": "fetch", "attempt": 1}
    assert second.getMessage().strip() == "pipeline.completed"
    assert {record.levelname for record in caplog.records} == {"INFO"}


def test_a_logging_sink_writes_failures_as_warnings_at_least(caplog) -> None:
    logger = logging.getLogger("tests.events")
    caplog.set_level(logging.DEBUG, "tests.events")
    quiet, loud = (
        LoggingEventSink(level=logging.DEBUG, logger=logger),
        LoggingEventSink(level=logging.ERROR, logger=logger),
    )
    for sink in (quiet, loud):
        sink.try_emit(type="stage.fetch.failed", data={})
        sink.try_emit(type="stage.fetch.completed", data={})
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "ERROR", "ERROR"]


def test_a_logging_sink_does_nothing_below_the_loggers_level(caplog) -> None:
    caplog.set_level(logging.ERROR, "stageflow.events.sink")
    LoggingEventSink().try_emit(type="stage.fetch.failed", data={"stage": "fetch"})
    assert caplog.records == []
