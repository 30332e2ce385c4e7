"""Documents whose blocks of code are run and checked: what the tests of the README and of the site share."""

import contextlib
import io
import os
import re
import subprocess
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MYPY = ("mypy", "--strict", "--config-file=", "--cache-dir=.mypy_cache")
PYRIGHT = ("pyright", "--pythonpath", sys.executable)
FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code in a document."""

    info: str
    body: str
    line: int
    follows: str  # what stands between the block before it and this one


def blocks_of(document: Path) -> list[Block]:
    """The blocks of a document, in order."""
    text, found, end = document.read_text(encoding="utf-8"), list[Block](), 0
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        body = re.sub(f"^{match['indent']}", "", match["body"], flags=re.MULTILINE)
        found.append(Block(match["info"], body, line, text[end : match.start()].strip()))
        end = match.end()
    return found


def text_below(block: Block, blocks: Sequence[Block], info: str = "text") -> str:
    """What the document says that a block prints: the ``text`` right after it, or nothing."""
    after = blocks[blocks.index(block) + 1 :]
    return after[0].body if after and after[0].info == info and not after[0].follows else ""


def printed_by(program: Sequence[Block], name: str) -> dict[int, str]:
    """What each block prints, by its line; each builds on those before it."""
    module, outputs = types.ModuleType(Path(name).stem), dict[int, str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        for block in program:
            code = compile("\n" * block.line + block.body, name, "exec")
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(code, module.__dict__)
            outputs[block.line] = output.getvalue()
    return outputs


def said_by(folder: Path, *command: str) -> str:
    """What a tool says that is run as a module in a folder, with this checkout as the library."""
    ran = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    assert ran.stderr == ""
    return ran.stdout.replace(f"{folder}/", "").replace("\u00a0", " ")  # pyright: files in full, spaces that do not break
