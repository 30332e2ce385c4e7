"""Configuration: typed reads of mappings and of the environment, with errors that name the source."""

from __future__ import annotations

import enum
import os
import pickle
import subprocess
import sys
import tomllib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Literal
from uuid import UUID

import pytest
from returns.result import Result

from stageflow import (
    Completed,
    ConfigProvider,
    Failed,
    PipelineContext,
    Runner,
    StageInputs,
    StageOutput,
    stage,
)
from stageflow.config import ChainConfig, ConfigError, EnvironmentConfig, MappingConfig, SourcedConfig, read

ROOT = Path(__file__).parents[2]


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Port(enum.IntEnum):
    HTTP = 80
    HTTPS = 443


def environment(**variables: str) -> EnvironmentConfig:
    return EnvironmentConfig("APP_", variables)


OF_TEXTS = [
    ("30", int, 30),
    (" -3 ", int, -3),
    ("1_000", int, 1000),
    ("1.5", float, 1.5),
    ("2", float, 2.0),
    ("1e3", float, 1000.0),
    (" text ", str, " text "),
    ("", str, ""),
    ("30", str, "30"),
    ("/var/lib", Path, Path("/var/lib")),
    ("30", timedelta, timedelta(seconds=30)),
    ("1.5", timedelta, timedelta(seconds=1.5)),
    ("250ms", timedelta, timedelta(milliseconds=250)),
    ("30s", timedelta, timedelta(seconds=30)),
    ("5m", timedelta, timedelta(minutes=5)),
    ("1h30m", timedelta, timedelta(hours=1, minutes=30)),
    ("2d 3h", timedelta, timedelta(days=2, hours=3)),
    ("1m 250ms", timedelta, timedelta(minutes=1, milliseconds=250)),
    ("2026-01-31", date, date(2026, 1, 31)),
    ("2026-01-31T12:00:00Z", datetime, datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ("12345678-1234-5678-1234-567812345678", UUID, UUID("12345678-1234-5678-1234-567812345678")),
    ("1.50", Decimal, Decimal("1.50")),
    ("low", Level, Level.LOW),
    ("HIGH", Level, Level.HIGH),
    ("443", Port, Port.HTTPS),
    ("http", Port, Port.HTTP),
    ("a", Literal["a", "b"], "a"),
    ("2", Literal[1, 2], 2),
    ("a, b,c", list[str], ["a", "b", "c"]),
    ("1,2", tuple[int, ...], (1, 2)),
    ("1,2,1", set[int], {1, 2}),
    ("low,high", frozenset[Level], frozenset(Level)),
    ("", list[int], []),
    ("a", list, ["a"]),
    ("3", int | None, 3),
    ("", int | None, None),
    ("none", float | None, None),
    ("3", str | int, 3),
    ("x", str | int, "x"),
    ("5m", int | timedelta, timedelta(minutes=5)),
]


@pytest.mark.parametrize(("text", "of", "value"), OF_TEXTS)
def test_a_text_of_the_environment_is_read_as_the_type_that_is_asked_for(text, of, value) -> None:
    found = read(environment(APP_KEY=text), "key", of).unwrap()
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["true", "True", "YES", "on", "1"])
def test_there_are_four_ways_to_say_yes(text: str) -> None:
    assert read(environment(APP_KEY=text), "key", bool).unwrap() is True


@pytest.mark.parametrize("text", ["false", "No", "OFF", "0"])
def test_there_are_four_ways_to_say_no(text: str) -> None:
    assert read(environment(APP_KEY=text), "key", bool).unwrap() is False


@pytest.mark.parametrize(
    ("text", "of", "wanted"),
    [
        ("soon", int, "a whole number is wanted. Set it to one, as 30."),
        ("1.5", int, "a whole number is wanted"),
        ("", int, "a whole number is wanted"),
        ("x", float, "a number is wanted. Set it to one, as 1.5."),
        ("maybe", bool, "a bool is wanted. Set it to one, as true or false."),
        ("2", bool, "a bool is wanted"),
        ("", bool, "a bool is wanted"),
        ("soon", timedelta, "a duration is wanted. Set it to one, as 30s, 5m or 1h30m."),
        ("", timedelta, "a duration is wanted"),
        ("nan", timedelta, "a duration is wanted"),
        ("1e400", timedelta, "a duration is wanted"),
        ("x", date, "a date is wanted"),
        ("x", datetime, "a moment is wanted"),
        ("x", UUID, "a UUID is wanted"),
        ("x", Decimal, "a decimal number is wanted"),
        ("mid", Level, "one of low, high is wanted. Set it to one of them."),
        ("c", Literal["a", "b"], "one of a, b is wanted"),
        ("1,x", list[int], "a whole number is wanted"),
        ("x", int | None, "a whole number or nothing is wanted. Set it to one, as 30."),
        ("x", None, "nothing is wanted. Take it away, or leave it empty."),
    ],
)
def test_a_text_of_another_form_is_refused_with_the_variable_and_the_fix(text, of, wanted) -> None:
    error = read(environment(APP_KEY=text), "key", of).failure()
    assert isinstance(error, ConfigError)
    assert str(error).startswith(f"Environment variable APP_KEY is {text!r}, where ")
    assert wanted in str(error)
    assert (error.key, error.source) == ("key", "environment variable APP_KEY")


