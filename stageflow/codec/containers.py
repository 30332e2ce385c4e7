"""Plans of what holds others by position or key: lists, tuples, sets, mappings."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, cast

from typing_extensions import override

from stageflow.codec.plan import Inside, Misfit, Part, Plan, as_array, as_object, misfit, unread

Build = Callable[[Iterable[object]], object]
COLLECTIONS: Final[Mapping[object, Build]] = MappingProxyType(
    {list: list, tuple: tuple, set: set, frozenset: frozenset, deque: deque}
)
MAPPINGS: Final[Mapping[object, Callable[[dict[object, object]], object]]] = MappingProxyType(
    {dict: dict, OrderedDict: OrderedDict, MappingProxyType: MappingProxyType}
)


@dataclass(frozen=True, eq=False)
class Items(Plan):
    """Any number of values of one type."""

    kind: type
    item: Plan

    @property
    @override
    def native(self) -> bool:
        return self.kind is not deque

    @property
    @override
    def parts(self) -> tuple[Part, ...]:
        return (Inside("[]", self.item),)

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
        return each_by_index(cast("Collection[object]", value), self.item.lower)

    @override
    def lift(self, data: object) -> object:
        if (stored := as_array(data)) is None:
            raise unread(data, self.of)
        items = each_by_index(stored, self.item.lift)
        try:
            return COLLECTIONS[self.kind](items)
        except TypeError as error:  # an item that does not hash
            raise Misfit(f"cannot be a {self.kind.__name__}: {error}. Make it frozen, or declare a list.") from error


def each_by_index(values: Iterable[object], change: Callable[[object], object]) -> list[object]:
    """What a function makes of each value, and its index in the path where it does not fit."""
    changed: list[object] = []
    try:
        changed.extend(map(change, values))
    except Misfit as inner:
        raise inner.under(f"[{len(changed)}]") from inner
    return changed


@dataclass(frozen=True, eq=False)
class Row(Plan):
    """So many values, each of its own type: a tuple, or a named one."""

    kind: type[tuple[object, ...]]
    items: tuple[Plan, ...]
    names: tuple[str, ...] = ()

    @property
    @override
    def native(self) -> bool:
        return True

    @property
    @override
    def parts(self) -> tuple[Part, ...]:
        return tuple(Inside(self._step(at), item) for at, item in enumerate(self.items))

    @property
    @override
    def label(self) -> str:
        return self.kind.__name__

    def _step(self, at: int) -> str:
        return f".{self.names[at]}" if self.names else f"[{at}]"

    @override
    def fits(self, value: object) -> bool:
        return type(value) is self.kind and len(value) == len(self.items)

    @override
    def lower(self, value: object) -> object:
        if not self.fits(value):
            raise misfit(value, self.of)
        return self._each(cast("tuple[object, ...]", value), [item.lower for item in self.items])

    @override
    def lift(self, data: object) -> object:
        stored = as_array(data)
        if stored is None or len(stored) != len(self.items):
            raise unread(data, self.of)
        items = self._each(stored, [item.lift for item in self.items])
        return tuple[object, ...].__new__(self.kind, items)

    def _each(self, values: Iterable[object], change: list[Callable[[object], object]]) -> list[object]:
        changed: list[object] = []
        try:
            changed.extend(each(value) for each, value in zip(change, values, strict=True))
        except Misfit as inner:
            raise inner.under(self._step(len(changed))) from inner
        return changed


@dataclass(frozen=True, eq=False)
class Entries(Plan):
    """A mapping: an object of JSON where its keys are texts, else a list of pairs."""

    kind: type
    key: Plan
    value: Plan

    @property
    @override
    def native(self) -> bool:
        return self.kind is dict

    @property
    @override
    def parts(self) -> tuple[Part, ...]:
        return (Inside("{}", self.key), Inside("[]", self.value))

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
        pairs = [self._pair(pair, self.key.lower, self.value.lower) for pair in _items(value)]
        return dict(pairs) if self.key.of is str else [list(pair) for pair in pairs]

    @override
    def lift(self, data: object) -> object:
        pairs = [self._pair(pair, self.key.lift, self.value.lift) for pair in self._stored(data)]
        try:
            return MAPPINGS[self.kind](dict(pairs))
        except TypeError as error:  # a key that does not hash
            raise Misfit(f"cannot be a {self.kind.__name__}: {error}. Make it frozen, or declare a list.") from error

    def _stored(self, data: object) -> list[tuple[object, object]]:
        texts = self.key.of is str
        if texts and (stored := as_object(data)) is not None:
            return _items(stored)
        pairs = [as_array(pair) for pair in as_array(data) or ()]
        if texts or as_array(data) is None or any(pair is None or len(pair) != 2 for pair in pairs):  # noqa: PLR2004  (key and value)
            raise unread(data, self.of)
        return [(pair[0], pair[1]) for pair in pairs if pair]

    def _pair(
        self, pair: tuple[object, object], key: Callable[[object], object], value: Callable[[object], object]
    ) -> tuple[object, object]:
        step = f"[{pair[0]!r}]"
        try:
            changed = key(pair[0])
        except Misfit as inner:
            raise Misfit(f"has a key that {inner.what}", inner.path) from inner
        try:
            return (changed, value(pair[1]))
        except Misfit as inner:
            raise inner.under(step) from inner


def _items(of: object) -> list[tuple[object, object]]:
    return list(cast("Mapping[object, object]", of).items())
