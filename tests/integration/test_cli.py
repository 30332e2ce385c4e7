"""The command line as a shell has it: real processes, real signals, a real store; each error is a clear line."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stageflow.cli.exit_codes import ExitCode

ROOT = Path(__file__).parents[2]
MODULES = {
    "app": """
        import asyncio, os, time
        from dataclasses import dataclass
        from pathlib import Path
        from returns.result import Failure, Result, Success
        from stageflow import *

        @dataclass(frozen=True)
        class Order:
            id: int
            names: list[str]

        class SoldOut(StageError):
            item: str = ""

        GREETING: PortKey[str] = PortKey("greeting")

        @lift
        def total(order: Order) -> int:
            return order.id + len(order.names)

        @lift
        def doubled(number: int) -> int:
            return 2 * number

        @lift
        def sold_out(number: int) -> Result[int, SoldOut]:
            return Failure(SoldOut("there is none left", item="tea"))

        @lift
        def coloured(number: int) -> Result[int, SoldOut]:
            return Failure(SoldOut("none \\x1b[31mleft"))

        @lift
        def broken(number: int) -> int:
            return number // 0

        @lift(thread=True)
        def stubborn(number: int) -> int:
            print("started", flush=True)
            time.sleep(number)
            return number

        @lift
        async def waiting(path: str) -> str:
            print("started", flush=True)
            while not os.path.exists(path):
                await asyncio.sleep(0.01)
            return path

        @stage
        async def nothing(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
            return skip("there is nothing to do")

        @stage
        async def stopping(inputs: StageInputs[int]) -> Result[StageOutput[int], StageError]:
            return cancel("enough")

        @stage(requires=(GREETING,))
        async def greet(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
            return ok(f"{inputs.ports[GREETING]} {inputs.value}")

        @lift
        async def slow(number: int) -> int:
            await asyncio.sleep(0.02)
            return number

        counted = total | doubled
        each = slow.each(limit=2)
        both = doubled & slow
        registry = PipelineRegistry()
        registry.register("orders", counted)

        @stage(effects="once")
        async def charge(inputs: StageInputs[str]) -> Result[StageOutput[str], StageError]:
            print("started", flush=True)
            while not os.path.exists(inputs.value):
                await asyncio.sleep(0.01)
            return ok("charged")

        def no_runner() -> Runner:
            raise ValueError("no setting")

        def runner() -> Runner:
            return Runner(ports=StagePorts().provide(GREETING, "hello"))
        """,
    "cycle": """
        from stageflow import Pipeline, lift

        a, b = lift(len).named("a"), lift(len).named("b")
        good = lift(len)
        tied = Pipeline.of(str).with_stage("a", a, dependencies=("b",)).with_stage("b", b, dependencies=("a",))
        """,
    "failing": "import app\n\nx = undefined_name\n",
    "no_syntax": "def (:\n",
    "lacking": "import no_such_dependency\n",
    "leaving": "import sys\nsys.exit(3)\n",
    "empty": "x = 1\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    for name, text in MODULES.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"}


def command(folder: Path, *words: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """What a command comes to; never with a traceback."""
    ended = subprocess.run(
        [sys.executable, "-m", "stageflow", *map(str, words)],
        cwd=folder,
        env=environment(),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in ended.stderr or "--traceback" in words, ended.stderr
    return ended


@contextmanager
def running(folder: Path, *words: object) -> Iterator[subprocess.Popen[str]]:
    """A command whose first stage has begun."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stageflow", *map(str, words)],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "started\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_run_prints_what_it_gives(folder: Path) -> None:
    ended = command(folder, "run", "app:counted", "--input", '{"id": 3, "names": ["a", "b"]}')
    assert (ended.returncode, ended.stdout) == (ExitCode.COMPLETED, "10\n")
    assert "completed" in ended.stderr


def test_the_input_may_come_from_a_file_or_from_stdin(folder: Path) -> None:
    (folder / "order.json").write_text('{"id": 1, "names": []}')
    assert command(folder, "run", "app:counted", "-i", "@order.json").stdout == "2\n"
    assert command(folder, "run", "app:counted", "-i", "@-", stdin='{"id": 2, "names": []}').stdout == "4\n"


def test_branches_and_entries_of_a_registry_are_pipelines_too(folder: Path) -> None:
    assert command(folder, "run", "app:both", "-i", "4").stdout == "(8, 4)\n"
    assert command(folder, "run", "app:registry.orders", "-i", '{"id": 1, "names": []}').stdout == "2\n"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("app:sold_out",), ExitCode.FAILED, "failed: SoldOut: there is none left"),
        (("app:coloured",), ExitCode.FAILED, r"failed: SoldOut: none \x1b[31mleft"),  # no code reaches the terminal
        (("app:broken",), ExitCode.DEFECT, 'Stage "broken" raised ZeroDivisionError'),
        (("app:nothing",), ExitCode.SKIPPED, "was skipped: nothing: there is nothing to do"),
        (("app:stopping",), ExitCode.CANCELLED, "was cancelled: stopping: enough"),
        (("app:stubborn", "--deadline", "0.01"), ExitCode.CANCELLED, "deadline"),
        (("app:greet",), ExitCode.USAGE, "--runner MODULE:RUNNER"),
    ],
)
def test_how_a_run_ended_is_its_exit_code(folder: Path, words: tuple[str, ...], code: ExitCode, says: str) -> None:
    ended = command(folder, "run", *words, "-i", '"x"' if "greet" in words[0] else "1")
    assert ended.returncode == code
    assert says in ended.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("run", "nowhere:x"), ExitCode.USAGE, "There is no module 'nowhere' here"),
        (("run", "app.inner:x"), ExitCode.USAGE, "There is no module 'app.inner' here"),
        (("run", "app.py:x"), ExitCode.USAGE, 'Write it as a module that can be imported from here: "app".'),
        (("run", "app"), ExitCode.USAGE, "Write MODULE:NAME"),
        (("run", "app:count"), ExitCode.USAGE, "app has no 'count'. Did you mean \"counted\"?"),
        (("run", "app:registry.order"), ExitCode.USAGE, 'Did you mean "orders"?'),
        (("run", "app:Order"), ExitCode.USAGE, "app:Order is no pipeline, but type. Pipelines there: total"),
        (("run", "app:counted"), ExitCode.USAGE, '"total|doubled" takes Order. Give it by --input JSON'),
        (
            ("run", "app:counted", "-i", '{"id": "x", "names": []}'),
            ExitCode.USAGE,
            "takes Order, which the input does not fit: Expected `int`, got `str` - at `$.id`",
        ),
        (("run", "app:counted", "-i", '{"id": 1}'), ExitCode.USAGE, "names"),
        (
            ("run", "app:counted", "-i", '{"id": 1, "names": [], "nmaes": ["a"]}'),
            ExitCode.USAGE,
            "$ has the field 'nmaes', and Order has id, names.",
        ),
        (("run", "app:waiting", "-i", "hello"), ExitCode.USAGE, "A text is JSON in quotes: --input '\"hello\"'."),
        (("run", "app:doubled", "-i", "{"), ExitCode.USAGE, "the input is no JSON"),
        (("run", "app:doubled", "-i", "@none.json"), ExitCode.USAGE, "cannot be read from none.json: No such file"),
        (("run", "app:doubled", "--no-such-option"), ExitCode.USAGE, "No such option"),
        (("run", "app:doubled", "-i", "1", "--runner", "app:total"), ExitCode.USAGE, "is no Runner"),
        (("run", "app:doubled", "-i", "1", "--runner", "app:broken"), ExitCode.USAGE, "is no Runner"),
        (
            ("run", "app:doubled", "-i", "1", "--runner", "app:no_runner"),
            ExitCode.BROKEN,
            "fails: ValueError: no setting",
        ),
        (("run", "app:doubled", "-i", "1", "--runner", "app:runner", "--store", "x.db"), ExitCode.USAGE, "leave out"),
        (("run", "failing:x"), ExitCode.BROKEN, "'failing' fails on import: NameError: name 'undefined_name'"),
        (("run", "failing:x"), ExitCode.BROKEN, "(failing.py:3)"),
        (("run", "no_syntax:x"), ExitCode.BROKEN, "(no_syntax.py:1)"),
        (("run", "lacking:x"), ExitCode.BROKEN, "No module named 'no_such_dependency' (lacking.py:1)"),
        (("run", "leaving:x"), ExitCode.BROKEN, "SystemExit: 3 (leaving.py:2)"),
        (("run", "cycle:tied", "-i", '"x"'), ExitCode.BROKEN, '"a" -> "b" -> "a"'),
        (("graph", "cycle:tied"), ExitCode.BROKEN, '"a" -> "b" -> "a"'),
        (("runs", "--store", "none.db"), ExitCode.USAGE, "There is no store at none.db"),
        (("run", "app:doubled", "-i", "1", "--store", "none/x.db"), ExitCode.USAGE, "there is no folder none"),
        (("resume", "12ab", "app:doubled"), ExitCode.USAGE, "'12ab' is not the id of a run"),
    ],
)
def test_what_cannot_be_done_is_one_clear_text(folder: Path, words: tuple[str, ...], code: ExitCode, says: str) -> None:
    ended = command(folder, *words)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert says in ended.stderr


