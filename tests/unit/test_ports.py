"""What a host supplies: protocols, the records and ids that cross them, and the keys that stages ask by."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from typing import get_type_hints
from uuid import UUID

import pytest

from stageflow import (
    AnyPortKey,
    ConfigProvider,
    CorrelationIds,
    EventSink,
    MissingPortError,
    PortKey,
    RunRecord,
    RunStore,
    StagePorts,
)

RUN = UUID(int=1)
GREETING: PortKey[str] = PortKey("greeting")
COUNT: PortKey[int] = PortKey("count")


def record(**changed) -> RunRecord:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    given = {
        "run_id": RUN,
        "status": "running",
        "metadata": {"pipeline": "crawl"},
        "created_at": moment,
        "updated_at": moment,
    }
    return RunRecord(**{**given, **changed})


def test_a_port_is_read_by_its_key() -> None:
    ports = StagePorts().provide(GREETING, "hello").provide(COUNT, 3)
    assert (ports[GREETING], ports[COUNT]) == ("hello", 3)
    assert (len(ports), list(ports), dict(ports.items())) == (2, [GREETING, COUNT], {GREETING: "hello", COUNT: 3})
    assert GREETING in ports
    assert PortKey("other") not in ports


def test_a_missing_port_says_which_and_how_to_provide_it() -> None:
    with pytest.raises(MissingPortError, match=r'the port "greeting".*StagePorts\(\)\.provide'):
        StagePorts()[GREETING]


def test_providing_changes_no_ports_but_gives_new_ones() -> None:
    none = StagePorts()
    one = none.provide(GREETING, "hello")
    two = one.provide(GREETING, "good day")
    assert (len(none), one[GREETING], two[GREETING]) == (0, "hello", "good day")


@pytest.mark.parametrize("name", ["_kept", "provided", "greeting"])
def test_ports_take_no_attribute(name) -> None:
    with pytest.raises(AttributeError):
        setattr(StagePorts(), name, 1)


def test_ports_over_others_win_key_by_key() -> None:
    low = StagePorts().provide(GREETING, "low").provide(COUNT, 1)
    high = StagePorts().provide(GREETING, "high")
    both = high.over(low)
    assert (both[GREETING], both[COUNT]) == ("high", 1)
    assert high.over(StagePorts()) == high
    assert StagePorts().over(low) == low


def test_ports_are_equal_hash_and_pickle_by_what_they_provide() -> None:
    ports, same = (StagePorts().provide(GREETING, "hello") for _ in range(2))
    assert ports == same
    assert hash(ports) == hash(same)
    assert pickle.loads(pickle.dumps(ports)) == ports
    assert copy.deepcopy(ports) == ports
    assert ports != StagePorts()
    assert ports != {GREETING: "hello"}
    assert repr(ports) == "StagePorts(greeting)"


def test_a_key_is_equal_by_name_and_crosses_a_pickle() -> None:
    key: PortKey[str] = PortKey("greeting")
    assert key == GREETING
    assert hash(key) == hash(GREETING)
    assert key != COUNT
    assert key != "greeting"
    assert pickle.loads(pickle.dumps(key)) == key
    assert isinstance(key, AnyPortKey)
    assert (key.name, repr(key)) == ("greeting", "PortKey('greeting')")


def test_a_typed_key_can_be_made_with_its_type() -> None:
    assert PortKey[int]("count") == COUNT


def test_a_key_needs_a_name_and_keeps_it() -> None:
    with pytest.raises(ValueError, match=r'A port needs a name: PortKey\("clock"\)'):
        PortKey(" ")
    with pytest.raises(AttributeError):
        GREETING.name = "other"  # type: ignore[misc]


def test_correlation_gives_the_ids_that_are_set() -> None:
    ids = CorrelationIds(run_id=RUN, request_id=UUID(int=2), trace_id="ab" * 16, extra={"tenant": "acme"})
    expected = {"run_id": str(RUN), "request_id": str(UUID(int=2)), "trace_id": "ab" * 16, "tenant": "acme"}
    assert ids.as_mapping() == expected
    assert CorrelationIds().as_mapping() == {}


def test_correlation_is_a_value() -> None:
    ids = CorrelationIds(run_id=RUN, extra={"tenant": "acme"})
    assert ids == CorrelationIds(run_id=RUN, extra={"tenant": "acme"})
    assert ids != CorrelationIds(run_id=RUN)
    assert hash(ids) == hash(CorrelationIds(run_id=RUN, extra={"tenant": "acme"}))
    assert pickle.loads(pickle.dumps(ids)) == ids
    with pytest.raises(FrozenInstanceError):
        ids.trace_id = "x"  # type: ignore[misc]


def test_the_extra_ids_are_read_only_and_no_longer_the_callers_own() -> None:
    given = {"tenant": "acme"}
    ids = CorrelationIds(extra=given)
    given["tenant"] = "other"
    assert ids.extra == {"tenant": "acme"}
    with pytest.raises(TypeError):
        ids.extra["tenant"] = "other"  # type: ignore[index]
    ids.as_mapping()["tenant"] = "other"
    assert ids.as_mapping() == {"tenant": "acme"}


def test_a_run_record_is_a_value() -> None:
    assert record() == record()
    assert record() != record(status="failed")
    assert pickle.loads(pickle.dumps(record())) == record()
    assert hash(record()) == hash(record())
    with pytest.raises(FrozenInstanceError):
        record().status = "failed"  # type: ignore[misc]


def test_the_metadata_of_a_run_record_is_read_only_and_no_longer_the_callers_own() -> None:
    given: dict[str, object] = {"pipeline": "crawl"}
    kept = record(metadata=given)
    given["pipeline"] = "other"
    assert kept.metadata == {"pipeline": "crawl"}
    with pytest.raises(TypeError):
        kept.metadata["pipeline"] = "other"  # type: ignore[index]


async def test_a_host_may_derive_from_the_protocols_and_their_bodies_do_nothing(told) -> None:
    class Sink(EventSink):
        pass

    class Store(RunStore):
        pass

    class Config(ConfigProvider):
        pass

    assert Sink().try_emit(type="x", data=None) is None
    assert await Sink().emit(type="x", data=None) is None
    assert await Store().create_run(RUN) is None
    assert await Store().update_status(RUN, "failed") is None
    assert await Store().get_run(RUN) is None
    assert Config().get("key") is None


@pytest.mark.parametrize(
    ("method", "names"),
    [
        (EventSink.emit, {"type": str, "data": Mapping[str, object] | None, "return": type(None)}),
        (EventSink.try_emit, {"type": str, "data": Mapping[str, object] | None, "return": type(None)}),
        (RunStore.create_run, {"run_id": UUID, "metadata": object, "return": RunRecord}),
        (RunStore.update_status, {"run_id": UUID, "status": str, "data": object, "return": type(None)}),
        (RunStore.get_run, {"run_id": UUID, "return": RunRecord | None}),
        (ConfigProvider.get, {"key": str, "default": object, "return": object}),
    ],
)
def test_the_protocols_ask_for_what_the_contract_says_and_nothing_untyped(method, names) -> None:
    assert get_type_hints(method) == names
