"""Plans of what can be one of several: unions, which JSON data tells apart by a tag, and results as values."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from returns.result import Failure, Success
from typing_extensions import override

from stageflow.codec.plan import Inside, Misfit, Part, Plan, as_object, misfit, named, unread

TAG, VALUE = "$type", "value"


@dataclass(frozen=True, eq=False)
class OneOfSeveral(Plan):
    """A union: None as it is, the only other one as it is, any of several with its tag."""

    alternatives: Mapping[str, Plan]
    none: bool

    @property
    @override
    def native(self) -> bool:
        return True

    @property
    @override
    def parts(self) -> tuple[Part, ...]:
        return tuple(Inside(tag, plan) for tag, plan in sorted(self.alternatives.items()))

    @property
    @override
    def label(self) -> str:
        return "optional" if self.none else "union"

    @override
    def fits(self, value: object) -> bool:
        return (self.none and value is None) or any(plan.fits(value) for plan in self.alternatives.values())

    @override
    def lower(self, value: object) -> object:
        if value is None and self.none:
            return None
        nearest: Misfit | None = None
        fitting = {tag: plan for tag, plan in self.alternatives.items() if plan.fits(value)}
        for tag, plan in (fitting or self.alternatives).items():
            try:
                data = plan.lower(value)
            except Misfit as tried:
                nearest = tried if nearest is None or len(tried.path) > len(nearest.path) else nearest
            else:
                return data if len(self.alternatives) == 1 else {TAG: tag, VALUE: data}
        raise misfit(value, self.of) if nearest is None or not (nearest.path or len(fitting) == 1) else nearest

    @override
    def lift(self, data: object) -> object:
        if data is None and self.none:
            return None
        if len(self.alternatives) == 1:
            return next(iter(self.alternatives.values())).lift(data)
        tagged = as_object(data) or {}
        plan = self.alternatives.get(str(tagged.get(TAG)))
        if plan is None or VALUE not in tagged:
            raise unread(data, self.of)
        return plan.lift(tagged[VALUE])


def tagged(of: object, plans: list[Plan], *, none: bool) -> OneOfSeveral:
    """The union of these: each by the shortest name that tells it from the others."""
    levels = [[plan.tag or name(plan.of) for plan in plans] for name in (_outside, named, _full)]
    tags = [
        next((name for name, level in zip(names, levels, strict=True) if level.count(name) == 1), names[-1])
        for names in zip(*levels, strict=True)
    ]
    return OneOfSeveral(of, dict(zip(tags, plans, strict=True)), none)


def _outside(of: object) -> str:
    return named(typing.get_origin(of) or of)


def _full(of: object) -> str:
    return f"{of.__module__}:{of.__qualname__}" if isinstance(of, type) and not typing.get_args(of) else str(of)


@dataclass(frozen=True, eq=False)
class Abstract(OneOfSeveral):
    """An abstract collection: whichever of the builtin ones it is."""

    @property
    @override
    def native(self) -> bool:
        # Where others are expected, msgspec makes a list of what was a tuple, and a dict of any mapping: only the
        # first is told apart from tagged data by its form.
        return "list" in {plan.label for plan in self.alternatives.values()}


@dataclass(frozen=True, eq=False)
class Outcome(Plan):
    """A ``Success`` or a ``Failure`` as a value."""

    kind: type[Success[object] | Failure[object]]
    inner: Plan

    @property
    def _step(self) -> str:
        return ".unwrap()" if self.kind is Success else ".failure()"

    @property
    @override
    def parts(self) -> tuple[Part, ...]:
        return (Inside(self._step, self.inner),)

    @property
    @override
    def label(self) -> str:
        return self.kind.__name__

    @override
    def fits(self, value: object) -> bool:
        return type(value) is self.kind

    @override
    def lower(self, value: object) -> object:
        if type(value) is not self.kind:
            raise misfit(value, self.of)
        try:
            return self.inner.lower(inner_value(value))
        except Misfit as inner:
            raise inner.under(self._step) from inner

    @override
    def lift(self, data: object) -> object:
        try:
            return self.kind(self.inner.lift(data))
        except Misfit as inner:
            raise inner.under(self._step) from inner


def inner_value(result: object) -> object:
    """What a Success or a Failure holds."""
    if isinstance(result, Success):
        return cast("Success[object]", result).unwrap()
    return cast("Failure[object]", result).failure() if isinstance(result, Failure) else None
