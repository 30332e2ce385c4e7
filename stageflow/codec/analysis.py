"""From a type to the plan of its values."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import inspect
import types
import typing
from collections import abc
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import Final, cast

from returns.result import Failure, Result, Success
from typing_extensions import NotRequired, ReadOnly, Required, TypeAliasType

from stageflow.codec.cases import Member, OneOf
from stageflow.codec.containers import COLLECTIONS, MAPPINGS, Entries, Items, Row
from stageflow.codec.failures import Raised
from stageflow.codec.hints import bound, evaluated, hints_of, put
from stageflow.codec.hooks import AnyTypeHook
from stageflow.codec.plan import Misfit, Plan
from stageflow.codec.records import Field, Keyed, Record
from stageflow.codec.scalars import EXACT, Exact, Location, Moment, Real, Text
from stageflow.codec.slots import Slot, keys, slots
from stageflow.codec.standins import Later, Unknown
from stageflow.codec.undeclared import Undeclared
from stageflow.codec.unions import Abstract, Outcome, tagged
from stageflow.errors import StageError

ABSTRACT: Final[Mapping[object, tuple[type, ...]]] = MappingProxyType(
    {
        abc.Sequence: (list, tuple),
        abc.MutableSequence: (list,),
        abc.Collection: (list, tuple, set, frozenset),
        abc.Iterable: (list, tuple, set, frozenset),
        abc.Set: (set, frozenset),
        abc.MutableSet: (set,),
        abc.Mapping: (dict, MappingProxyType),
        abc.MutableMapping: (dict,),
    }
)
_ANY: Final[object] = typing.Any
_SELF: Final[object] = typing.Self
_ALIAS: Final[tuple[type[object], ...]] = (TypeAliasType, getattr(typing, "TypeAliasType", TypeAliasType))
_QUALIFIERS: Final = (typing.Annotated, typing.Final, Required, NotRequired, ReadOnly, typing.Required)


class Analysis:
    """Makes the plan of one type; what is inside itself is met again by name.

    Args:
        hooks: types of the application's own.
        fields_of: the plans of the fields of an error, which are asked for when one is met.
    """

    def __init__(
        self, hooks: Mapping[object, AnyTypeHook], fields_of: Callable[[type[StageError]], tuple[Field, ...]]
    ) -> None:
        self._hooks = hooks
        self._fields_of = fields_of
        self._plans: dict[object, Plan] = {}
        self._open: set[object] = set()
        self._owners: list[object] = []  # the classes whose fields are looked at, for Self

    def plan(self, of: object) -> Plan:  # noqa: C901, PLR0912  (one line for each form that a type has)
        """The plan of a type; where it is not known, one that no value fits."""
        of = _bare(of)
        origin, arguments = typing.get_origin(of), typing.get_args(of)
        kind = origin or of
        if of in self._hooks:
            return self._hooks[of].plan
        if of is object or of is _ANY:
            return Undeclared(of)
        if of is str:
            return Text(str)
        if of is float:
            return Real(float)
        if of is dt.datetime or of is dt.time:
            return Moment(of)
        if of in EXACT:
            return Exact(cast("type", of))
        if of is _SELF and self._owners:
            return self.plan(self._owners[-1])
        if isinstance(of, typing.TypeVar):
            return self.plan(of.__bound__ or object)
        if kind is typing.Literal:
            return OneOf(of)
        if kind in (typing.Union, types.UnionType):
            return self._union(of, arguments)
        if kind is Result:
            return self.plan(Success[arguments[0]] | Failure[arguments[1]])  # type: ignore[valid-type]  # a type of run time
        if kind in (Success, Failure):
            inner = self.plan(arguments[0] if arguments else object)
            return Outcome(of, cast("type[Success[object] | Failure[object]]", kind), inner)
        if kind is tuple and arguments[1:] != (...,) and (arguments or origin):
            return Row(of, tuple, tuple(self.plan(each) for each in arguments))
        if kind in COLLECTIONS:
            return Items(of, cast("type", kind), self.plan(arguments[0] if arguments else object))
        if kind in MAPPINGS:
            key, value = arguments or (str, object)
            return Entries(of, cast("type", kind), self.plan(key), self.plan(value))
        if kind in ABSTRACT:
            return self._abstract(of, ABSTRACT[kind], arguments)
        if isinstance(kind, _ALIAS):
            return self._once(of, lambda: self._alias(cast("TypeAliasType", kind), arguments))
        return self._class(of, cast("type[object]", kind)) if isinstance(kind, type) else Unknown(of)

    def _class(self, of: object, kind: type[object]) -> Plan:
        if issubclass(kind, enum.Enum):
            return Member(kind)
        if issubclass(kind, PurePath):
            return Location(kind)
        if issubclass(kind, StageError):
            return Raised(of, (kind,), self._fields_of)
        return self._once(of, lambda: self._record(of, kind))

    def _record(self, of: object, kind: type[object]) -> Plan:
        names = cast("tuple[str, ...] | None", getattr(kind, "_fields", None))
        if names is not None and issubclass(kind, tuple):
            plans = self.fields(of, tuple(Slot(name, name) for name in names))
            return Row(of, cast("type[tuple[object, ...]]", kind), tuple(each.plan for each in plans), names)
        declared = keys(kind)
        if declared is not None:
            return Keyed(of, self.fields(of, declared))
        found = slots(kind)
        return Unknown(of) if found is None else Record(of, kind, self.fields(of, found))

    def fields(self, of: object, found: tuple[Slot, ...]) -> tuple[Field, ...]:
        """The plans of the fields of a class."""
        kind = cast("type", typing.get_origin(of) or of)
        hints, variables = hints_of(kind), bound(of)

        def typed(name: str) -> object:
            owner = next((base for base in kind.__mro__ if name in inspect.get_annotations(base)), kind)
            return put(_bare(hints.get(name, object)), variables.get(owner, {}))

        self._owners.append(of)
        fields = tuple(Field(slot, self.plan(typed(slot.name))) for slot in found)
        self._owners.pop()
        return fields

    def _once(self, of: object, build: Callable[[], Plan]) -> Plan:
        """The plan of what may be inside itself."""
        if of in self._plans:
            return self._plans[of]
        if of in self._open:
            return Later(of, self._plans)
        self._open.add(of)
        try:
            plan = build()
        except Misfit as unresolved:
            plan = Unknown(of, unresolved.what)
        self._plans[of] = plan
        return plan

    def _alias(self, of: TypeAliasType, arguments: tuple[object, ...]) -> Plan:
        value = evaluated(of.__value__, of.__module__)
        return self.plan(put(value, dict(zip(of.__type_params__, arguments, strict=False))))

    def _union(self, of: object, arguments: tuple[object, ...]) -> Plan:
        plans = [self.plan(each) for each in arguments if each is not type(None)]
        raised = [plan for plan in plans if isinstance(plan, Raised)]
        if raised:  # an error says its class by itself
            plans = [plan for plan in plans if plan not in raised]
            plans.append(Raised(of, tuple(kind for plan in raised for kind in plan.kinds), self._fields_of))
        return plans[0] if raised and len(arguments) == len(raised) else tagged(of, plans, none=type(None) in arguments)

    def _abstract(self, of: object, kinds: tuple[type, ...], arguments: tuple[object, ...]) -> Plan:
        plans = {kind.__name__: self.plan(_with(kind, arguments)) for kind in kinds}
        return Abstract(of, plans, none=False) if len(plans) > 1 else next(iter(plans.values()))


def _bare(of: object) -> object:
    """A type without what only qualifies it."""
    while True:
        if typing.get_origin(of) in _QUALIFIERS:
            of = typing.get_args(of)[0]
        elif isinstance(of, typing.NewType):
            of = of.__supertype__
        elif isinstance(of, dataclasses.InitVar):
            of = cast("object", of.type)
        else:
            return type(None) if of is None else of


def _with(kind: type, arguments: tuple[object, ...]) -> object:
    if not arguments:
        return kind
    given = (arguments[0], ...) if kind is tuple else arguments
    return cast("Mapping[object, object]", kind)[given]
