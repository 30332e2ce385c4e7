"""The guides of interceptors: each interceptor has its four words in both places, and every link leads somewhere.

A block that is ``python`` goes on where the one before it ended. One with a file's name is a program of its own.
"""

import re
from pathlib import Path

import pytest

from stageflow import BaseInterceptor
from tests.documents import MYPY, PYRIGHT, blocks_of, said_by

FOLDER = Path(__file__).parents[1] / "docs" / "guides"
NAMES = ("interceptors", "observability", "timeouts-and-retries", "writing-an-interceptor")
GUIDES = {name: blocks_of(FOLDER / f"{name}.md") for name in NAMES}
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#]*)(?:#(?P<part>[^)]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def program(guide: str) -> str:
    return "\n".join(block.body for block in GUIDES[guide] if block.info == "python")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the project with each guide's program, and the programs that have a name of their own."""
    folder = tmp_path_factory.mktemp("guides")
    for guide, blocks in GUIDES.items():
        (folder / f"{guide.replace('-', '_')}.py").write_text(program(guide), encoding="utf-8")
        for block in blocks:
            if block.info.startswith("python "):
                (folder / block.info.removeprefix("python ")).write_text(block.body, encoding="utf-8")
    return folder


def test_the_guides_are_clean_under_mypy_strict(folder: Path) -> None:
    files = sorted(path.name for path in folder.glob("*.py"))
    assert said_by(folder, *MYPY, *files) == f"Success: no issues found in {len(files)} source files\n"


def test_the_guides_are_clean_under_pyright(folder: Path) -> None:
    assert said_by(folder, *PYRIGHT, ".") == "0 errors, 0 warnings, 0 informations\n"


@pytest.mark.parametrize("guide", GUIDES)
def test_every_link_of_a_guide_leads_to_something(guide: str) -> None:
    for match in LINK.finditer((FOLDER / f"{guide}.md").read_text(encoding="utf-8")):
        path = FOLDER / (match["path"] or f"{guide}.md")
        assert path.exists(), match[0]
        if match["part"]:
            parts = [heading.lower().replace(" ", "-") for heading in HEADING.findall(path.read_text(encoding="utf-8"))]
            assert match["part"] in parts, match[0]


def built_in() -> list[type[BaseInterceptor[object]]]:
    import stageflow.interceptors.correlation  # noqa: F401  (so that it is there)
    from stageflow import MetricsInterceptor, TracingInterceptor  # noqa: F401

    own = [one for one in BaseInterceptor.__subclasses__() if one.__module__.startswith("stageflow.interceptors.")]
    return sorted({one.__name__: one for one in own}.values(), key=lambda one: one.__name__)


@pytest.mark.parametrize("interceptor", built_in(), ids=lambda one: one.__name__)
def test_every_interceptor_says_when_where_what_it_adds_and_what_it_costs(interceptor: type) -> None:
    lines = [line.strip() for line in (interceptor.__doc__ or "").splitlines()]
    for word in ("When: ", "Where: ", "Adds: ", "Costs: "):
        assert sum(line.startswith(word) for line in lines) == 1, word
    text = (FOLDER / "interceptors.md").read_text(encoding="utf-8")
    section = text.partition(f"\n### {interceptor.__name__}\n")[2].partition("\n### ")[0]
    for row in ("| when |", "| where |", "| adds to `E` |", "| costs |"):
        assert row in section, row


def test_all_eight_interceptors_are_held_to_that() -> None:
    assert len(built_in()) == 8
