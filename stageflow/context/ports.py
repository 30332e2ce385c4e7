"""Capabilities that the host supplies to stages, each typed by its key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar, cast, final

from typing_extensions import override

from stageflow.errors import MissingPortError

_T = TypeVar("_T")


class AnyPortKey:
    """What every `PortKey` is, whatever it carries."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        if not name.strip():
            raise ValueError('A port needs a name: PortKey("clock").')
        self._name = name

    @property
    def name(self) -> str:
        """What error texts call the port."""
        return self._name

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyPortKey) and self._name == other._name

    @override
    def __hash__(self) -> int:
        return hash(self._name)

    @override
    def __repr__(self) -> str:
        return f"PortKey({self._name!r})"


@final
class PortKey(AnyPortKey, Generic[_T]):
    """The name of a capability, with its type: ``CLOCK: PortKey[Clock] = PortKey("clock")``. Equal by name."""

    __slots__ = ()

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return (PortKey, (self.name,))


@final
class StagePorts:
    """The capabilities a run provides; immutable.

    >>> GREETING: PortKey[str] = PortKey("greeting")
    >>> StagePorts().provide(GREETING, "hello")[GREETING]
    'hello'
    """

    __slots__ = ("_provided",)

    def __init__(self) -> None:
        self._provided: Mapping[AnyPortKey, object] = MappingProxyType({})

    def provide(self, key: PortKey[_T], capability: _T) -> StagePorts:
        """These ports and one more; a key given again is replaced."""
        return _with({**self._provided, key: capability})

    def over(self, other: StagePorts) -> StagePorts:
        """The ports of both; where both have a key, this one's."""
        if not (self._provided and other):
            return self if self._provided else other
        return _with({**dict(other.items()), **self._provided})

    def items(self) -> Iterable[tuple[AnyPortKey, object]]:
        """Every key with its capability."""
        return self._provided.items()

    def __getitem__(self, key: PortKey[_T]) -> _T:
        """The capability.

        Raises:
            MissingPortError: nobody provided it.
        """
        try:
            return cast("_T", self._provided[key])
        except KeyError:
            raise MissingPortError(missing_port(key)) from None

    def __len__(self) -> int:
        return len(self._provided)

    def __contains__(self, key: object) -> bool:
        return key in self._provided

    def __iter__(self) -> Iterator[AnyPortKey]:
        return iter(self._provided)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, StagePorts) and self._provided == other._provided

    @override
    def __hash__(self) -> int:
        return hash(frozenset(self._provided.items()))

    @override
    def __repr__(self) -> str:
        return f"StagePorts({', '.join(key.name for key in self._provided)})"

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return (_with, (dict(self._provided),))


def _with(provided: dict[AnyPortKey, object]) -> StagePorts:
    ports = StagePorts()
    ports._provided = MappingProxyType(provided)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # as it is made
    return ports


def missing_port(key: AnyPortKey, stage: str = "") -> str:
    """The text that says what to provide, and where."""
    port = f'the port "{key.name}"'
    said = f'Stage "{stage}" requires {port}, which was not provided.' if stage else f"Nobody provided {port}."
    return f"{said} Give PipelineContext or Runner ports=StagePorts().provide(<PortKey {key.name!r}>, ...)."
