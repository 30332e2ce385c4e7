"""Types of an application's own: how the codec encodes what it does not know."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from typing_extensions import override

from stageflow.codec.plan import Misfit, Plan, misfit, named
from stageflow.codec.undeclared import Undeclared

_T = TypeVar("_T")


class AnyTypeHook:
    """What every `TypeHook` is, whatever its type."""

    __slots__ = ()

    @property
    @abstractmethod
    def plan(self) -> Plan:
        """How its values become JSON data and come back."""

    @abstractmethod
    def same(self, was: object, came: object) -> bool:
        """Whether what came back is what was encoded."""


@dataclass(frozen=True, slots=True)
class TypeHook(AnyTypeHook, Generic[_T]):
    """How values of one class become plain JSON data and come back.

    Attributes:
        type: the class, as it is declared; a subclass needs a hook of its own.
        encode: makes JSON data of a value: None, bool, int, float, str, lists and dicts of them.
        decode: makes the value of that data.
        equal: whether two values are equal, where ``==`` does not say so (arrays, data frames).

    >>> from fractions import Fraction
    >>> from stageflow.codec import Codec
    >>> codec = Codec(hooks=(TypeHook(Fraction, encode=str, decode=lambda data: Fraction(str(data))),))
    >>> codec.encode([Fraction(1, 3)], list[Fraction]).unwrap()
    b'{"$plan":["1/3"]}'
    >>> codec.decode(b'{"$plan":["1/3"]}', list[Fraction]).unwrap()
    [Fraction(1, 3)]
    """

    type: type[_T]
    encode: Callable[[_T], object]
    decode: Callable[[object], _T]
    equal: Callable[[_T, _T], object] = operator.eq

    @property
    @override
    def plan(self) -> Plan:
        return Hooked(self.type, cast("TypeHook[object]", self))

    @override
    def same(self, was: object, came: object) -> bool:
        return was.__class__ is came.__class__ and bool(self.equal(cast("_T", was), cast("_T", came)))


@dataclass(frozen=True, eq=False)
class Hooked(Plan):
    """What a hook makes of a value."""

    hook: TypeHook[object]

    @override
    def fits(self, value: object) -> bool:
        return isinstance(value, self.hook.type)

    @override
    def lower(self, value: object) -> object:
        if not self.fits(value):
            raise misfit(value, self.hook.type)
        try:
            data = self.hook.encode(value)
        except Exception as error:
            raise self._raised("encode", error) from error
        try:
            return Undeclared().lower(data)
        except Misfit as inner:
            name = named(self.hook.type)
            raise Misfit(
                f"is of the class {name}, of which its TypeHook.encode makes what is no plain JSON data: {inner} "
                "Let it give None, bool, int, float, str, or lists and dicts of them."
            ) from inner

    @override
    def lift(self, data: object) -> object:
        try:
            return self.hook.decode(data)
        except Exception as error:
            raise self._raised("decode", error) from error

    def _raised(self, what: str, error: Exception) -> Misfit:
        name, raised = named(self.hook.type), f"raises {type(error).__name__}: {error}"
        return Misfit(f"is of the class {name}, and its TypeHook.{what} {raised}. Mend the hook.")
