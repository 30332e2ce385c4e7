"""What importing the library brings along, and that its public names are where they are promised to be."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

import stageflow

EXTRAS = ("opentelemetry", "msgspec", "rich", "typer", "dask", "distributed", "psycopg", "structlog", "temporalio")
SEED = {
    "ports": ("EventSink", "RunStore", "ConfigProvider", "CorrelationIds"),
    "errors": ("StageError", "StageExecutionError", "StageTimeoutError", "CircuitOpenError", "PipelineValidationError"),
    "core.stage": ("StageKind", "StageStatus", "StageHandle"),
    "core.output": ("StageOutput", "StageArtifact", "StageEvent"),
    "core.timer": ("PipelineTimer",),
    "context.pipeline": ("PipelineContext",),
    "context.stage": ("StageContext",),
    "context.inputs": ("StageInputs",),
    "context.ports": ("StagePorts",),
    "events.sink": ("EventSink", "NoOpEventSink", "LoggingEventSink"),
    "events.context": ("set_event_sink", "get_event_sink", "clear_event_sink", "event_sink"),
    "graph.spec": ("StageSpec", "UnifiedStageSpec"),
    "graph.executor": ("UnifiedStageGraph",),
    "graph.errors": ("StageExecutionError", "UnifiedPipelineCancelled"),
    "pipeline.builder": ("Pipeline",),
    "pipeline.registry": ("PipelineRegistry",),
    "interceptors.base": (
        "BaseInterceptor",
        "InterceptorContext",
        "InterceptorResult",
        "ErrorAction",
        "run_with_interceptors",
    ),
    "interceptors.timeout": ("TimeoutInterceptor",),
    "interceptors.retry": ("RetryInterceptor",),
    "interceptors.circuit_breaker": ("CircuitBreakerInterceptor",),
    "interceptors.logging": ("LoggingInterceptor",),
}


def loaded_after(code: str) -> set[str]:
    """The names of all modules that a fresh interpreter has loaded after some code."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(ended.stdout)
    return set(found)


@pytest.mark.parametrize(
    "code",
    [
        "import stageflow",
        "import asyncio, stageflow; asyncio.run(stageflow.lift(len).run('abc'))",
        "import stageflow; [getattr(stageflow, n) for n in stageflow.__all__ if n[:7] not in ('Tracing', 'Metrics')]",
    ],
)
def test_neither_importing_nor_running_loads_an_extra(code) -> None:
    roots = {name.partition(".")[0] for name in loaded_after(code)}
    assert "stageflow" in roots
    assert roots.isdisjoint(EXTRAS)


def test_importing_loads_next_to_nothing_and_a_name_what_it_needs() -> None:
    def own(code: str) -> set[str]:
        return {name for name in loaded_after(code) if name.startswith("stageflow.")}

    run = "from stageflow.pipeline.functions import lift\nasyncio.run(lift(len).run(''))"
    assert own("import stageflow") == {"stageflow.graph", "stageflow.graph.above"}
    assert "stageflow.interceptors.retry" not in own("from stageflow import Pipeline, Stage, StageOutput")
    assert "stageflow.running.runner" in own(f"import asyncio\n{run}")


def test_what_a_checker_sees_and_what_is_imported_late_are_the_same() -> None:
    tree = ast.parse(Path(stageflow.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.name: str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("stageflow.")
        for alias in node.names
    }
    late = {**stageflow._MODULES, "give": "stageflow.graph.above"}
    assert late == seen
    assert set(stageflow.__all__) == set(stageflow._MODULES)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'stageflow' has no attribute 'Pipelin'"):
        stageflow.Pipelin  # noqa: B018


def test_the_command_line_needs_no_extra_but_its_own() -> None:
    loaded = {name.split(".")[0] for name in loaded_after("import stageflow.cli.app")}
    assert loaded.isdisjoint({"opentelemetry", "psycopg", "psycopg_pool", "dask", "distributed"})


def test_the_version_is_that_of_the_distribution_and_is_looked_up_late() -> None:
    assert stageflow.__version__ == importlib.metadata.version("stageflow")
    assert "importlib.metadata" not in loaded_after("import stageflow")


def test_importing_loads_no_test_tool_of_its_own() -> None:
    assert not [name for name in loaded_after("import stageflow") if name.startswith("stageflow.testing")]


@pytest.mark.parametrize("name", stageflow.__all__)
def test_every_public_name_is_there_and_explains_itself(name) -> None:
    found = getattr(stageflow, name)
    assert name == "PipelineResult" or found.__doc__, "a union cannot carry a docstring; everything else does"
    assert name in dir(stageflow)


def test_the_public_names_are_sorted_and_each_is_given_once() -> None:
    assert len(set(stageflow.__all__)) == len(stageflow.__all__)
    assert list(stageflow.__all__) == sorted(stageflow.__all__, key=lambda name: (name[0].islower(), name))


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in SEED.items() for name in names])
def test_the_seeds_names_are_importable_from_their_files_and_from_the_top(module, name) -> None:
    found = getattr(importlib.import_module(f"stageflow.{module}"), name)
    assert getattr(stageflow, name) is found


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        stageflow.no_such_name  # noqa: B018  # type: ignore[attr-defined]
