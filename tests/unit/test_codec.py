"""Values as bytes and back: what comes back is equal and of the same types, or is refused when it is encoded."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import os
import pickle
import subprocess
import sys
import typing
from collections import OrderedDict, deque, namedtuple
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, InitVar, dataclass, field, fields, is_dataclass, make_dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    TypedDict,
)
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from returns.result import Failure, Result, Success
from typing_extensions import Never, TypeAliasType, TypeVar

from stageflow import CodecError, StageError, StageExecutionError, sealed
from stageflow.codec import Codec, TypeHook

ROOT = str(Path(__file__).parents[2])
T = TypeVar("T")
K = TypeVar("K")


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Shape(enum.Enum):
    POINT = (0, 0)
    LINE = "line"


class Mood(enum.StrEnum):
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Page:
    url: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class Post:
    url: str
    body: str = ""


@dataclass(frozen=True)
class Draft(Page):
    editor: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    pages: tuple[Page | Post, ...] = ()
    by_name: Mapping[str, Page | None] = field(default_factory=dict)
    at: dt.datetime | dt.date | None = None
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Box(Generic[T]):
    inner: T


@dataclass(frozen=True, slots=True)
class Pair(Box[list[T]], Generic[T, K]):
    other: K


@dataclass(frozen=True, slots=True)
class Texts(Pair[str, int]):
    more: bool = False


@dataclass(frozen=True)
class Tree:
    value: int
    children: tuple[Tree, ...] = ()


@dataclass(frozen=True)
class Node:
    value: int
    after: Node | Leaf | None = None


@dataclass(frozen=True)
class Leaf:
    value: int


@dataclass(frozen=True)
class Frozen:
    """As this library's own records are: it makes its mapping read-only."""

    data: Mapping[str, object]

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", MappingProxyType(dict(self.data)))


@dataclass(frozen=True)
class Counted:
    items: list[int]
    count: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", len(self.items))


@dataclass
class Kept:
    items: list[int]
    count: int = field(init=False, default=0)


@dataclass(frozen=True)
class Half:
    """Equal to any other of the same name, whatever else is in it."""

    name: str
    rest: int | str = field(compare=False)


@dataclass(frozen=True)
class Grows:
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.text + "!")


@dataclass(frozen=True)
class Asks:
    text: str
    more: InitVar[int]


@dataclass(kw_only=True, slots=True)
class Chain:
    value: int
    before: typing.Self | None = None


@dataclass
class Everything:
    pages: list[Page | Post]
    _: KW_ONLY
    shared: ClassVar[int] = 3
    fixed: Final[int] = 4
    mood: Mood | None = None


class Quacks(Protocol):
    def quack(self) -> str: ...


class Row(NamedTuple):
    value: int
    after: Row | None = None


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Corner(NamedTuple):
    at: Point | Page
    name: str | bytes = ""


Bare = namedtuple("Bare", "first second")  # noqa: PYI024  (one without annotations is what is meant)


class Movie(TypedDict):
    name: str
    year: NotRequired[int]


class Series(TypedDict, total=False):
    movies: list[Movie | Page]


class Struct(msgspec.Struct, frozen=True, rename="camel"):
    first_name: str
    age: int | None = None


UserId = NewType("UserId", int)
Json = TypeAliasType("Json", "dict[str, Json] | list[Json] | str | int | None")
Many = TypeAliasType("Many", list[T] | tuple[T, ...], type_params=(T,))


class Plain:
    """What tells nothing of itself."""

    def __init__(self, x: int) -> None:
        self.x = x


class Http(StageError):  # noqa: N818
    url: str
    status: int = 500


class Lost(StageError):  # noqa: N818
    where: tuple[int, ...] = ()