def test_a_default_is_given_where_the_key_is_absent_and_never_for_a_wrong_value() -> None:
    config = environment(APP_WRONG="x")
    assert read(config, "absent", int, default=3).unwrap() == 3
    assert read(config, "absent", int | None, default=None).unwrap() is None
    assert "where a whole number is wanted" in str(read(config, "wrong", int, default=3).failure())


def test_an_absent_key_is_told_with_the_nearest_one() -> None:
    error = read(environment(APP_HTTP_TIMEOUT="3"), "http.timout", int).failure()
    assert str(error) == (
        'There is no "http.timout": no environment variable APP_HTTP_TIMOUT. Did you mean "http_timeout"? '
        "Set it, or give a default."
    )


def test_an_absent_key_like_no_other_is_told_without_a_guess() -> None:
    assert "Did you mean" not in str(read(environment(APP_A="3"), "timeout", int).failure())


def test_a_secret_is_not_in_the_text_of_its_error() -> None:
    error = read(environment(APP_API_TOKEN="hunter2"), "api_token", int).failure()
    assert "hunter2" not in str(error)
    assert "is not shown here, where a whole number is wanted" in str(error)
    assert "hunter2" not in repr(environment(APP_API_TOKEN="hunter2"))
    assert "hunter2" not in repr(MappingConfig({"token": "hunter2"}))


def test_the_environment_of_the_process_is_read_when_it_is_asked(monkeypatch) -> None:
    config = EnvironmentConfig("STAGEFLOW_TEST_")
    assert "no environment variable STAGEFLOW_TEST_PORT" in str(read(config, "port", int).failure())
    monkeypatch.setenv("STAGEFLOW_TEST_PORT", "8080")
    assert read(config, "port", int).unwrap() == 8080
    assert list(config.known()) == ["port"]


def test_another_process_reads_the_environment_it_was_started_with() -> None:
    script = "from stageflow.config import *; print(read(EnvironmentConfig('APP_'), 'http.retry-after', float))"
    printed = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "APP_HTTP_RETRY_AFTER": "1.5"},
    ).stdout
    assert printed == "<Success: 1.5>\n"


TOML = """
name = "crawler"
retries = 3
ratio = 1
started = 2026-01-31
hosts = ["a", "b"]
"dotted.key" = "as written"
[http]
timeout = "30s"
[http.proxy]
url = "http://proxy"
"""


@pytest.fixture
def file() -> MappingConfig:
    return MappingConfig(tomllib.loads(TOML), name="app.toml")


def test_a_mapping_is_read_by_dotted_keys(file: MappingConfig) -> None:
    assert read(file, "retries", int).unwrap() == 3
    assert read(file, "ratio", float).unwrap() == 1.0
    assert read(file, "started", date).unwrap() == date(2026, 1, 31)
    assert read(file, "hosts", tuple[str, ...]).unwrap() == ("a", "b")
    assert read(file, "http.timeout", timedelta).unwrap() == timedelta(seconds=30)
    assert read(file, "http.proxy.url", str).unwrap() == "http://proxy"
    assert read(file, "dotted.key", str).unwrap() == "as written"
    assert read(file, "name", Path).unwrap() == Path("crawler")


@pytest.mark.parametrize(
    ("key", "of", "text"),
    [
        ("name", int, "Key \"name\" of app.toml is 'crawler', where a whole number is wanted"),
        ("retries", str, 'Key "retries" of app.toml is 3, where a text is wanted'),
        ("retries", bool, "is 3, where a bool is wanted"),
        ("name", list[str], "is 'crawler', where a list is wanted"),
        ("hosts", list[int], "where a whole number is wanted"),
        ("http", str, "where a text is wanted"),
        ("http.proxy.ulr", str, 'no key "http.proxy.ulr" of app.toml. Did you mean "http.proxy.url"?'),
        ("name.first", str, 'There is no "name.first"'),
    ],
)
def test_a_file_has_types_of_its_own_and_is_read_strictly(file: MappingConfig, key, of, text) -> None:
    assert text in str(read(file, key, of).failure())