def test_an_error_is_json_too_where_json_is_asked_for(folder: Path) -> None:
    ended = command(folder, "run", "nowhere:x", "--json")
    assert json.loads(ended.stdout)["code"] == ended.returncode == ExitCode.USAGE


def test_a_run_as_json_has_its_value_its_stages_and_its_errors(folder: Path) -> None:
    completed = json.loads(command(folder, "run", "app:counted", "-i", '{"id": 1, "names": []}', "--json").stdout)
    assert (completed["status"], completed["value"]) == ("completed", 2)
    assert [(stage["name"], stage["status"]) for stage in completed["stages"]] == [("total", "ok"), ("doubled", "ok")]
    failed = json.loads(command(folder, "run", "app:sold_out", "-i", "1", "--json").stdout)
    assert failed["error"] == {"type": "SoldOut", "message": "there is none left"}


def test_the_traceback_of_a_defect_is_printed_where_it_is_asked_for(folder: Path) -> None:
    ended = command(folder, "run", "app:broken", "-i", "1", "--traceback")
    assert "return number // 0" in ended.stderr


def test_a_runner_of_the_applications_brings_its_ports(folder: Path) -> None:
    ended = command(folder, "run", "app:greet", "-i", '"you"', "--runner", "app:runner")
    assert (ended.returncode, ended.stdout) == (ExitCode.COMPLETED, "hello you\n")


