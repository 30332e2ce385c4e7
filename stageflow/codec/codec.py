"""Values as bytes and back, by their declared type; what would not come back is found when it is encoded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast, overload

import msgspec
from returns.result import Failure, Result, Success
from typing_extensions import override

from stageflow.codec.analysis import Analysis
from stageflow.codec.comparison import Comparison
from stageflow.codec.failures import slots_of
from stageflow.codec.hooks import AnyTypeHook
from stageflow.codec.native import ENCODER, Native, native
from stageflow.codec.plan import Misfit, Plan, named, walked
from stageflow.codec.records import Field
from stageflow.codec.schema import schema
from stageflow.codec.standins import Unknown
from stageflow.errors import CodecError, StageError

_T = TypeVar("_T")
NAME: Final = "msgspec-json/1"


@dataclass(frozen=True, slots=True)
class Compiled:
    """What is made of a type once.

    Attributes:
        plan: how its values become data and come back.
        native: msgspec's own way, where it has one.
    """

    plan: Plan
    native: Native | None


@dataclass(frozen=True, slots=True)
class Codec:
    """Encodes values as JSON by their declared type, and decodes them. Immutable; types are analysed once.

    Attributes:
        hooks: types of the application's own.

    >>> codec = Codec()
    >>> codec.encode({"a": (1, 2)}, dict[str, tuple[int, int]]).unwrap()
    b'{"a":[1,2]}'
    >>> codec.decode(b'{"a":[1,2]}', dict[str, tuple[int, int]]).unwrap()
    {'a': (1, 2)}
    """

    hooks: tuple[AnyTypeHook, ...] = ()
    _by_type: Mapping[object, AnyTypeHook] = field(init=False, repr=False, compare=False)
    _compiled: dict[object, Compiled] = field(init=False, repr=False, compare=False)
    _of_errors: dict[type[StageError], tuple[Field, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_type", {hook.plan.of: hook for hook in self.hooks})
        object.__setattr__(self, "_compiled", {})  # what has been analysed: it only ever grows
        object.__setattr__(self, "_of_errors", {})

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return (Codec, (self.hooks,))

    @property
    def name(self) -> str:
        """The format and its version, to be kept beside what is encoded."""
        return NAME

    def encode(self, value: object, type: object) -> Result[bytes, CodecError]:
        """The value as bytes that `decode` makes an equal value of, all types inside included.

        Args:
            value: what to encode.
            type: its declared type; ``object`` where there is none, which only plain JSON data fits.

        >>> print(Codec().encode({"pages": [b"x"]}, dict[str, list[str]]).failure())
        Cannot encode a value as dict[str, list[str]]: $['pages'][0] is b'x' (bytes), where str is declared. \
Give a value of the declared type, or declare bytes there.
        """
        try:
            compiled = self._of(type)
            if compiled.native is not None and (data := self._natively(value, compiled)) is not None:
                return Success(data)
            data = _written(compiled.plan.lower(value))
            Comparison(self._by_type).check(value, _read(data, compiled))
        except Exception as error:  # noqa: BLE001  (whatever an application's own types raise)
            what = f"the error {named(value.__class__)}" if type is StageError else f"a value as {named(type)}"
            return Failure(_refused(f"Cannot encode {what}", error))
        return Success(data)

    def _natively(self, value: object, compiled: Compiled) -> bytes | None:
        """What msgspec makes of it, where an equal value comes back."""
        try:
            data = ENCODER.encode(value)
            if data.startswith(_MARK):
                return None
            Comparison(self._by_type).check(value, _read(data, compiled))
        except Exception:  # noqa: BLE001  (the plan tells what is wrong, and where)
            return None
        return data

    @overload
    def decode(self, data: bytes, type: type[_T]) -> Result[_T, CodecError]: ...
    @overload
    def decode(self, data: bytes, type: object) -> Result[object, CodecError]: ...
    def decode(self, data: bytes, type: object) -> Result[object, CodecError]:
        """The value that was encoded.

        Args:
            data: what `encode` gave.
            type: the type it was encoded by.
        """
        try:
            return Success(_read(data, self._of(type)))
        except Exception as error:  # noqa: BLE001  (whatever an application's own types raise)
            return Failure(_refused(f"Cannot decode a value of {named(type)}", error))

    def encode_failure(self, error: StageError) -> Result[bytes, CodecError]:
        """An error as bytes: its class by name, its fields, its notes, and what caused it as text."""
        return self.encode(error, StageError)

    def decode_failure(self, data: bytes) -> Result[StageError, CodecError]:
        """The error that was encoded, equal to it; what caused it stands as an `OriginalError` in ``__cause__``."""
        try:
            return Success(cast("StageError", _read(data, self._of(StageError))))
        except Exception as error:  # noqa: BLE001  (whatever the fields of an application's own types raise)
            return Failure(_refused("Cannot decode an error", error))

    def refused(self, type: object) -> str:
        """Why no value of the type can be encoded; empty where some can.

        >>> Codec().refused(list[int]), Codec().refused(memoryview)[:45]
        ('', 'the codec does not know the type memoryview. ')
        """
        plan = self._of(type).plan
        return plan.reason if isinstance(plan, Unknown) else ""

    def unknown(self, type: object) -> tuple[object, ...]:
        """The types inside of this one, itself included, of which the codec cannot encode any value.

        >>> Codec().unknown(dict[str, complex | None])
        (<class 'complex'>,)
        """
        return tuple(plan.of for plan in walked(self._of(type).plan) if isinstance(plan, Unknown))

    def schema_hash(self, type: object) -> str:
        """A digest of what values of the type look like as data: it changes where fields or their types do."""
        return hashlib.sha256(schema(self._of(type).plan).encode()).hexdigest()[:16]

    def _of(self, type: object) -> Compiled:
        try:
            return self._compiled[type]
        except KeyError:
            self._compiled[type] = compiled = self._compile(type)
            return compiled
        except TypeError:  # a Literal or Annotated of what does not hash
            return self._compile(type)

    def _compile(self, type: object) -> Compiled:
        plan = Analysis(self._by_type, self._fields_of).plan(type)
        return Compiled(plan, native(type, plan))

    def _fields_of(self, error: type[StageError]) -> tuple[Field, ...]:
        if error not in self._of_errors:
            analysis = Analysis(self._by_type, self._fields_of)
            self._of_errors[error] = analysis.fields(error, slots_of(error))
        return self._of_errors[error]


def _written(data: object) -> bytes:
    return ENCODER.encode({_PLAN: data})


def _read(data: bytes, compiled: Compiled) -> object:
    if data.startswith(_MARK):
        stored = cast("dict[str, object]", msgspec.json.decode(data))
        return compiled.plan.lift(stored[_PLAN])
    if compiled.native is not None:
        return compiled.native.decode(data)
    return compiled.plan.lift(msgspec.json.decode(data))


_PLAN: Final = "$plan"  # what a plan has written says so: msgspec must not read it by the same type
_MARK: Final = b'{"$plan":'


def _refused(what: str, error: Exception) -> CodecError:
    match error:
        case Misfit():
            text = f"{what}: {error}"
        case RecursionError():
            text = f"{what}: it nests too deep, or holds itself. Give it as a flat list of parts with their ids."
        case msgspec.ValidationError():
            text = f"{what}: {error}. It was encoded of another type, or is damaged."
        case msgspec.DecodeError():
            text = f"{what}: the data is no JSON ({error}). It is damaged, or was encoded by another codec than {NAME}."
        case _:
            text = f"{what}: {type(error).__name__}: {error}"
    refused = CodecError(text)
    refused.__cause__ = error
    return refused
