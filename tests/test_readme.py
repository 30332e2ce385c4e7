"""The README: every block of Python in it runs, prints what stands below it, and is typed."""

import contextlib
import io
import re
import sys
import types
from pathlib import Path

import pytest

from stageflow.views import to_mermaid
from tests.documents import MYPY, PYRIGHT, Block, blocks_of, printed_by, said_by, text_below

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#]+)")


BLOCKS = blocks_of(ROOT / "README.md")
PROGRAM = [block for block in BLOCKS if block.info == "python"]
WRONG = next(block for block in BLOCKS if block.info == "python wrong")


def _said_by(checker: str) -> str:
    return next(block.body for block in BLOCKS if block.info == f"text {checker}")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """What each block prints, by its line; each builds on those before it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("files"))  # a block that writes a file writes it there
        return printed_by(PROGRAM, "README.md")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the project: ``program.py`` is all blocks, ``app.py`` the first one and the wrong one."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "program.py").write_text("\n".join(block.body for block in PROGRAM), encoding="utf-8")
    (folder / "app.py").write_text(PROGRAM[0].body + WRONG.body, encoding="utf-8")
    return folder


def test_the_readme_shows_a_program_and_a_wrong_one() -> None:
    assert len(PROGRAM) >= 6
    assert len(PROGRAM[0].body.splitlines()) < 25


@pytest.mark.parametrize("block", PROGRAM, ids=lambda block: f"line {block.line}")
def test_a_block_prints_what_stands_below_it(block: Block, printed: dict[int, str]) -> None:
    assert printed[block.line] == text_below(block, BLOCKS)


def test_the_picture_is_of_the_first_program() -> None:
    module = types.ModuleType("first")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setitem(sys.modules, "first", module)
        exec(PROGRAM[0].body, module.__dict__)
    picture = next(block.body for block in BLOCKS if block.info == "mermaid")
    assert picture.strip() == to_mermaid(module.__dict__["stats"].diagram()).strip()


def test_every_output_stands_right_below_what_printed_it() -> None:
    below = [text_below(block, BLOCKS) for block in PROGRAM]
    assert all(block.body in below for block in BLOCKS if block.info == "text")


def test_the_program_is_clean_under_mypy_strict(folder: Path) -> None:
    assert said_by(folder, *MYPY, "program.py") == "Success: no issues found in 1 source file\n"


def test_the_program_is_clean_under_pyright(folder: Path) -> None:
    assert said_by(folder, *PYRIGHT, "program.py") == "0 errors, 0 warnings, 0 informations\n"


def test_mypy_says_of_the_wrong_program_what_the_readme_says(folder: Path) -> None:
    assert said_by(folder, *MYPY, "app.py") == _said_by("mypy")


def test_pyright_says_of_the_wrong_program_what_the_readme_says(folder: Path) -> None:
    assert said_by(folder, *PYRIGHT, "app.py") == _said_by("pyright")


def test_every_link_leads_to_something_in_the_repository() -> None:
    links = [match["path"] for match in LINK.finditer((ROOT / "README.md").read_text(encoding="utf-8"))]
    assert len(links) >= 4
    assert [link for link in links if not (ROOT / link).exists()] == []