def test_check_builds_every_pipeline_of_modules_and_prints_every_problem(folder: Path) -> None:
    good = command(folder, "check", "app")
    assert good.returncode == ExitCode.COMPLETED
    assert "app:counted: 2 stages" in good.stdout
    assert "app:registry.orders: 2 stages" in good.stdout
    bad = command(folder, "check", "app", "cycle", "failing", "nowhere")
    assert bad.returncode == ExitCode.BROKEN
    for text in ("cycle:good: 1 stage", '"a" -> "b" -> "a"', "'failing' fails on import", "no module 'nowhere'"):
        assert text in bad.stdout
    told = json.loads(command(folder, "check", "cycle", "--json").stdout)
    assert [pipeline["problems"] != [] for pipeline in told[0]["pipelines"]] == [False, False, False, True]


def test_a_module_without_a_pipeline_has_nothing_to_check(folder: Path) -> None:
    assert command(folder, "check", "empty").returncode == ExitCode.USAGE


@pytest.mark.parametrize(
    ("form", "begins"), [("tree", "total|doubled"), ("mermaid", "flowchart TB"), ("dot", "digraph {"), ("json", "{")]
)
def test_a_graph_is_printed_in_each_form(folder: Path, form: str, begins: str) -> None:
    ended = command(folder, "graph", "app:counted", "--format", form)
    assert ended.returncode == ExitCode.COMPLETED
    assert ended.stdout.startswith(begins)