ZONE = dt.timezone(dt.timedelta(hours=5, minutes=30))
MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=ZONE)
COMES_BACK: list[tuple[object, object]] = [
    (None, None),
    (True, bool),
    (3, int),
    (2**63, int),
    (-(2**200), int),
    (1.5, float),
    (-0.0, float),
    (1e308, float),
    (math.inf, float),
    (-math.inf, float | None),
    (math.nan, float),
    ([1.0, math.nan], list[float]),
    ({"a": math.nan}, dict[str, float | str]),
    ("text", str),
    ("\x00\U0001f600\ufeff", str),
    (b"\x00\xff", bytes),
    (bytearray(b"\x00"), bytearray),
    (MOMENT, dt.datetime),
    (MOMENT.replace(tzinfo=None), dt.datetime),
    (dt.datetime.max, dt.datetime),  # noqa: DTZ901
    (MOMENT.replace(tzinfo=None, fold=1), dt.datetime),
    (MOMENT.time().replace(fold=1), dt.time),
    (MOMENT.date(), dt.date),
    (MOMENT.timetz(), dt.time),
    (dt.timedelta(days=-3, microseconds=7), dt.timedelta),
    (UUID(int=7), UUID),
    (Decimal("1.00"), Decimal),
    (Decimal("NaN"), Decimal),
    (Decimal("-Infinity"), Decimal),
    (Path("a/b"), Path),
    (PurePosixPath("/x"), PurePosixPath),
    (PureWindowsPath("c:/x"), PureWindowsPath),
    (Color.RED, Color),
    (Size.LARGE, Size),
    (Access.READ | Access.WRITE, Access),
    (Shape.POINT, Shape),
    (Shape.LINE, Shape),
    (Mood.GOOD, Mood),
    ("a", Literal["a", 1, None]),  # noqa: PYI061
    (1, Literal["a", 1, None]),  # noqa: PYI061
    (True, Literal[True, 1]),
    (1, Literal[True, 1]),
    (b"x", Literal[b"x", "x"]),
    (Color.RED, Literal[Color.RED, "red"]),
    ("red", Literal[Color.RED, "red"]),
    ([1, 2], list[int]),
    ((1, 2), tuple[int, ...]),
    ((1, "a", None), tuple[int, str, None]),
    ((), tuple[()]),
    ({1, 2}, set[int]),
    (frozenset({"a"}), frozenset[str]),
    ({(1, 2)}, set[tuple[int, int]]),
    (deque([1, 2]), deque[int]),
    (OrderedDict(a=1), OrderedDict[str, int]),
    ([1, 2], Sequence[int]),
    ((1, 2), Sequence[int]),
    ((1, 2), Iterable[int]),
    ({1}, Collection[int]),
    (frozenset({1}), AbstractSet[int]),
    ({"a": 1}, dict[str, int]),
    ({1: "a", -2: "b"}, dict[int, str]),
    ({2**70: "a"}, dict[int, str]),
    ({1.5: "a"}, dict[float, str]),
    ({math.inf: "a"}, dict[float, str]),
    ({(1, 2): "a"}, dict[tuple[int, int], str]),
    ({None: 1, "a": 2, 1: 3}, dict[str | int | None, int]),
    ({"1": 1, 1: 2}, dict[str | int, int]),
    ({UUID(int=1): 1}, dict[UUID, int]),
    ({Color.RED: 1}, dict[Color, int]),
    ({Size.LARGE: 1}, dict[Size, int]),
    ({MOMENT: 1}, dict[dt.datetime, int]),
    ({Page("a"): 1}, dict[Page, int]),
    ({b"x": b"y"}, dict[bytes, bytes]),
    ({"a": 1}, Mapping[str, int]),
    (MappingProxyType({"a": 1}), Mapping[str, int]),
    (MappingProxyType({1: (2,)}), Mapping[int, tuple[int, ...]]),
    ({"$type": "mappingproxy", "value": {}}, Mapping[str, object]),
    ({"$plan": 1}, dict[str, int]),
    ({"$plan": {"$plan": 1}}, object),
    (math.nan, dict[str, object] | float),
    ({"$type": "float", "value": "nan"}, dict[str, object] | float),
    ({"$type": "Page", "value": {"url": "a"}}, dict[str, object]),
    (MappingProxyType({"$type": "dict", "value": {}}), Mapping[str, object]),
    (Page("a"), Page),
    (Page("a"), Page | Post),
    (Post("a"), Page | Post),
    (Draft("a", "b", "c"), Page | Draft),
    (Page("a"), Optional[Page]),  # noqa: UP045
    (None, Page | Post | None),
    ([Page("a"), Post("a"), None], list[Page | Post | None]),
    (Report((Page("a"), Post("b")), {"x": None, "y": Page("z")}, MOMENT.date(), 2.0), Report),
    (Report(at=MOMENT, score=math.nan), Report),
    (Box(3), Box[int]),
    (Box(Box("a")), Box[Box[str]]),
    (Box((1, Page("x"))), Box[tuple[int, Page | Post]]),
    (Box([1]), Box),
    (Pair([1], "a"), Pair[int, str]),
    (Texts(["a"], 1, more=True), Texts),
    (Box("a"), Box[int] | Box[str]),
    ([], list[int] | list[str]),
    (["a"], list[int] | list[str]),
    ((1, "a"), tuple[int, str] | tuple[str, int]),
    (Tree(1, (Tree(2), Tree(3, (Tree(4),)))), Tree),
    (Node(1, Node(2, Leaf(3))), Node),
    (Frozen({"a": [1], "b": None}), Frozen),
    (Counted([1, 2]), Counted),
    (Half("a", 1), Half),
    (Chain(value=1, before=Chain(value=2)), Chain),
    (Everything([Page("a")], mood=Mood.GOOD), Everything),
    (Page("a"), Page | Quacks),
    (Row(1, Row(2)), Row),
    (frozenset({frozenset({1})}), frozenset[frozenset[int]]),
    (Point(1, 2.0), Point),
    (Corner(Page("a"), b"x"), Corner),
    (Bare(1, [2]), Bare),
    ({"name": "a"}, Movie),
    ({"name": "a", "year": 3}, Movie),
    ({}, Series),
    ({"movies": [{"name": "a"}, Page("b")]}, Series),
    (Struct("a", 3), Struct),
    (Struct("a"), Struct | Page),
    (UserId(3), UserId),
    (3, Annotated[int, "how many"]),
    ({"a": [1, None, {"b": "c"}]}, Json),
    ((1, 2), Many[int]),
    (["a"], Many[str]),
    (3, int | float),
    (3.0, int | float),
    (True, int | bool),
    (1, int | bool),
    ("2026-01-02", str | dt.date),
    (dt.date(2026, 1, 2), str | dt.date),
    ("x", str | bytes | Path),
    (Path("x"), str | bytes | Path),
    (Success(3), Success[int]),
    (Success(3), Result[int, Http]),
    (Failure(Http("no", url="a")), Success[int] | Failure[Http | StageExecutionError]),
    (Failure(Lost("no", where=(1, 2))), Result[Page, StageError]),
    ((Success(Page("a")), Failure(Http("no", url="a"))), tuple[Success[Page] | Failure[Http | Lost], ...]),
    (Success(None), Success[None] | Failure[Http]),
    (Success(Success(1)), Success[Success[int] | Failure[Http]] | Failure[Lost]),
    (Http("no", url="a", status=404), Http),
    (Http("no", url="a"), Http | Lost | None),
    (Http("no", url="a"), StageError),
    (Page("a"), Page | Http),
    (Http("no", url="a"), Page | Http),
    ({"a": [1, 2.5, None, True, "x", {}]}, object),
    ({"a": [1]}, Any),
    ([1, [2]], list),
    ({"a": [2]}, dict),
    (2**80, object),
]

