"""What `.ci/breaks` says of a change since a tag: public names that broke, and whether the version allows it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("griffe", reason="the dev extra has what compares versions")

ROOT = Path(__file__).parents[2]
RUNNER, LIFT = "stageflow/running/runner.py", "stageflow/pipeline/functions.py"


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a repository that knows nobody's configuration."""
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull, "PYTHON": sys.executable}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """A repository of the library as it is, tagged v0.1.0."""
    for part in ("stageflow", ".ci"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    versioned(tmp_path, "0.1.0")
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "The first"), ("tag", "v0.1.0")):
        ended = run(tmp_path, "git", *command)
        assert ended.returncode == 0, ended.stderr
    return tmp_path


def versioned(repository: Path, version: str) -> None:
    project = repository / "pyproject.toml"
    lines = project.read_text(encoding="utf-8").splitlines(keepends=True)
    project.write_text("".join(f'version = "{version}"\n' if line.startswith("version =") else line for line in lines))


def changed(repository: Path, file: str, old: str, new: str) -> None:
    path = repository / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_where_there_is_no_tag_there_is_nothing_to_compare_with(tagged) -> None:
    run(tagged, "git", "tag", "-d", "v0.1.0")
    said = run(tagged, ".ci/breaks")
    assert (said.returncode, said.stdout) == (0, "There is no tag yet, so there is nothing to compare with.\n")


def test_what_nobody_exports_may_change(tagged) -> None:
    changed(tagged, "stageflow/running/placing.py", "def placed(", "def placed_otherwise(")
    said = run(tagged, ".ci/breaks")
    assert said.returncode == 0, said.stdout
    assert said.stdout.startswith("Nothing public broke since v0.1.0: ")


def test_what_is_public_and_was_taken_away_is_named(tagged) -> None:
    changed(tagged, RUNNER, "lease_seconds", "lease")
    changed(tagged, RUNNER, "async def resume(", "async def go_on(")
    changed(tagged, LIFT, "def identity(type:", "def identity(of:")
    changed(tagged, "stageflow/__init__.py", "RunHandle", "RunHandles")
    versioned(tagged, "0.1.1")
    said = run(tagged, ".ci/breaks")
    assert said.returncode == 1, said.stdout
    for named in (
        "Runner.__init__(lease_seconds): Parameter was removed",
        "Runner.resume: Public object was removed",
        "identity(type): Parameter was removed",
        "RunHandle: Public object was removed",
    ):
        assert named in said.stdout
    assert "0.1.1 may not break what v0.1.0 had" in said.stderr


def test_a_version_that_may_break_is_told_what_to_write_down(tagged) -> None:
    changed(tagged, RUNNER, "lease_seconds", "lease")
    versioned(tagged, "0.2.0")
    said = run(tagged, ".ci/breaks")
    assert said.returncode == 0
    assert "0.2.0 may break what v0.1.0 had: name each of these in CHANGELOG.md." in said.stdout
