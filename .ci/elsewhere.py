"""The blocks of the site's pages that need another library: each runs in its own environment, clean under pyright.

Their title is what pip installs there: ``python title="pydantic-graph==2.68.0"``. The ``text`` below a block is what it
prints. With arguments, those alone whose title begins with one of these.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.documents import Block, blocks_of, text_below  # noqa: E402  (after the path to it)

TITLE = re.compile(r'^python title="(?P<needs>[\w.-]+==[^"]+)"$')
RAYLET = "(raylet)"  # Ray tells of each worker that was killed, among what the program prints


def main(only: list[str]) -> int:
    """Runs what is asked for, and counts what differs from the page."""
    wrong = 0
    for page in sorted((ROOT / "docs").rglob("*.md")):
        blocks = blocks_of(page)
        for block in blocks:
            match = TITLE.match(block.info)
            if match and (not only or match["needs"].startswith(tuple(only))):
                wrong += not holds(page.relative_to(ROOT), block, match["needs"].split(), text_below(block, blocks))
    return wrong


def holds(page: Path, block: Block, needs: list[str], expected: str) -> bool:
    """Whether a block prints what its page says, and is clean under pyright."""
    where = f"{page}:{block.line}"
    print(f"{where}: with {' '.join(needs)}", flush=True)
    home = ROOT / ".venv-elsewhere" / needs[0]
    python, program = home / "bin" / "python", home / "block" / "program.py"
    if not python.exists():
        venv.create(home, with_pip=True)
    wanted = [f"{ROOT}{need.removeprefix('stageflow')}" if need.startswith("stageflow[") else need for need in needs]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    program.parent.mkdir(exist_ok=True)
    program.write_text(block.body, encoding="utf-8")
    ran = ran_by(program, python)
    printed = "".join(line for line in ran.stdout.splitlines(keepends=True) if RAYLET not in line)
    if printed != expected:
        print(f"{where}: prints\n{printed}\nand not\n{expected}\nand says\n{ran.stderr}", file=sys.stderr)
        return False
    checked = ran_by(program, sys.executable, "-m", "pyright", f"--pythonpath={python}")
    if checked.returncode:
        print(f"{where}: pyright says\n{checked.stdout}{checked.stderr}", file=sys.stderr)
    return not checked.returncode


def ran_by(program: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """What a command says of a program, in its folder and without this checkout."""
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "MYPYPATH"}}
    arguments = [*command, program.name]
    return subprocess.run(
        arguments, cwd=program.parent, env=env, capture_output=True, text=True, timeout=300, check=False
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
