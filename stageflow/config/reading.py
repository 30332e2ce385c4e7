"""Typed reads of configuration: the value as the type that is asked for, or an error that names the source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Protocol, TypeVar, cast, overload, runtime_checkable

from returns.result import Failure, Result, Success

from stageflow.config.providers import ABSENT, SourcedConfig
from stageflow.config.values import Unfit, fitted
from stageflow.errors import StageError
from stageflow.ports import ConfigProvider

_T = TypeVar("_T")
_SECRET = ("password", "secret", "token", "credential", "api_key", "apikey", "private")


class ConfigError(StageError):
    """A value of configuration is absent, or is none of the type that is asked for.

    Attributes:
        key: what was asked for.
        source: where its value stands, or would stand.
    """

    key: str
    source: str


@runtime_checkable
class _Layers(Protocol):
    """A provider that is made of others, the most important first."""

    @property
    def providers(self) -> Sequence[ConfigProvider]: ...


@overload
def read(config: ConfigProvider | None, key: str, type: type[_T]) -> Result[_T, ConfigError]: ...
@overload
def read(config: ConfigProvider | None, key: str, type: type[_T], *, default: _T) -> Result[_T, ConfigError]: ...
@overload
def read(
    config: ConfigProvider | None, key: str, type: object, *, default: object = ...
) -> Result[object, ConfigError]: ...
def read(
    config: ConfigProvider | None, key: str, type: object, *, default: object = ABSENT
) -> Result[object, ConfigError]:
    """The value of a key, as the type that is asked for.

    Args:
        config: where to read it: what `Runner(config=)` was given, ``inputs.context.config`` in a stage.
        key: the key.
        type: bool, int, float, str, Path, timedelta, date, datetime, UUID, Decimal, an Enum or a Literal; a list,
            tuple, set or frozenset of these, which is comma-separated in a text; one of several with ``|``.
        default: what to give where the key is absent; never where its value is none of the type.

    Raises:
        TypeError: the type is none of these.

    >>> from stageflow.config import EnvironmentConfig
    >>> config = EnvironmentConfig("APP_", {"APP_TIMEOUT": "30", "APP_HOSTS": "a, b"})
    >>> read(config, "timeout", int).unwrap(), read(config, "hosts", list[str]).unwrap()
    (30, ['a', 'b'])
    >>> print(read(config, "timeuot", int).failure())
    There is no "timeuot": no environment variable APP_TIMEUOT. Did you mean "timeout"? Set it, or give a default.
    """
    if config is None:
        text = f'There is no "{key}": the run has no configuration. Give it one: Runner(config=EnvironmentConfig()).'
        return Success(default) if default is not ABSENT else Failure(ConfigError(text, key=key, source="none"))
    layers = tuple(_layers(config))
    for layer in layers:
        if (found := layer.get(key, ABSENT)) is not ABSENT:
            return _read(layer, key, found, type)
    return Failure(_absent(layers, key)) if default is ABSENT else Success(default)


def _layers(config: ConfigProvider) -> Iterable[ConfigProvider]:
    if not isinstance(config, _Layers):
        yield config
        return
    for layer in cast("_Layers", config).providers:
        yield from _layers(layer)


def _read(config: ConfigProvider, key: str, found: object, type: object) -> Result[object, ConfigError]:
    try:
        return Success(fitted(found, type, texts=not isinstance(config, SourcedConfig) or config.texts))
    except Unfit as unfit:
        where = _where(config, key)
        shown = "not shown here" if any(part in key.lower() for part in _SECRET) else repr(found)
        text = f"{where[0].upper()}{where[1:]} is {shown}, where {unfit.wanted} is wanted. {unfit.fix}"
        return Failure(ConfigError(text, key=key, source=where))


def _absent(layers: Sequence[ConfigProvider], key: str) -> ConfigError:
    source = " and no ".join(_where(layer, key) for layer in layers)
    known = [each for layer in layers if isinstance(layer, SourcedConfig) for each in layer.known()]
    close = get_close_matches(key, known, n=1)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    return ConfigError(f'There is no "{key}": no {source}.{hint} Set it, or give a default.', key=key, source=source)


def _where(config: ConfigProvider, key: str) -> str:
    return config.where(key) if isinstance(config, SourcedConfig) else f'key "{key}" of {type(config).__name__}'
