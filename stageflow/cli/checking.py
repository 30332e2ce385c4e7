"""``stageflow check``: every pipeline of a module, built."""

from __future__ import annotations

from dataclasses import dataclass

from returns.result import Failure

from stageflow.cli.exit_codes import CommandError, ExitCode
from stageflow.cli.loading import as_pipeline, loaded, pipelines, thing
from stageflow.graph.executor import UnifiedStageGraph, built


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of building one pipeline.

    Attributes:
        name: where it stands: ``module:name``.
        stages: how many stages it has; 0 where it does not build.
        problems: what is wrong with it.
    """

    name: str
    stages: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedModule:
    """What came of a module.

    Attributes:
        module: its name.
        pipelines: its pipelines.
        problem: why it could not be looked at; empty where it could.
        code: what to exit with for it.
    """

    module: str
    pipelines: tuple[Checked, ...] = ()
    problem: str = ""
    code: ExitCode = ExitCode.COMPLETED


def checked(name: str) -> CheckedModule:
    """Every pipeline in a module, built."""
    try:
        module = loaded(name)
    except CommandError as error:
        return CheckedModule(name, problem=str(error), code=error.code)
    known = pipelines(module)
    if not known:
        return CheckedModule(name, problem=f"There is no pipeline in {name!r} to check.", code=ExitCode.USAGE)
    found: list[Checked] = []
    for each in known:
        try:
            pipeline = as_pipeline(thing(module, each), f"{name}:{each}", {})
        except CommandError as error:  # a factory of a registry
            found.append(Checked(f"{name}:{each}", 0, (str(error),)))
            continue
        graph = pipeline if isinstance(pipeline, UnifiedStageGraph) else built(pipeline.shape)
        if isinstance(graph, Failure):
            found.append(Checked(f"{name}:{each}", 0, graph.failure().problems))
        else:
            made = graph if isinstance(graph, UnifiedStageGraph) else graph.unwrap()
            found.append(Checked(f"{name}:{each}", len(made.diagram().nodes)))
    broken = any(each.problems for each in found)
    return CheckedModule(name, tuple(found), code=ExitCode.BROKEN if broken else ExitCode.COMPLETED)
