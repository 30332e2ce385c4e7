"""The codec and configuration: what comes back has the type that was asked for."""

from __future__ import annotations

from pathlib import Path

from returns.result import Failure, Result, Success
from typing_extensions import assert_type
from vocabulary import NotFound, Page, fetch

from stageflow import CodecError, StageError, StageInputs, StageOutput, stage
from stageflow.codec import Codec, Declared, TypeHook, declared
from stageflow.config import ChainConfig, ConfigError, EnvironmentConfig, MappingConfig, read

CODEC = Codec(hooks=(TypeHook(Path, encode=str, decode=lambda data: Path(str(data))),))
TypeHook(Path, encode=len, decode=lambda data: Path(str(data)))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Codec(hooks=(str,))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

data: bytes = CODEC.encode(Page("a", "b"), Page).unwrap()
assert_type(CODEC.encode([1], list[int]), Result[bytes, CodecError])
assert_type(CODEC.decode(data, Page), Result[Page, CodecError])
assert_type(CODEC.decode(data, list[Page]), Result[list[Page], CodecError])
assert_type(CODEC.decode(data, Success[Page] | Failure[NotFound]), Result[object, CodecError])
assert_type(CODEC.decode_failure(data), Result[StageError, CodecError])
assert_type(declared(fetch), Declared)
wrong: Result[str, CodecError] = CODEC.decode(data, Page)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
CODEC.decode("text", Page)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
CODEC.encode_failure(ValueError())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

CONFIG = ChainConfig(EnvironmentConfig("APP_"), MappingConfig({"timeout": 3}))
assert_type(read(CONFIG, "timeout", int), Result[int, ConfigError])
assert_type(read(CONFIG, "hosts", list[str], default=[]), Result[list[str], ConfigError])
assert_type(read(CONFIG, "limit", int | None), Result[object, ConfigError])
number: Result[int, ConfigError] = read(CONFIG, "timeout", str)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
ChainConfig(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
read({"timeout": 3}, "timeout", int)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


@stage
async def limit(inputs: StageInputs[str]) -> Result[StageOutput[int], ConfigError]:
    """An error of configuration is one of the stage's own."""
    return read(inputs.context.config, inputs.value, int).map(StageOutput.ok)