IS_REFUSED: list[tuple[object, object]] = [
    (True, int),
    (1, bool),
    (1.0, int),
    (2**53 + 1, float),
    (10**400, float),
    (1, str),
    ("\ud800", str),
    (Path("x"), str),
    ("x", Path),
    (PureWindowsPath("x"), Path),
    (Mood.GOOD, str),
    (Size.SMALL, int),
    ("red", Color),
    (2, Literal[1]),
    (True, Literal[1]),
    (1.0, Literal[1]),
    ((1,), list[int]),
    ([1], tuple[int, ...]),
    ((1, 2), tuple[int]),
    ("ab", Sequence[str]),
    ({1: "a"}, dict[str, str]),
    ({"1": "a"}, dict[int, str]),
    ({True: "a"}, dict[int, str]),
    (OrderedDict(a=1), dict[str, int]),
    (MappingProxyType({"a": 1}), dict[str, int]),
    (Draft("a", "b", "c"), Page),
    (Page("a"), Post),
    (Page(3), Page),  # type: ignore[arg-type]
    (Half("a", 1.5), Half),  # type: ignore[arg-type]
    (Grows("a"), Grows),
    (Asks("a", 1), Asks),
    (Box(3), Box[str]),
    (Point(1, "x"), Point),  # type: ignore[arg-type]
    ((1, 2.0), Point),
    ({"name": "a", "more": 1}, Movie),
    ({"year": 1}, Movie),
    (Failure(3), Success[int]),
    (Failure(ValueError()), Result[int, Http]),
    (Http("no", url="a"), Lost),
    (Plain(1), Plain),
    (Plain(1), Quacks),
    (Plain(1), Page | Quacks),
    (iter("ab"), Iterable[str]),
    (range(3), Sequence[int]),
    (int, type[int]),
    (len, object),
    (3, "Page"),
    (3, 3),
    (Plain(1), object),
    ((1,), object),
    ([{1}], object),
    ({1: 2}, object),
    (math.nan, object),
    ([math.inf], list),
    (b"x", object),
    (Page("a"), object),
    (3, Never),
    (1 + 2j, complex),
    ({math.nan}, set[Decimal]),
]


