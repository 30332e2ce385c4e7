"""Plans that stand for others: of a type inside itself, and of a type that the codec does not know."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from typing_extensions import Never, override

from stageflow.codec.plan import Misfit, Plan, brief, named


@dataclass(frozen=True, eq=False)
class Later(Plan):
    """The plan of a type inside itself."""

    plans: Mapping[object, Plan]

    @property
    @override
    def native(self) -> bool:
        return True

    @property
    @override
    def label(self) -> str:
        return f"again {named(self.of)}"

    @override
    def fits(self, value: object) -> bool:
        return self.plans[self.of].fits(value)

    @override
    def lower(self, value: object) -> object:
        return self.plans[self.of].lower(value)

    @override
    def lift(self, data: object) -> object:
        return self.plans[self.of].lift(data)


@dataclass(frozen=True, eq=False)
class Unknown(Plan):
    """A type that the codec does not know: no value of it is encoded."""

    why: str = ""

    @override
    def fits(self, value: object) -> bool:
        return self.of in cast("tuple[object, ...]", type(value).__mro__)  # a protocol answers isinstance with an error

    @override
    def lower(self, value: object) -> object:
        raise Misfit(self.why or f"is {brief(value)}, and {self._unknown()}")

    @override
    def lift(self, data: object) -> object:
        raise Misfit(self.why or f"has {brief(data)}, and {self._unknown()}")

    @property
    def reason(self) -> str:
        """Why no value of it can be encoded; empty where there is none."""
        return "" if self.of in _NOTHING else self.why or self._unknown()

    def _unknown(self) -> str:
        if self.of in _NOTHING:
            return "no value at all is declared there. Declare its type."
        name = named(self.of)
        return (
            f"the codec does not know the type {name}. Declare a dataclass, a builtin or a typing form there, or give "
            f"the codec a hook: Codec(hooks=(TypeHook({name}, encode=..., decode=...),))."
        )


_NOTHING: Final[tuple[object, ...]] = (Never, typing.NoReturn)