def test_a_mapping_of_texts_is_read_as_an_environment_is() -> None:
    assert read(MappingConfig({"port": "80"}, texts=True), "port", int).unwrap() == 80
    assert "is '80'" in str(read(MappingConfig({"port": "80"}), "port", int).failure())


def test_none_in_a_mapping_is_a_value() -> None:
    config = MappingConfig({"limit": None})
    assert read(config, "limit", int | None, default=3).unwrap() is None
    assert config.get("limit", 3) is None


def test_the_first_of_a_chain_that_has_a_key_counts() -> None:
    config = ChainConfig(
        environment(APP_PORT="80"), ChainConfig(MappingConfig({"port": 1, "host": "a"}, name="a.toml"))
    )
    assert (config.get("port"), config.get("host"), config.get("other", 3)) == ("80", "a", 3)
    assert read(config, "port", int).unwrap() == 80
    assert read(config, "host", str).unwrap() == "a"


def test_an_error_of_a_chain_names_the_source_that_had_the_value_or_all_that_had_none() -> None:
    config = ChainConfig(environment(APP_PORT="x"), MappingConfig({"port": 1, "host": "a"}, name="a.toml"))
    assert str(read(config, "port", int).failure()).startswith("Environment variable APP_PORT is 'x'")
    assert str(read(config, "hots", str).failure()) == (
        'There is no "hots": no environment variable APP_HOTS and no key "hots" of a.toml. '
        'Did you mean "host"? Set it, or give a default.'
    )


def test_any_provider_can_be_read() -> None:
    class Vault:
        def get(self, key: str, default: object = None) -> object:
            return {"port": "80"}.get(key, default)

    assert read(Vault(), "port", int).unwrap() == 80
    assert 'no key "host" of Vault' in str(read(Vault(), "host", str).failure())


def test_reading_what_configuration_has_no_form_of_is_a_mistake_of_the_code() -> None:
    with pytest.raises(TypeError, match=r"Configuration has no complex\. Read one of bool, int, float"):
        read(environment(APP_KEY="1"), "key", complex)


@pytest.mark.parametrize(
    "config",
    [environment(APP_A="b"), MappingConfig(MappingProxyType({"a": 1})), ChainConfig(MappingConfig({"a": 1}, "x"))],
    ids=lambda config: type(config).__name__,
)
def test_a_provider_is_a_value(config: ConfigProvider) -> None:
    came = pickle.loads(pickle.dumps(config))
    assert came == config
    assert hash(came) == hash(config)
    assert isinstance(config, SourcedConfig) != isinstance(config, ChainConfig)


@stage
async def wait(inputs: StageInputs[str]) -> Result[StageOutput[int], ConfigError]:
    return read(inputs.context.config, inputs.value, int).map(StageOutput.ok)


async def test_a_stage_reads_what_its_runner_was_given_and_a_run_overrides_it() -> None:
    async with Runner(config=environment(APP_TIMEOUT="30", APP_RETRIES="2")) as runner:
        plain = await runner.run(wait, "timeout")
        own = PipelineContext(config=MappingConfig({"timeout": 5}, name="this run"))
        over = await runner.run(wait, "timeout", context=own)
        below = await runner.run(wait, "retries", context=own)
        absent = await runner.run(wait, "other", context=own)
    assert [each.value for each in (plain, over, below) if isinstance(each, Completed)] == [30, 5, 2]
    assert isinstance(absent, Failed)
    assert isinstance(absent.error, ConfigError)
    assert absent.error.source == 'key "other" of this run and no environment variable APP_OTHER'


async def test_a_run_without_configuration_says_so() -> None:
    outcome = await wait.run("timeout")
    assert isinstance(outcome, Failed)
    assert "the run has no configuration. Give it one: Runner(config=EnvironmentConfig())" in str(outcome.error)
    assert read(None, "timeout", int, default=3).unwrap() == 3


async def test_an_error_of_configuration_crosses_as_data() -> None:
    from stageflow.codec import Codec

    error = read(environment(), "timeout", int).failure()
    assert Codec().decode_failure(Codec().encode_failure(error).unwrap()).unwrap() == error
