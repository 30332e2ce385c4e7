"""The typing corpus under both checkers: right lines are clean, wrong lines are refused, and how is kept as text.

A wrong line carries both checkers' ignore comments. An ignore that is not used is an error in both, so a wrong line
that is no longer refused fails here. Write the texts anew with ``pytest --update-golden``, and read what changed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CORPUS = sorted(file for file in HERE.glob("*.py") if not file.name.startswith(("test_", "conftest")))
MYPY = (sys.executable, "-m", "mypy", "--no-pretty", "--no-color-output", "--no-error-summary")
PYRIGHT = (sys.executable, "-m", "pyright", "--pythonpath", sys.executable)
IGNORED = re.compile(r"  # type: ignore\[[\w, -]+\]  # pyright: ignore\[[\w, ]+\]$", re.MULTILINE)
HALF_IGNORED = re.compile(r"# (type|pyright): ignore")


def printed(*command: str, cwd: Path) -> str:
    """What a checker prints; its exit code says no more."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.stdout.replace("\N{NO-BREAK SPACE}", " ")


def test_every_wrong_line_is_wrong_for_both_checkers() -> None:
    for file in CORPUS:
        text = file.read_text(encoding="utf-8")
        assert (IGNORED.search(text) is None) == (file.name == "vocabulary.py"), file.name
        assert not HALF_IGNORED.search(IGNORED.sub("", text)), f"{file.name} has a line for one checker alone"


@pytest.mark.checkers
def test_mypy_accepts_every_right_line_and_refuses_every_wrong_one() -> None:
    assert printed(*MYPY, *map(str, CORPUS), cwd=ROOT) == ""


@pytest.mark.checkers
def test_pyright_accepts_every_right_line_and_refuses_every_wrong_one() -> None:
    assert "0 errors, 0 warnings" in printed(*PYRIGHT, *map(str, CORPUS), cwd=ROOT)


@pytest.fixture
def unmarked(tmp_path: Path) -> Path:
    """A folder with the miswirings, their ignore comments taken out, for pyright with strict settings."""
    for name in ("vocabulary.py", "miswired.py"):
        text = IGNORED.sub("", (HERE / name).read_text(encoding="utf-8"))
        (tmp_path / name).write_text(text, encoding="utf-8")
    settings = '{"typeCheckingMode": "strict", "pythonVersion": "3.11"}\n'
    (tmp_path / "pyrightconfig.json").write_text(settings, encoding="utf-8")
    return tmp_path


def mypy_messages(text: str) -> Iterator[tuple[int, str]]:
    """The number of each line that mypy says something of, and what."""
    for said in re.finditer(r"^miswired\.py:(\d+): ((?:error|note): .*)$", text, re.MULTILINE):
        yield int(said[1]), said[2]


def pyright_messages(text: str) -> Iterator[tuple[int, str]]:
    """The number of each line that pyright says something of, and what, which may be several lines."""
    for said in re.finditer(r"miswired\.py:(\d+):\d+ - (error: .*(?:\n {4}.*)*)", text):
        yield int(said[1]), said[2]


def by_line(messages: Iterator[tuple[int, str]]) -> str:
    """The messages under the lines that they are about; without numbers, which move with every edit."""
    lines = IGNORED.sub("", (HERE / "miswired.py").read_text(encoding="utf-8")).splitlines()
    told: dict[int, list[str]] = {}
    for number, message in sorted(messages, key=lambda said: said[0]):
        told.setdefault(number, []).append(message)
    return "\n\n".join("\n".join([about(lines, number), *said]) for number, said in told.items())


def about(lines: list[str], number: int) -> str:
    """The line of this number; of a decorator, what it decorates as well."""
    line = lines[number - 1].strip()
    return f"{line}\n{lines[number]}" if line.startswith("@") else line


@pytest.mark.checkers
def test_mypy_says_of_each_miswiring_what_was_agreed(unmarked: Path, golden: Callable[[str, str], None]) -> None:
    said = printed(*MYPY, "--config-file", str(ROOT / "mypy.ini"), "miswired.py", cwd=unmarked)
    golden("typing/mypy", by_line(mypy_messages(said)))


@pytest.mark.checkers
def test_pyright_says_of_each_miswiring_what_was_agreed(unmarked: Path, golden: Callable[[str, str], None]) -> None:
    golden("typing/pyright", by_line(pyright_messages(printed(*PYRIGHT, "miswired.py", cwd=unmarked))))
