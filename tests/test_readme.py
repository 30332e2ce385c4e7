"""The README: every block of Python in it runs, prints what stands below it, and is typed."""

import contextlib
import io
import re
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MYPY = ("mypy", "--strict", "--config-file=", "--cache-dir=.mypy_cache")
PYRIGHT = ("pyright", "--pythonpath", sys.executable)
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#]+)")
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    info: str
    body: str
    line: int
    follows: str  # what stands between the block before it and this one


def _blocks() -> list[Block]:
    text, found, end = (ROOT / "README.md").read_text(encoding="utf-8"), list[Block](), 0
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(match["info"], match["body"], line, text[end : match.start()].strip()))
        end = match.end()
    return found


BLOCKS = _blocks()
PROGRAM = [block for block in BLOCKS if block.info == "python"]
WRONG = next(block for block in BLOCKS if block.info == "python wrong")


def _printed_by(block: Block) -> str:
    """What the README says that a block prints: the ``text`` right after it, or nothing."""
    after = BLOCKS[BLOCKS.index(block) + 1 :]
    return after[0].body if after and after[0].info == "text" and not after[0].follows else ""


def _said_by(checker: str) -> str:
    return next(block.body for block in BLOCKS if block.info == f"text {checker}")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """What each block prints, by its line; each builds on those before it."""
    module, outputs = types.ModuleType("readme"), dict[int, str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "readme", module)
        patch.chdir(tmp_path_factory.mktemp("files"))  # a block that writes a file writes it there
        for block in PROGRAM:
            code = compile("\n" * block.line + block.body, "README.md", "exec")
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(code, module.__dict__)
            outputs[block.line] = output.getvalue()
    return outputs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the project: ``program.py`` is all blocks, ``app.py`` the first one and the wrong one."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "program.py").write_text("\n".join(block.body for block in PROGRAM), encoding="utf-8")
    (folder / "app.py").write_text(PROGRAM[0].body + WRONG.body, encoding="utf-8")
    return folder


def _check(folder: Path, *command: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=300
    )
    assert ran.stderr == ""
    return ran.stdout.replace(f"{folder}/", "").replace("\u00a0", " ")  # pyright: files in full, spaces that do not break


def test_the_readme_shows_a_program_and_a_wrong_one() -> None:
    assert len(PROGRAM) >= 6
    assert len(PROGRAM[0].body.splitlines()) < 25


@pytest.mark.parametrize("block", PROGRAM, ids=lambda block: f"line {block.line}")
def test_a_block_prints_what_stands_below_it(block: Block, printed: dict[int, str]) -> None:
    assert printed[block.line] == _printed_by(block)


def test_every_output_stands_right_below_what_printed_it() -> None:
    below = [_printed_by(block) for block in PROGRAM]
    assert all(block.body in below for block in BLOCKS if block.info == "text")


def test_the_program_is_clean_under_mypy_strict(folder: Path) -> None:
    assert _check(folder, *MYPY, "program.py") == "Success: no issues found in 1 source file\n"


def test_the_program_is_clean_under_pyright(folder: Path) -> None:
    assert _check(folder, *PYRIGHT, "program.py") == "0 errors, 0 warnings, 0 informations\n"


def test_mypy_says_of_the_wrong_program_what_the_readme_says(folder: Path) -> None:
    assert _check(folder, *MYPY, "app.py") == _said_by("mypy")


def test_pyright_says_of_the_wrong_program_what_the_readme_says(folder: Path) -> None:
    assert _check(folder, *PYRIGHT, "app.py") == _said_by("pyright")


def test_every_link_leads_to_something_in_the_repository() -> None:
    links = [match["path"] for match in LINK.finditer((ROOT / "README.md").read_text(encoding="utf-8"))]
    assert len(links) >= 4
    assert [link for link in links if not (ROOT / link).exists()] == []
