"""Where configuration comes from: a mapping, the environment, or the first of several that has a key."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, cast, runtime_checkable

from typing_extensions import override

from stageflow.ports import ConfigProvider

ABSENT: Final = object()


@runtime_checkable
class SourcedConfig(Protocol):
    """A provider that tells where its values come from, for the texts of errors."""

    @property
    def texts(self) -> bool:
        """Whether its values are texts, to be read as the type that is asked for."""
        ...

    def where(self, key: str) -> str:
        """Where the value of a key stands: ``environment variable APP_TIMEOUT``."""
        ...

    def known(self) -> Iterable[str]:
        """The keys that have a value, to suggest the nearest of."""
        ...


@dataclass(frozen=True, slots=True)
class MappingConfig:
    """Configuration of a mapping: of a file that was parsed, or written in code.

    A key that is not there as it is written is looked up part by part, so that ``http.timeout`` is found in
    ``{"http": {"timeout": 5}}``.

    Attributes:
        mapping: the values.
        name: what errors call it: the name of the file.
        texts: whether the values are texts, as those of an ``.ini`` file are, to be read as the type that is asked for.

    >>> config = MappingConfig({"http": {"timeout": 5}}, name="app.toml")
    >>> config.get("http.timeout")
    5
    >>> config.where("http.timeout")
    'key "http.timeout" of app.toml'
    """

    mapping: Mapping[str, object] = field(repr=False)
    name: str = "the configuration"
    texts: bool = False

    def get(self, key: str, default: object = None) -> object:
        """The value of a key, or the default where it has none."""
        if key in self.mapping:
            return self.mapping[key]
        found: object = self.mapping
        for part in key.split("."):
            found = _inside(found).get(part, ABSENT)
        return default if found is ABSENT else found

    def where(self, key: str) -> str:
        """The key and the name of the mapping."""
        return f'key "{key}" of {self.name}'

    def known(self) -> Iterable[str]:
        """Every key, those of mappings inside with what leads to them."""
        return tuple(_keys(self.mapping))

    @override
    def __hash__(self) -> int:
        return hash((self.name, *self.mapping))

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return (MappingConfig, (dict(self.mapping), self.name, self.texts))  # a mapping proxy does not pickle


def _inside(of: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", of) if isinstance(of, Mapping) else {}


def _keys(of: Mapping[str, object], before: str = "") -> Iterable[str]:
    for key, value in of.items():
        yield before + key
        yield from _keys(_inside(value), f"{before}{key}.")


@dataclass(frozen=True, slots=True)
class EnvironmentConfig:
    """Configuration of environment variables: ``http.timeout`` is ``APP_HTTP_TIMEOUT`` where the prefix is ``APP_``.

    Attributes:
        prefix: what the names of the variables begin with.
        variables: the environment; the process's own, as it is at each read, where none is given.

    >>> config = EnvironmentConfig("APP_", variables={"APP_HTTP_TIMEOUT": "5"})
    >>> config.get("http.timeout")
    '5'
    >>> config.where("http.timeout")
    'environment variable APP_HTTP_TIMEOUT'
    """

    prefix: str = ""
    variables: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def texts(self) -> bool:
        """Always: an environment has nothing else."""
        return True

    def get(self, key: str, default: object = None) -> object:
        """The text of the variable, or the default where it is not set."""
        return self._variables.get(self._name(key), default)

    def where(self, key: str) -> str:
        """The name of the variable."""
        return f"environment variable {self._name(key)}"

    def known(self) -> Iterable[str]:
        """What the variables of this prefix are, as keys."""
        length = len(self.prefix)
        return tuple(name[length:].lower() for name in self._variables if name.startswith(self.prefix))

    @property
    def _variables(self) -> Mapping[str, str]:
        return os.environ if self.variables is None else self.variables

    def _name(self, key: str) -> str:
        return self.prefix + key.upper().replace(".", "_").replace("-", "_")

    @override
    def __hash__(self) -> int:
        return hash((self.prefix, self.variables is None))


@dataclass(frozen=True, slots=True, init=False)
class ChainConfig:
    """Several providers as one: the first that has a key counts.

    Args:
        providers: the providers, the most important first.

    >>> config = ChainConfig(EnvironmentConfig("APP_", {"APP_PORT": "80"}), MappingConfig({"port": 1, "host": "a"}))
    >>> config.get("port"), config.get("host")
    ('80', 'a')
    """

    providers: tuple[ConfigProvider, ...]

    def __init__(self, *providers: ConfigProvider) -> None:
        object.__setattr__(self, "providers", providers)

    def get(self, key: str, default: object = None) -> object:
        """The value that the first provider has, or the default where none has one."""
        for provider in self.providers:
            if (found := provider.get(key, ABSENT)) is not ABSENT:
                return found
        return default

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return (ChainConfig, self.providers)
