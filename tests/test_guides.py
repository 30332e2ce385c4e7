"""The guides: the Python in each is one program that runs, prints what the guide says, and is typed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BY_BLOCK = [ROOT / "docs" / "guides" / "codec-and-config.md"]  # what it prints stands below each block
GUIDES = sorted(set((ROOT / "docs" / "guides").glob("*.md")) - set(BY_BLOCK))
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TEXT = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<printed>.*?)^```$)?", re.MULTILINE | re.DOTALL)


def ran(program: Path, *command: str) -> str:
    ended = subprocess.run(
        [sys.executable, *command, program.name], cwd=program.parent, capture_output=True, text=True, check=False
    )
    assert ended.stderr == ""
    return ended.stdout


@pytest.fixture(params=GUIDES, ids=lambda path: path.stem)
def guide(request: pytest.FixtureRequest) -> str:
    return request.param.read_text(encoding="utf-8")


@pytest.fixture
def program(guide: str, tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text("\n".join(PYTHON.findall(guide)), encoding="utf-8")
    return path


def test_a_guide_prints_what_it_says(guide: str, program: Path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert ran(program) == "".join(TEXT.findall(guide)) != ""


def test_a_guide_is_clean_under_mypy_strict(program: Path, monkeypatch) -> None:
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    said = ran(program, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file=")
    assert said == "Success: no issues found in 1 source file\n"