def test_the_example_is_checked_drawn_and_run() -> None:
    assert command(ROOT, "check", "examples.survey.pipeline").returncode == ExitCode.COMPLETED
    assert "discover" in command(ROOT, "graph", "examples.survey.pipeline:report").stdout
    ended = command(ROOT, "run", "examples.survey.pipeline:survey", "-i", '"examples/survey"', "--json")
    assert ended.returncode == ExitCode.COMPLETED, ended.stderr
    assert json.loads(ended.stdout)["value"]["summary"]["files"] > 5


def test_ctrl_c_cancels_the_run_and_waits_for_it(folder: Path) -> None:
    with running(folder, "run", "app:waiting", "-i", '"never"', "--json") as process:
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "press Ctrl-C again" in said
    told = json.loads(out)
    assert (told["status"], told["stages"][0]["status"]) == ("cancelled", "cancel")


def test_a_second_ctrl_c_leaves_at_once(folder: Path) -> None:
    with running(folder, "run", "app:stubborn", "-i", "3600") as process:
        assert process.stderr is not None
        process.send_signal(signal.SIGINT)
        assert "press Ctrl-C again" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == ExitCode.INTERRUPTED


def test_a_run_that_was_cancelled_is_listed_shown_and_resumed(folder: Path, tmp_path: Path) -> None:
    store, gate = tmp_path / "runs.db", tmp_path / "open"
    with running(folder, "run", "app:waiting", "-i", json.dumps(str(gate)), "--store", store) as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    (run,) = json.loads(command(folder, "runs", "--store", store, "--json").stdout)
    assert (run["pipeline"], run["status"]) == ("waiting", "cancelled")
    assert run["run_id"] in command(folder, "runs", "--store", store).stdout
    gate.touch()
    start = run["run_id"][:8]
    ended = command(folder, "resume", start, "app:waiting", "--store", store)
    assert (ended.returncode, ended.stdout) == (ExitCode.COMPLETED, f"started\n{gate}\n")
    shown = json.loads(command(folder, "show", start, "--store", store, "--json").stdout)
    assert (shown["status"], shown["stages"][0]["status"]) == ("completed", "ok")
    assert "waiting" in command(folder, "show", start, "--store", store).stdout


def test_a_run_that_was_killed_is_resumed_once_its_lease_has_ended(folder: Path, tmp_path: Path) -> None:
    store, gate = tmp_path / "runs.db", tmp_path / "open"
    words = ("run", "app:waiting", "-i", json.dumps(str(gate)), "--store", store, "--lease", "5")
    with running(folder, *words) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    (run,) = json.loads(command(folder, "runs", "--store", store, "--json").stdout)
    assert run["status"] == "running"
    gate.touch()
    ended = resumed(folder, run["run_id"], "app:waiting", "--store", store)
    assert ended.returncode == ExitCode.COMPLETED, ended.stderr


