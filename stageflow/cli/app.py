"""The commands, as `typer` knows them: what each takes, and which part of the package does it."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stageflow.cli import executing, history
from stageflow.cli.as_data import json_text
from stageflow.cli.checking import checked
from stageflow.cli.exit_codes import ExitCode
from stageflow.cli.inputs import decoded
from stageflow.cli.loading import found, graph_of
from stageflow.running.decision import Decision
from stageflow.views import to_dot, to_mermaid, to_tree

CODES = "Exit codes: " + ", ".join(f"{code.value} {code.name.lower()}" for code in ExitCode) + "."

app: typer.Typer = typer.Typer(
    name="stageflow",
    help="Runs, checks, draws and resumes pipelines.",
    epilog=CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Target = Annotated[str, typer.Argument(metavar="MODULE:PIPELINE", help="The pipeline: app:pipeline.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The id of the run, or how it begins.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Trace = Annotated[bool, typer.Option("--traceback", help="Print the traceback of a defect.")]
Progress = Annotated[bool, typer.Option("--progress/--no-progress", help="Show how far the run is.")]
Given = Annotated[
    str | None, typer.Option("--runner", metavar="MODULE:RUNNER", help="Your own Runner, with its ports.")
]
_STORE = "The store: a SQLite file, or postgresql://..."
Kept = Annotated[str, typer.Option("--store", metavar="FILE", envvar="STAGEFLOW_STORE", help=_STORE)]
MaybeKept = Annotated[str | None, typer.Option("--store", metavar="FILE", envvar="STAGEFLOW_STORE", help=_STORE)]


_LEASE = "Seconds after which somebody else may resume the run of a process that was killed."
Lease = Annotated[float, typer.Option("--lease", min=0.1, help=_LEASE)]


class Form(StrEnum):
    """How a graph is printed."""

    TREE = "tree"
    MERMAID = "mermaid"
    DOT = "dot"
    JSON = "json"


class OnFailure(StrEnum):
    """What the first failure does."""

    CANCEL = "cancel"
    FINISH = "finish"


@app.command(epilog=CODES)
def run(
    target: Target,
    input: Annotated[
        str | None, typer.Option("--input", "-i", metavar="JSON|@FILE", help="The input; @- reads it from stdin.")
    ] = None,
    store: MaybeKept = None,
    runner: Given = None,
    on_failure: Annotated[OnFailure, typer.Option(help="What the first failure does.")] = OnFailure.CANCEL,
    deadline: Annotated[float | None, typer.Option(min=0.001, help="Seconds after which the run is cancelled.")] = None,
    max_concurrency: Annotated[int | None, typer.Option(min=1, help="How many stages may run at once.")] = None,
    lease: Lease = 30.0,
    progress: Progress = True,
    json: Json = False,
    traceback: Trace = False,
) -> None:
    """Runs a pipeline and prints what it gives.

    Ctrl-C cancels the run and waits for it; pressed again, it leaves at once.
    """
    graph = graph_of(found(target), target)
    value = decoded(input, graph)
    options = executing.Options(
        store,
        runner,
        on_failure.value,
        deadline,
        max_concurrency,
        lease,
        progress,
        json,
        traceback,
    )
    raise typer.Exit(executing.run(graph, value, options))


@app.command(epilog=CODES)
def resume(
    run: RunId,
    target: Target,
    store: MaybeKept = None,
    repeat: Annotated[
        list[str] | None, typer.Option(metavar="STAGE", help="A stage that was cut off and may run again.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(metavar="STAGE", help="A stage that was cut off and counts as skipped.")
    ] = None,
    runner: Given = None,
    lease: Lease = 30.0,
    progress: Progress = True,
    json: Json = False,
    traceback: Trace = False,
) -> None:
    """Goes on with a run of a store where it was left, with the pipeline that it is a run of."""
    graph = graph_of(found(target), target)
    run_id = history.meant(run, None if runner is not None else store)
    decisions = (
        *[Decision.of(stage).repeat() for stage in repeat or ()],
        *[Decision.of(stage).skip("skipped by hand") for stage in skip or ()],
    )
    options = executing.Options(
        None if runner else store, runner, lease=lease, progress=progress, json=json, trace=traceback
    )
    raise typer.Exit(executing.resume(graph, run_id, decisions, options))


@app.command(epilog=CODES)
def graph(
    target: Target,
    form: Annotated[Form, typer.Option("--format", "-f", help="How to print it.")] = Form.TREE,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Prints what a pipeline looks like."""
    diagram = graph_of(found(target), target).diagram()
    match Form.JSON if json else form:
        case Form.TREE:
            print(to_tree(diagram))
        case Form.MERMAID:
            print(to_mermaid(diagram))
        case Form.DOT:
            print(to_dot(diagram))
        case Form.JSON:
            print(json_text(asdict(diagram)))


@app.command(epilog=CODES)
def check(
    modules: Annotated[list[str], typer.Argument(metavar="MODULE...", help="The modules whose pipelines to build.")],
    json: Json = False,
) -> None:
    """Imports modules, builds every pipeline in them, and prints every problem."""
    found = [checked(module) for module in modules]
    if json:
        print(json_text(found))
    for module in () if json else found:
        if module.problem:
            print(module.problem)
        for pipeline in module.pipelines:
            count = f"{pipeline.stages} stage{'s' * (pipeline.stages != 1)}"
            print(f"{pipeline.name}: {count if not pipeline.problems else f'{len(pipeline.problems)} problem(s)'}")
            for problem in pipeline.problems:
                print(f"  - {problem}")
    raise typer.Exit(max(module.code for module in found))


@app.command(epilog=CODES)
def runs(
    store: Kept,
    status: Annotated[str | None, typer.Option(help="Only runs of this status.")] = None,
    pipeline: Annotated[str | None, typer.Option(help="Only runs of the pipeline of this name.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    json: Json = False,
) -> None:
    """Lists the runs of a store, the newest first."""
    raise typer.Exit(history.show_runs(store, status, pipeline, limit, json=json))


@app.command(epilog=CODES)
def show(run: RunId, store: Kept, json: Json = False) -> None:
    """Prints how the stages of a run went."""
    raise typer.Exit(history.show_run(store, run, json=json))


@app.command(epilog=CODES)
def report(
    run: RunId,
    store: Kept,
    html: Annotated[Path, typer.Option("--html", metavar="FILE", help="The file to write.")],
    target: Annotated[
        str | None, typer.Argument(metavar="[MODULE:PIPELINE]", help="What was run, for the graph on the page.")
    ] = None,
    json: Json = False,
) -> None:
    """Writes the report of a run as one HTML file."""
    pipeline = None if target is None else graph_of(found(target), target)
    raise typer.Exit(history.write_report_of(store, run, html, pipeline, json=json))