def told(value: object) -> object:
    """A value as texts, its types included, however it says what it is equal to."""
    of = type(value).__qualname__
    if is_dataclass(value) or isinstance(value, StageError):
        return (of, [(each.name, told(getattr(value, each.name))) for each in fields(value)])  # type: ignore[arg-type]
    if isinstance(value, Mapping):
        return (of, sorted((repr(told(key)), repr(told(each))) for key, each in value.items()))
    if isinstance(value, set | frozenset):
        return (of, sorted(repr(told(each)) for each in value))
    if isinstance(value, list | tuple | deque):
        return (of, [told(each) for each in value])
    if isinstance(value, Success | Failure):
        return (of, told(value.unwrap() if isinstance(value, Success) else value.failure()))
    if isinstance(value, dt.datetime | dt.time) and value.tzinfo is not None:
        return (of, repr(value.replace(fold=0)))  # which a fixed offset has no use for
    return (of, repr(value))


def shown(case: object) -> str:
    return str(case)[:60].replace("[", "(").replace("]", ")")


@pytest.mark.parametrize(("value", "of"), COMES_BACK, ids=shown)
def test_what_is_of_the_declared_type_comes_back_equal_and_of_the_same_types(value, of) -> None:
    codec = Codec()
    data = codec.encode(value, of).unwrap()
    came = Codec().decode(data, of).unwrap()
    assert told(came) == told(value)


@pytest.mark.parametrize(("value", "of"), COMES_BACK, ids=shown)
def test_what_is_encoded_is_json_that_any_program_can_read(value, of) -> None:
    json.loads(Codec().encode(value, of).unwrap())


@pytest.mark.parametrize(("value", "of"), IS_REFUSED, ids=shown)
def test_what_would_not_come_back_is_refused_when_it_is_encoded(value, of) -> None:
    error = Codec().encode(value, of).failure()
    assert isinstance(error, CodecError)
    assert str(error).startswith("Cannot encode a value as ")
    assert "$" in str(error)


def test_an_int_where_a_float_is_declared_comes_back_as_the_equal_float() -> None:
    assert type(Codec().decode(Codec().encode(3, float).unwrap(), float).unwrap()) is float


ANY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # its first draw imports a lot

# Any type that nests, and a value of it; or of another.

LEAVES: dict[object, st.SearchStrategy[object]] = {
    None: st.none(),
    bool: st.booleans(),
    int: st.integers(),
    float: st.floats(),
    str: st.text(),
    bytes: st.binary(),
    Decimal: st.decimals(),
    dt.datetime: st.datetimes(timezones=st.none() | st.just(dt.UTC) | st.just(ZONE)),
    dt.date: st.dates(),
    dt.time: st.times(),
    dt.timedelta: st.timedeltas(),
    UUID: st.uuids(),
    Color: st.sampled_from(Color),
    Size: st.sampled_from(Size),
    Shape: st.sampled_from(Shape),
    Literal["a", 1, True]: st.sampled_from(["a", 1, True]),
    Page: st.builds(Page, st.text(), st.text()),
    Post: st.builds(Post, st.text(), st.text()),
    Point: st.builds(Point, st.integers(), st.floats(allow_nan=False)),
    Http: st.builds(Http, st.text(), url=st.text(), status=st.integers()),
    Path: st.text("ab/.", min_size=1).map(Path),
    object: st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    ),
}
KEYS: Final = (str, int, bytes, UUID, Color, dt.date, Page, Path, bool)


