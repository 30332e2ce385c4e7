"""The main job, `examples.survey`: on a small tree with a broken file, on the library itself, and as a command."""

import asyncio
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from examples.survey import command
from examples.survey.errors import NoPythonError, NoSuchPathError, NotAFolderError
from examples.survey.form import FORM, Form
from examples.survey.pipeline import report, survey
from examples.survey.progress import Progress
from examples.survey.syntax import parse
from examples.survey.words import Edge, Finding, Lines, Parsed, Source, Survey
from stageflow import Completed, Failed, PipelineContext, StagePorts, lift

ROOT = Path(__file__).parents[2]
TREE = {
    "bad.py": "def broken(:\n",
    "latin.py": "# -*- coding: latin-1 -*-\nname = 'caf\u00e9'\n",
    "nul.py": "x = 1\0\n",
    "odd.py": "pattern = '\\d'\n",
    "pkg/__init__.py": "# the package\nimport os\n\nfrom .sub import b\nfrom .sub.b import X\n",
    "pkg/c.py": "import pkg.sub.b\nimport numpy as np\nimport numpy.linalg\n",
    "pkg/sub/__init__.py": "",
    "pkg/sub/b.py": "from .. import c\nfrom ..nowhere import *\nX = 1\n",
    "src/lib/__init__.py": "",
    "src/lib/user.py": "import lib\n",
    ".venv/hidden.py": "import numpy\n",
    "pkg/__pycache__/cached.py": "import numpy\n",
    "notes.txt": "no Python",
}
PLAIN_TEXT = """\
Files: 10
Lines: 15 (12 code, 2 comments, 1 blank)

Largest modules, by lines of code
  pkg             3
  pkg.c           3
  pkg.sub.b       3
  latin           1
  lib.user        1

Most imported, by importing modules
  pkg.sub.b       2
  lib             1
  pkg             1
  pkg.c           1

Outside packages, by importing modules
  numpy       1

Import cycle
  pkg.sub.b -> pkg -> pkg.sub.b

Findings
  bad.py:1: invalid syntax
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="latin-1")
    return tmp_path


async def surveyed(root: Path) -> Survey:
    outcome = await survey.run(root)
    assert isinstance(outcome, Completed), outcome
    return outcome.value


async def page(root: Path, form: Form) -> str:
    outcome = await report.run(root, context=PipelineContext(ports=StagePorts().provide(FORM, form)))
    assert isinstance(outcome, Completed), outcome
    return outcome.value


async def test_a_file_that_does_not_parse_is_a_finding_and_the_rest_is_surveyed(tree: Path) -> None:
    found = await surveyed(tree)
    assert [(finding.shown, finding.line) for finding in found.findings] == [("bad.py", 1), ("nul.py", 1)]
    assert found.findings[0].problem == "invalid syntax"
    assert found.summary.files == 10


async def test_a_file_that_cannot_be_read_is_a_finding_without_a_line(tree: Path) -> None:
    (tree / "dangling.py").symlink_to(tree / "nothing")
    assert Finding("dangling.py", None, "cannot be read: No such file or directory") in (await surveyed(tree)).findings


async def test_a_file_nested_too_deeply_for_the_parser_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "deep.py").write_text(f"x = {'-' * 100_000}1\n")
    (finding,) = (await surveyed(tmp_path)).findings
    assert finding.shown == "deep.py"
    assert finding.problem


async def test_lines_are_counted_by_sort(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("# why\n\nx = 1  # this is code\n   \n    # indented\n")
    assert (await surveyed(tmp_path)).summary.lines == Lines(code=1, comments=2, blank=2)


async def test_the_import_graph_resolves_relative_imports_packages_and_names_in_modules(tree: Path) -> None:
    assert (await surveyed(tree)).imports.edges == (
        Edge("lib.user", "lib"),
        Edge("pkg", "pkg.sub.b"),
        Edge("pkg.c", "pkg.sub.b"),
        Edge("pkg.sub.b", "pkg"),  # from ..nowhere: all of it that exists is the package
        Edge("pkg.sub.b", "pkg.c"),
    )


async def test_outside_packages_leave_out_python_and_what_is_hidden(tree: Path) -> None:
    assert [(package.name, package.count) for package in (await surveyed(tree)).imports.outside] == [("numpy", 1)]


async def test_a_folder_inside_a_package_is_named_from_the_outermost_package(tree: Path) -> None:
    assert {module.name for module in (await surveyed(tree / "pkg" / "sub")).summary.largest} == {
        "pkg.sub",
        "pkg.sub.b",
    }


async def test_the_librarys_own_source_parses_and_has_no_import_cycle() -> None:
    found = await surveyed(ROOT / "stageflow")
    assert found.summary.files == len(list((ROOT / "stageflow").rglob("*.py")))
    assert found.findings == ()
    assert found.imports.cycle == ()
    assert {package.name for package in found.imports.outside} >= {"returns", "typing_extensions"}
    assert Edge("stageflow.core.output", "stageflow.errors") in found.imports.edges


async def test_the_text_form_is_a_page_for_a_terminal(tree: Path) -> None:
    (tree / "nul.py").write_text("")  # what Python says of a null byte differs from version to version
    assert await page(tree, "text") == PLAIN_TEXT.rstrip()


async def test_the_json_form_holds_all_that_the_survey_does(tree: Path) -> None:
    found, loaded = await surveyed(tree), json.loads(await page(tree, "json"))
    assert loaded["summary"]["lines"] == {"code": 12, "comments": 2, "blank": 1}
    assert len(loaded["imports"]["edges"]) == len(found.imports.edges)
    assert loaded["findings"][0] == {"shown": "bad.py", "line": 1, "problem": "invalid syntax"}


async def test_the_markdown_form_has_a_table_per_ranking(tree: Path) -> None:
    text = await page(tree, "markdown")
    assert text.startswith("# Survey\n\nFiles: 10  \nLines: 15 (")
    assert "## Largest modules, by lines of code\n\n| | |\n|---|--:|\n| `pkg` | 3 |\n" in text
    assert "## Findings\n\n- bad.py:1: invalid syntax\n" in text


@pytest.mark.parametrize("form", ["text", "markdown"])
async def test_what_there_is_none_of_is_said_to_be_none(tmp_path: Path, form: Form) -> None:
    (tmp_path / "one.py").write_text("x = 1\n")
    assert (await page(tmp_path, form)).count("none") == 4


async def test_what_cannot_be_surveyed_at_all_fails_with_an_error_of_its_type(tree: Path) -> None:
    (tree / "empty").mkdir()
    errors = [await survey.run(tree / name) for name in ("nowhere", "bad.py", "empty")]
    assert [type(outcome.error) for outcome in errors if isinstance(outcome, Failed)] == [
        NoSuchPathError,
        NotAFolderError,
        NoPythonError,
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_progress_is_shown_in_place_on_a_terminal() -> None:
    stream = Terminal()
    sink = Progress(stream)
    sink.try_emit(type="survey.found", data={"files": 2})
    sink.try_emit(type="survey.surveyed", data={})
    sink.try_emit(type="survey.surveyed", data={})
    await sink.emit(type="pipeline.completed", data={})
    shown = stream.getvalue()
    assert shown == "\rsurveyed 0 of 2 files\rsurveyed 1 of 2 files\rsurveyed 2 of 2 files\n"


def test_progress_is_a_line_per_tenth_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    sink = Progress(stream)
    sink.try_emit(type="survey.found", data={"files": 1000})
    for _ in range(1000):
        sink.try_emit(type="survey.surveyed", data={})
    lines = stream.getvalue().splitlines()
    assert lines == [f"surveyed {done} of 1000 files" for done in range(0, 1001, 100)]


def test_progress_leaves_the_terminal_alone_where_nothing_was_found() -> None:
    stream = Terminal()
    Progress(stream).try_emit(type="pipeline.failed", data={})
    assert stream.getvalue() == ""


def test_a_defect_of_the_survey_is_told_apart_by_its_exit_code_and_names_the_stage(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @lift
    def crash(source: Source) -> Parsed:
        raise ZeroDivisionError(source.file.shown)

    monkeypatch.setattr(command, "report", report.replacing(parse).by(crash))
    assert command.main([str(tree)]) == command.DEFECT
    out, err = capsys.readouterr()
    assert out == ""
    assert "survey: a defect of the survey itself: " in err
    assert "parse" in err.splitlines()[-1]


def test_an_interrupted_survey_says_so_without_a_traceback(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @lift
    async def interrupt(source: Source) -> Parsed:
        if source.file.shown == "odd.py":
            signal.raise_signal(signal.SIGINT)  # as Ctrl-C does
        return await asyncio.Future[Parsed]()

    monkeypatch.setattr(command, "report", report.replacing(parse).by(interrupt))
    assert command.main([str(tree)]) == command.INTERRUPTED
    assert capsys.readouterr().err.splitlines()[-1] == "survey: interrupted"


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, encoding="utf-8", check=False, timeout=60
    )


def test_the_command_prints_the_survey_and_shows_its_progress_beside_it(tree: Path) -> None:
    (tree / "nul.py").write_text("")
    ended = run("-m", "examples.survey", str(tree))
    assert (ended.returncode, ended.stdout) == (0, PLAIN_TEXT)
    assert ended.stderr.splitlines() == [f"surveyed {done} of 10 files" for done in range(11)]


def test_the_folder_runs_from_anywhere_and_gives_the_form_asked_for(tree: Path) -> None:
    ended = run(str(ROOT / "examples" / "survey"), ".", "--format", "json", cwd=tree)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["summary"]["files"] == 10


@pytest.mark.parametrize(
    ("name", "line"),
    [("nowhere", "does not exist"), ("notes.txt", "is no folder"), ("empty", "holds no Python file")],
)
def test_the_command_refuses_what_it_cannot_survey_with_one_line(tree: Path, name: str, line: str) -> None:
    (tree / "empty").mkdir()
    ended = run("-m", "examples.survey", str(tree / name))
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"survey: {tree / name} {line}\n"


def test_the_command_writes_how_its_run_went_to_a_page(tree: Path, tmp_path: Path) -> None:
    page = tmp_path / "run.html"
    ended = run("-m", "examples.survey", str(tree), "--report", str(page))
    assert ended.returncode == 0, ended.stderr
    assert '"status":"completed"' in page.read_text(encoding="utf-8")


def test_the_command_refuses_a_form_that_there_is_not() -> None:
    ended = run("-m", "examples.survey", "stageflow", "--format", "yaml")
    assert ended.returncode == 2
    assert "invalid choice: 'yaml' (choose from" in ended.stderr
