"""What the codec says of a value that would not come back, one case each: where, what was there, and how to fix it.

The texts are kept in ``tests/golden/codec``; write them anew with ``pytest --update-golden``, and read what changed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Never, TypedDict

import pytest
from returns.result import Failure, Result, Success

import stageflow.codec
from stageflow import CodecError, StageError
from stageflow.codec import Codec, TypeHook

GOLDEN = Path(__file__).parents[1] / "golden" / "codec"


@dataclass(frozen=True)
class Page:
    url: str
    body: str | None = None


@dataclass(frozen=True)
class Post:
    url: str


@dataclass(frozen=True)
class LongPage(Page):
    more: str = ""


@dataclass(frozen=True)
class Report:
    pages: tuple[Page | Post, ...] = ()
    by_id: dict[int, list[Page]] = field(default_factory=dict)


@dataclass(frozen=True)
class Asks:
    text: str
    times: InitVar[int]


@dataclass(frozen=True)
class Shouts:
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.text + "!")


@dataclass
class Loose:
    """Does not hash."""

    text: str


class Movie(TypedDict):
    name: str


class Lock:
    """What the codec does not know."""


class HttpError(StageError):
    url: str


class LockError(StageError):
    lock: Lock


CASES: dict[str, Callable[[], Result[object, CodecError]]] = {}


def case(make: Callable[[], Result[object, CodecError]]) -> Callable[[], Result[object, CodecError]]:
    CASES[make.__name__] = make
    return make


@case
def bytes_where_a_text_is_declared():
    return Codec().encode(Report((Page("a"), Page("b", b"x"))), Report)  # type: ignore[arg-type]


@case
def a_subclass_where_its_base_is_declared():
    return Codec().encode({3: [LongPage("a")]}, dict[int, list[Page]])


@case
def none_of_a_union():
    return Codec().encode([Page("a"), "b"], list[Page | Post])


@case
def a_bool_where_an_int_is_declared():
    return Codec().encode(True, int)


@case
def a_list_where_a_tuple_is_declared():
    return Codec().encode([1, 2], tuple[int, ...])


@case
def undeclared_bytes():
    return Codec().encode({"pages": [b"x"]}, object)


@case
def an_undeclared_dataclass():
    return Codec().encode([Page("a")], object)


@case
def undeclared_keys_that_are_no_texts():
    return Codec().encode({"a": {1: 2}}, object)


@case
def an_unknown_type():
    return Codec().encode([Lock()], list[Lock])


@case
def a_value_where_none_is_declared():
    return Codec().encode(3, Never)


@case
def half_a_surrogate_pair():
    return Codec().encode(Page("\ud800"), Page | Post)


@case
def a_key_of_another_type():
    return Codec().encode({"a": {"b": 1}}, dict[str, dict[int, int]])


@case
def a_key_that_a_typed_dict_does_not_declare():
    return Codec().encode({"name": "a", "year": 1}, Movie)


@case
def a_key_that_is_absent():
    return Codec().encode([{}], list[Movie])


@case
def a_constructor_that_asks_for_more():
    return Codec().encode(Asks("a", 3), Asks)


@case
def a_constructor_that_changes_what_it_gets():
    return Codec().encode([Shouts("a")], list[Shouts])


@case
def what_is_not_equal_to_itself():
    return Codec().encode({1.5, float("nan")}, set[float])


@case
def a_hook_that_gives_no_json_data():
    return Codec(hooks=(TypeHook(Lock, encode=lambda _: {"x": (1,)}, decode=lambda _: Lock()),)).encode(Lock(), Lock)


@case
def a_hook_whose_values_are_not_equal():
    return Codec(hooks=(TypeHook(Lock, encode=lambda _: None, decode=lambda _: Lock()),)).encode([Lock()], list[Lock])


@case
def a_hook_that_raises():
    return Codec(hooks=(TypeHook(Page, encode=lambda page: 1 / 0, decode=lambda _: Page("")),)).encode(Page("a"), Page)


@case
def a_value_that_holds_itself():
    loop: list[object] = []
    loop.append(loop)
    return Codec().encode(loop, object)


@case
def annotations_that_do_not_resolve():
    @dataclass
    class Local:
        other: NotThere  # noqa: F821

    return Codec().encode(Local(1), Local)


@case
def a_failure_of_another_error():
    return Codec().encode((Success(1), Failure(ValueError("x"))), tuple[Success[int] | Failure[HttpError], ...])


@case
def an_error_that_is_defined_in_a_function():
    class LocalError(StageError):
        """Nobody else finds it."""

    return Codec().encode_failure(LocalError("x"))


@case
def an_error_whose_name_is_another_class_by_now():
    old = type("HttpError", (StageError,), {"__module__": __name__})
    return Codec().encode_failure(old("x"))


@case
def an_error_with_a_field_that_the_codec_does_not_know():
    return Codec().encode_failure(LockError("x", lock=Lock()))


@case
def an_error_with_a_field_of_another_type():
    return Codec().encode_failure(HttpError("x", url=3))  # type: ignore[arg-type]


@case
def an_error_of_a_module_that_is_not_there():
    return Codec().decode_failure(b'{"error":"nowhere:HttpError","fields":{}}')


@case
def an_error_of_the_script_of_another_process():
    return Codec().decode_failure(b'{"error":"__main__:HttpError","fields":{}}')


@case
def an_error_that_is_none():
    return Codec().decode_failure(b'{"error":"json:loads","fields":{}}')


@case
def an_error_that_lacks_a_field_by_now():
    return Codec().decode_failure(
        f'{{"error":"{__name__}:HttpError","fields":{{"message":"x","retryable":true}}}}'.encode()
    )


@case
def data_that_is_no_json():
    return Codec().decode(b'{"url":', Page)


@case
def data_of_another_type():
    return Codec().decode(b'{"url":3}', Page)


@case
def data_of_no_case_of_a_union():
    return Codec().decode(b'{"$plan":[{"$type":"Gone","value":{}}]}', list[Page | Post])


@case
def data_whose_items_do_not_hash():
    return Codec().decode(b'{"$plan":[{"text":"a"}]}', set[Loose])


@case
def an_alias_that_does_not_resolve():
    from typing_extensions import TypeAliasType

    return Codec().encode(3, TypeAliasType("Gone", "list[NotThere]"))  # noqa: F821


@case
def data_whose_keys_do_not_hash():
    return Codec().decode(b'{"$plan":[[{"text":"a"},1]]}', dict[Loose, int])


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_told_in_the_text_that_was_agreed(name, golden) -> None:
    golden(f"codec/{name}", str(CASES[name]().failure()))


@pytest.mark.parametrize("name", CASES)
def test_the_text_is_one_a_user_can_read(name) -> None:
    text = str(CASES[name]().failure())
    assert "0x" not in text, "an address says nothing to a reader"
    assert "  " not in text
    assert text.startswith("Cannot ")
    assert text.endswith(".")


def test_every_golden_file_has_its_case() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)


def fixed_texts() -> dict[str, str]:
    """Where the codec writes a text: the longest piece of it that is fixed."""
    found: dict[str, str] = {}
    for path in sorted(Path(stageflow.codec.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Misfit":
                parts = [part for given in node.args[:1] for part in ast.walk(given) if isinstance(part, ast.Constant)]
                fixed = max((part.value for part in parts if isinstance(part.value, str)), key=len, default="")
                if len(fixed) > 3:
                    found[f"{path.name}: {fixed.strip()}"] = fixed
    return found


@pytest.mark.parametrize("place", sorted(fixed_texts()))
def test_every_text_that_the_codec_writes_has_its_case(place) -> None:
    texts = "\n".join(path.read_text(encoding="utf-8") for path in GOLDEN.iterdir())
    assert fixed_texts()[place] in texts
