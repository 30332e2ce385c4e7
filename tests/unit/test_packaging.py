"""What is shipped: the wheel and the sdist, their contents and metadata, and that they import in an empty venv."""

from __future__ import annotations

import email
import hashlib
import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email.message import Message
from pathlib import Path

import pytest

pytest.importorskip("build", reason="the dev extra has what builds the distributions")
pytest.importorskip("poetry.core", reason="the dev extra has what builds the distributions")

ROOT = Path(__file__).parents[2]
COMMAND = "stageflow.cli.__main__:main"
CARRIED = ("stageflow/views/report/assets/dagre.LICENSE",)
EPOCH = "1767225600"  # the first of January 2026: what a build dates its files by
IMPORTS = "from stageflow import Pipeline, Stage, StageOutput; print(Pipeline.__module__, StageOutput.ok(3).data)"


def run(*command: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs a command away from this interpreter's own paths; what it prints is in the result."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))}
    environment["SOURCE_DATE_EPOCH"] = EPOCH
    return subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built of it."""
    folder = tmp_path_factory.mktemp("dist")
    ended = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def sdist(built: Path) -> Path:
    (found,) = built.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def digests(folder: Path) -> dict[str, str]:
    """What two builds have to agree on."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def sources() -> set[str]:
    """Every file of the package that is a source."""
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / "stageflow").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_the_whole_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    shipped = {name for name in names if ".dist-info/" not in name}
    assert shipped == sources()
    assert "stageflow/py.typed" in shipped
    assert {name.split("/")[0].split("-")[0] for name in names} == {"stageflow"}


def test_it_has_the_licences_of_what_is_its_own_and_of_what_it_carries(wheel: Path, sdist: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (own,) = [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
        assert archive.read(own) == (ROOT / "LICENSE").read_bytes()
        for carried in CARRIED:
            assert "Permission is hereby granted" in archive.read(carried).decode()
    with tarfile.open(sdist) as tar:
        assert {name.partition("/")[2] for name in tar.getnames()} >= {"LICENSE", *CARRIED}


def test_it_brings_the_command_stageflow(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (entry_points,) = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
        assert archive.read(entry_points).decode().split("\n")[:2] == ["[console_scripts]", f"stageflow={COMMAND}"]
    module, _, function = COMMAND.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_two_builds_of_the_same_sources_are_equal(built: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    hidden = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "dist", "build", "*.egg-info")
    shutil.copytree(ROOT, copy, ignore=hidden, copy_function=shutil.copyfile)  # other times, owners and modes
    ended = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path / "dist", cwd=copy)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert digests(tmp_path / "dist") == digests(built)


def test_the_wheel_is_for_every_platform(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_sdist_has_the_package_the_tests_the_changelog_and_the_readme(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert sources() <= names
    assert {"pyproject.toml", "README.md", "CHANGELOG.md", "PKG-INFO", "tests/conftest.py"} <= names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_the_metadata_is_that_of_the_project(metadata: Message, project: dict[str, object]) -> None:
    assert (metadata["Name"], metadata["Version"]) == (project["name"], project["version"])
    assert metadata["Summary"] == project["description"]
    assert str(metadata["Requires-Python"]) == ">=3.11"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    readme = metadata.get_payload(decode=True)
    assert isinstance(readme, bytes)
    assert readme.decode().strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()


def test_it_requires_returns_and_typing_extensions_alone(metadata: Message) -> None:
    always = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(line.split()[0].split(">")[0].split("(")[0] for line in always) == ["returns", "typing-extensions"]


def test_every_extra_of_the_project_is_in_the_metadata(metadata: Message, project: dict[str, object]) -> None:
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    assert set(metadata.get_all("Provides-Extra", [])) == set(extras)
    assert "dev" in extras


def test_the_extra_all_brings_every_other(project: dict[str, dict[str, list[str]]]) -> None:
    extras = project["optional-dependencies"]
    assert extras["all"] == [f"stageflow[{','.join(name for name in extras if name not in {'all', 'dev'})}]"]


def test_every_extra_that_a_text_names_is_there(project: dict[str, dict[str, list[str]]]) -> None:
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    texts += [path for folder in ("stageflow", "examples", "tests") for path in (ROOT / folder).rglob("*.py")]
    texts.remove(Path(__file__))
    named = {
        extra.strip(): path
        for path in texts
        for names in re.findall(r"stageflow\[([a-z, ]+)\]", path.read_text(encoding="utf-8"))
        for extra in names.split(",")
    }
    assert len(named) > 4
    assert {extra: path for extra, path in named.items() if extra not in project["optional-dependencies"]} == {}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a venv that has nothing but pip, where that reaches an index."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    reached = run(python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder / "probe", "returns>=0.25")
    if reached.returncode:
        pytest.skip("pip reaches no index here")
    return python


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_installs_and_imports_in_an_empty_environment(
    kind: str, empty: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    distribution: Path = request.getfixturevalue(kind)
    installed = run(empty, "-m", "pip", "install", "--quiet", "--force-reinstall", distribution)
    assert installed.returncode == 0, installed.stderr
    imported = run(empty, "-W", "error", "-c", IMPORTS, cwd=tmp_path)
    assert (imported.returncode, imported.stdout.split(), imported.stderr) == (
        0,
        ["stageflow.pipeline.builder", "3"],
        "",
    )
    listed = run(empty, "-m", "pip", "list", "--format=freeze", cwd=tmp_path).stdout
    names = {line.partition("==")[0].replace("_", "-") for line in listed.split()}
    assert names - {"pip", "setuptools", "wheel"} == {"stageflow", "returns", "typing-extensions"}