@st.composite
def types(draw: st.DrawFn, depth: int = 3) -> object:
    """A type that can be declared."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(list(LEAVES)))
    inner = types(depth - 1)
    form = draw(st.integers(0, 8))
    if form == 0:
        return list[draw(inner)]
    if form == 1:
        return tuple[draw(inner), ...]
    if form == 2:
        return tuple[draw(inner), draw(inner)]
    if form == 3:
        return dict[draw(st.sampled_from(KEYS)), draw(inner)]
    if form == 4:
        return Optional[draw(inner)]  # noqa: UP045
    if form == 5:
        first, second = draw(inner), draw(inner)
        return typing.Union[first, second]  # noqa: UP007  (of what is only known at run time)
    if form == 6:
        return Box[draw(inner)]
    if form == 7:
        return Success[draw(inner)] | Failure[Http | Lost]
    return Mapping[str, draw(inner)] if draw(st.booleans()) else Sequence[draw(inner)]


def values(of: object) -> st.SearchStrategy[object]:
    """Values of a type."""
    origin, inside = typing.get_origin(of), typing.get_args(of)
    if of is type(None):
        return st.none()
    if of in LEAVES:
        return LEAVES[of]
    if origin is typing.Literal:
        return st.sampled_from(inside)
    if origin is tuple:
        if inside[-1] is ...:
            return st.lists(values(inside[0]), max_size=3).map(tuple)
        return st.tuples(*map(values, inside))
    if origin is dict:
        return st.dictionaries(values(inside[0]), values(inside[1]), max_size=3)
    if origin is Mapping:
        found = st.dictionaries(values(inside[0]), values(inside[1]), max_size=3)
        return found | found.map(MappingProxyType)
    if origin is list or origin is Sequence:
        found = st.lists(values(inside[0]), max_size=3)
        return found if origin is list else found | found.map(tuple)
    if origin is Box:
        return values(inside[0]).map(Box)
    if origin is Success:
        return values(inside[0]).map(Success)
    if origin is Failure:
        return LEAVES[Http].map(Failure)
    return st.one_of(*map(values, inside))


@ANY
@given(st.data())
def test_any_value_of_any_type_comes_back_equal_and_of_the_same_types(data: st.DataObject) -> None:
    of = data.draw(types(), label="type")
    value = data.draw(values(of), label="value")
    codec = Codec()
    encoded = sealed(codec.encode(value, of))
    assert isinstance(encoded, Success), encoded
    assert told(codec.decode(encoded.unwrap(), of).unwrap()) == told(value)


@ANY
@given(st.data())
def test_a_value_of_another_type_is_refused_or_comes_back_equal(data: st.DataObject) -> None:
    of = data.draw(types(), label="type")
    value = data.draw(values(data.draw(types(), label="its own type")), label="value")
    codec = Codec()
    match sealed(codec.encode(value, of)):
        case Success(encoded):
            came = codec.decode(encoded, of).unwrap()
            assert repr(told(came)).replace(".0", "") == repr(told(value)).replace("'int'", "'float'") or came == value
        case Failure(error):
            assert "$" in str(error)


@ANY
@given(st.binary() | st.from_regex(rb'[\[{"0-9a-z:,}\]]{0,20}'), types())
def test_bytes_that_nobody_encoded_are_refused_or_give_a_value_of_the_type(data: bytes, of: object) -> None:
    match sealed(Codec().decode(data, of)):
        case Success(value):
            assert isinstance(sealed(Codec().encode(value, of)), Success)
        case Failure(error):
            assert str(error).startswith("Cannot decode a value of ")


def test_what_was_encoded_by_another_type_is_refused_with_its_path() -> None:
    data = Codec().encode({"url": "a", "body": 3}, object).unwrap()
    assert str(Codec().decode(data, Page).failure()) == (
        "Cannot decode a value of Page: Expected `str`, got `int` - at `$.body`. "
        "It was encoded of another type, or is damaged."
    )


def test_data_that_is_cut_off_is_refused() -> None:
    data = Codec().encode([Page("a"), Post("b")], list[Page | Post]).unwrap()
    for at in range(len(data)):
        assert "the data is no JSON" in str(Codec().decode(data[:at], list[Page | Post]).failure())


@pytest.mark.parametrize(
    "data",
    [
        b'{"$plan":{"$type":"Else","value":{}}}',
        b'{"$plan":{"$type":"Page"}}',
        b'{"$plan":[]}',
        b'{"$plan":{"$type":"Page","value":{}}}',
        b'{"$plan":{"$type":"Page","value":{"url":3}}}',
        b'{"$plan":{},"url":"a"}',
        b"null",
        b"[1]",
    ],
)
def test_data_that_no_plan_has_written_is_refused(data: bytes) -> None:
    assert "Cannot decode a value of Page | Post: $" in str(Codec().decode(data, Page | Post).failure())


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert "or holds itself" in str(Codec().encode(loop, object).failure())


def test_a_value_that_nests_too_deep_is_refused() -> None:
    deep = Tree(1)
    for _ in range(20_000):
        deep = Tree(1, (deep,))
    assert "nests too deep" in str(Codec().encode(deep, Tree).failure())


def test_a_zone_comes_back_as_its_offset_also_while_clocks_go_back() -> None:
    moment = dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
    came = Codec().decode(Codec().encode(moment, dt.datetime).unwrap(), dt.datetime).unwrap()
    assert came.isoformat() == "2026-10-25T02:30:00+01:00"


def test_two_classes_of_one_name_in_a_union_are_told_apart() -> None:
    here, there = made_page("here"), made_page("there")
    codec = Codec()
    for value in (here(1), there("a")):
        data = codec.encode(value, here | there).unwrap()
        assert type(codec.decode(data, here | there).unwrap()) is type(value)


def made_page(module: str) -> type:
    @dataclass(frozen=True)
    class Page:
        body: object

    Page.__annotations__["body"] = int if module == "here" else str
    Page.__module__ = module
    return Page


def test_a_type_whose_annotations_do_not_resolve_is_refused_with_the_name_that_is_missing() -> None:
    @dataclass
    class Local:
        other: NotThere  # type: ignore[name-defined]  # noqa: F821

    text = str(Codec().encode(Local(1), Local | None).failure())
    assert "whose annotations cannot be evaluated: name 'NotThere' is not defined" in text


# An application's own types.


def test_a_hook_brings_a_type_of_the_applications_own() -> None:
    hook = TypeHook(Fraction, encode=lambda of: [of.numerator, of.denominator], decode=lambda data: Fraction(*data))
    codec = Codec(hooks=(hook,))
    value = {"a": [Fraction(1, 3)], "b": [Page("x"), Fraction(2)]}
    of = dict[str, list[Fraction | Page]]
    assert codec.decode(codec.encode(value, of).unwrap(), of).unwrap() == value


def test_a_hook_goes_before_what_the_codec_knows() -> None:
    codec = Codec(hooks=(TypeHook(Page, encode=lambda page: page.url, decode=lambda url: Page(str(url))),))
    assert codec.encode([Page("a")], list[Page]).unwrap() == b'{"$plan":["a"]}'
    assert "$[0]" in str(codec.encode([Page("a", "lost")], list[Page]).failure())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Page | Http, typing.Union[Page, Http]),  # noqa: UP007
        (Page | Http | Lost | None, typing.Union[Page, Http, Lost, None]),  # noqa: UP007
        (list[int | None] | list[str], typing.Union[list[Optional[int]], list[str]]),  # noqa: UP007, UP045
        (Success[int] | Failure[Http | Lost], Result[int, typing.Union[Http, Lost]]),  # noqa: UP007
    ],
)
@pytest.mark.parametrize("value", [Page("a"), Http("no", url="a"), [None], ["a"], Success(1), Failure(Lost("no"))])
def test_a_type_that_is_written_in_another_way_reads_the_same_data(one, other, value) -> None:
    match sealed(Codec().encode(value, one)):
        case Success(data):
            assert told(Codec().decode(data, other).unwrap()) == told(value)
            assert Codec().schema_hash(one) == Codec().schema_hash(other)
        case Failure(_):
            assert isinstance(Codec().encode(value, other), Failure)


class Cloud:
    """Has no equality of its own."""

    def __init__(self, *points: int) -> None:
        self.points = points


def test_a_hook_can_say_what_is_equal() -> None:
    plain = TypeHook(Cloud, encode=lambda of: list(of.points), decode=lambda data: Cloud(*data))
    assert "is not equal" in str(Codec(hooks=(plain,)).encode(Cloud(1, 2), Cloud).failure())
    same = TypeHook(Cloud, plain.encode, plain.decode, equal=lambda was, came: was.points == came.points)
    codec = Codec(hooks=(same,))
    assert codec.decode(codec.encode(Cloud(1, 2), Cloud).unwrap(), Cloud).unwrap().points == (1, 2)


def test_what_a_hook_raises_is_told_with_its_path() -> None:
    def broken(of: object) -> object:
        raise ValueError(f"no {type(of).__name__} today")

    codec = Codec(hooks=(TypeHook(Cloud, encode=broken, decode=broken),))
    text = str(codec.encode([Cloud()], list[Cloud]).failure())
    assert "$[0] is of the class Cloud, and its TypeHook.encode raises ValueError: no Cloud today" in text
    assert "TypeHook.decode raises ValueError: no int today" in str(codec.decode(b"[1]", list[Cloud]).failure())


def test_a_hook_gives_plain_json_data() -> None:
    codec = Codec(hooks=(TypeHook(Cloud, encode=lambda of: {"points": of.points}, decode=Cloud),))
    assert "$['points'] is () (tuple)" in str(codec.encode(Cloud(), Cloud).failure())


def test_a_codec_is_a_value() -> None:
    assert Codec() == Codec()
    assert hash(Codec()) == hash(Codec())
    codec = Codec()
    codec.encode(Page("a"), Page)
    came = pickle.loads(pickle.dumps(codec))
    assert came == codec
    assert came.encode(Page("a"), Page) == codec.encode(Page("a"), Page)
    assert codec.name == "msgspec-json/1"


def test_one_codec_serves_threads_that_meet_a_type_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            codec = Codec()
            value = Report((Page("a"), Post("b")))
            data = list(pool.map(codec.encode, [value] * 16, [Report] * 16))
            assert len(set(data)) == 1


# The digest of a schema.


def test_the_digest_of_a_schema_is_the_same_in_every_process() -> None:

    script = "from tests.unit.test_codec import *; print([Codec().schema_hash(of) for _, of in COMES_BACK])"
    printed = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": ROOT, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
    assert printed == {f"{[Codec().schema_hash(of) for _, of in COMES_BACK]}\n"}


def changed(**annotations: object) -> type:
    return dataclass(frozen=True)(type("Page", (), {"__annotations__": annotations, "__module__": __name__}))


@pytest.mark.parametrize(
    "other",
    [
        changed(url=str),
        changed(url=str, body=bytes),
        changed(url=str, text=str),
        changed(url=str, body=str | None),
        changed(url=str, body=list[str]),
    ],
)
def test_the_digest_changes_where_fields_or_their_types_do(other: type) -> None:
    codec = Codec()
    assert codec.schema_hash(other) != codec.schema_hash(Page)
    assert codec.schema_hash(list[other]) != codec.schema_hash(list[Page])
    assert codec.schema_hash(Box[other]) != codec.schema_hash(Box[Page])


def test_the_digest_stays_where_only_the_order_of_fields_changes() -> None:
    assert Codec().schema_hash(changed(body=str, url=str)) == Codec().schema_hash(Page)


def test_the_digest_changes_where_an_enum_does() -> None:
    other = enum.Enum("Color", {"RED": "red", "GREEN": "grün"})
    assert Codec().schema_hash(other) != Codec().schema_hash(Color)


def test_the_digest_of_types_that_differ_differs() -> None:
    kinds = {repr(of): of for _, of in COMES_BACK}
    digests = {Codec().schema_hash(of) for of in kinds.values()}
    same = {"UserId", "Annotated", "Any", "Optional[Page]", "Texts", "Many", "Result", "list", "dict"}
    assert len(digests) >= len(kinds) - len(same)


def test_without_msgspec_the_import_says_what_to_install() -> None:

    hide = "import sys; sys.modules['msgspec'] = None\ntry: import stageflow.codec\nexcept ImportError as e: print(e)"
    printed = subprocess.run(
        [sys.executable, "-c", hide],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": ROOT},
    ).stdout
    assert printed == "stageflow.codec needs msgspec: pip install 'stageflow[sqlite]'\n"


def test_the_schema_of_types_that_share_others_is_linear_in_them() -> None:
    of: type = Page
    for _ in range(60):
        of = make_dataclass("Twice", [("left", of), ("right", of)], frozen=True)
    assert len(Codec().schema_hash(of)) == 16
