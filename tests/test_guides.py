"""The guides: every block of Python in them runs, and prints what stands below it."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import types
from pathlib import Path

import pytest

GUIDES = [Path(__file__).parents[1] / "docs" / "guides" / f"{name}.md" for name in ("codec-and-config", "scaling-out")]
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<printed>.*?)^```$)?", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
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