def resumed(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """What resuming a run comes to, once the lease of the process that was killed has ended."""
    ended = command(folder, "resume", *words)
    while "LeaseHeldError" in ended.stderr:
        ended = command(folder, "resume", *words)
    return ended


def test_a_stage_that_must_not_run_twice_and_was_cut_off_needs_a_decision(folder: Path, tmp_path: Path) -> None:
    store, gate = tmp_path / "runs.db", tmp_path / "open"
    with running(folder, "run", "app:charge", "-i", json.dumps(str(gate)), "--store", store, "--lease", "2") as process:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    gate.touch()
    (run,) = json.loads(command(folder, "runs", "--store", store, "--json").stdout)
    undecided = resumed(folder, run["run_id"], "app:charge", "--store", store)
    assert undecided.returncode == ExitCode.STORE
    assert "EffectsUnknownError" in undecided.stderr
    decided = resumed(folder, run["run_id"], "app:charge", "--store", store, "--repeat", "charge")
    assert (decided.returncode, decided.stdout) == (ExitCode.COMPLETED, "started\ncharged\n"), decided.stderr


def test_a_run_cannot_be_resumed_with_another_pipeline(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    command(folder, "run", "app:sold_out", "-i", "1", "--store", store)
    (run,) = json.loads(command(folder, "runs", "--store", store, "--json").stdout)
    ended = command(folder, "resume", run["run_id"], "app:doubled", "--store", store)
    assert ended.returncode == ExitCode.STORE
    assert "GraphChangedError" in ended.stderr
    assert "SoldOut: there is none left" in command(folder, "show", run["run_id"], "--store", store).stdout


def test_a_run_of_a_store_becomes_a_page(folder: Path, tmp_path: Path) -> None:
    store, page = tmp_path / "runs.db", tmp_path / "run.html"
    command(folder, "run", "app:sold_out", "-i", "1", "--store", store)
    (run,) = json.loads(command(folder, "runs", "--store", store, "--json").stdout)
    ended = command(folder, "report", run["run_id"], "app:sold_out", "--store", store, "--html", page)
    assert (ended.returncode, ended.stdout) == (ExitCode.COMPLETED, f"{page}\n")
    assert "sold_out" in page.read_text(encoding="utf-8")


def test_a_run_that_is_not_there_is_said_so(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    command(folder, "run", "app:doubled", "-i", "1", "--store", store)
    ended = command(folder, "show", "ffffffff-ffff-ffff-ffff-ffffffffffff", "--store", store)
    assert ended.returncode == ExitCode.USAGE
    assert "There is no run" in ended.stderr


def test_a_file_that_is_no_store_is_said_so(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, but a text that is long enough to be looked at" * 20)
    ended = command(folder, "runs", "--store", tmp_path / "text.db")
    assert ended.returncode == ExitCode.STORE
    assert "cannot be used" in ended.stderr


def test_progress_is_drawn_on_a_terminal_and_the_terminal_given_back(folder: Path) -> None:
    ours, theirs = pty.openpty()
    words = ("run", "app:each", "-i", json.dumps(list(range(60))))
    environ = {**environment(), "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-m", "stageflow", *words],
        cwd=folder,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    drawn = b""
    try:
        while chunk := os.read(ours, 65536):
            drawn += chunk
    except OSError:  # the other side has closed it
        pass
    os.close(ours)
    assert process.wait(timeout=60) == ExitCode.COMPLETED
    text = drawn.decode()
    assert "60/60" in text
    assert "━" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is shown again"


def test_progress_is_lines_where_there_is_no_terminal(folder: Path) -> None:
    words = ("run", "app:each", "-i", json.dumps(list(range(60))))
    said = command(folder, *words).stderr
    assert "slow completed" in said
    assert "\x1b" not in said
    assert "slow completed" not in command(folder, *words, "--no-progress").stderr


def test_every_command_explains_itself_and_its_exit_codes(folder: Path) -> None:
    assert "Ctrl-C cancels the run" in command(folder, "run", "--help").stdout
    for name in ("run", "graph", "check", "runs", "show", "resume", "report"):
        said = command(folder, name, "--help").stdout
        assert "130 interrupted" in " ".join(said.split()), said


def test_a_shell_can_complete_commands(folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "stageflow"],
        cwd=folder,
        env={**environment(), "_STAGEFLOW_COMPLETE": "complete_bash", "COMP_WORDS": "stageflow re", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.stdout.split() == ["resume", "report"], ended.stderr


def test_the_guide_and_the_enum_have_the_same_exit_codes() -> None:
    guide = (ROOT / "docs" / "guides" / "command-line.md").read_text(encoding="utf-8")
    for code in ExitCode:
        assert f"| {code.value} | `{code.name}` |" in guide
        assert code.name in (ExitCode.__doc__ or "")
