"""The guides: the Python in each runs, prints what the guide says, and most of it is typed as one program."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
import types
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


@pytest.mark.parametrize("guide", BY_BLOCK, ids=lambda guide: guide.stem)
def test_every_block_of_a_guide_runs_and_prints_what_stands_below_it(guide: Path, monkeypatch) -> None:
    module, text = types.ModuleType("guide"), guide.read_text(encoding="utf-8")
    monkeypatch.setitem(sys.modules, "guide", module)
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) == text.count("```python")
    for block in blocks:
        lines = text.count("\n", 0, block.start()) + 1
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * lines + block["code"], str(guide), "exec"), module.__dict__)
        assert printed.getvalue() == (block["printed"] or "")
