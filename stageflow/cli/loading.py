"""From ``module:pipeline`` on a command line to the pipeline."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TypeAlias, cast

from returns.result import Failure
from typing_extensions import Never

from stageflow.cli.exit_codes import CommandError, ExitCode
from stageflow.errors import PipelineValidationError, StageError
from stageflow.graph.executor import AnyGraph, UnifiedStageGraph, built
from stageflow.graph.problems import nearest
from stageflow.pipeline.builder import Parallel, Stage
from stageflow.pipeline.registry import PipelineRegistry

AnyStage: TypeAlias = Stage[Never, object, StageError]


def loaded(name: str) -> ModuleType:
    """The module of a name, imported; the working directory is looked in first.

    Raises:
        CommandError: there is no such module, or it fails on import.
    """
    if name.endswith(".py") or "/" in name:
        shown = Path(name).with_suffix("").as_posix().strip("/.").replace("/", ".")
        raise CommandError(f'"{name}" is a path. Write it as a module that can be imported from here: "{shown}".')
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            where = f"There is no module {error.name!r} here: {Path.cwd()}."
            raise CommandError(f"{where} Run the command from the folder that holds it, or install it.") from None
        raise CommandError(_broken(name, error), ExitCode.BROKEN) from error
    except PipelineValidationError as error:
        raise CommandError(_broken(name, error, "a pipeline that does not build"), ExitCode.BROKEN) from error
    except (Exception, SystemExit) as error:
        raise CommandError(_broken(name, error), ExitCode.BROKEN) from error


def found(target: str) -> AnyStage | AnyGraph:
    """The pipeline that ``module:name`` stands for; of a registry, ``module:registry.name``.

    Raises:
        CommandError: there is no such module or name, or it is no pipeline.
    """
    module, name = parted(target)
    return as_pipeline(thing(module, name), target, pipelines(module))


def graph_of(pipeline: AnyStage | AnyGraph, target: str) -> AnyGraph:
    """The graph of a pipeline.

    Raises:
        CommandError: it does not build; every problem is named.
    """
    if isinstance(pipeline, UnifiedStageGraph):
        return pipeline
    graph = built(pipeline.shape)
    if isinstance(graph, Failure):
        raise CommandError(f"{target} does not build: {graph.failure()}", ExitCode.BROKEN)
    return graph.unwrap()


def parted(target: str) -> tuple[ModuleType, str]:
    """The module of ``module:name``, imported, and the name."""
    module, colon, name = target.partition(":")
    if not colon or not module or not name:
        raise CommandError(f'"{target}" names no pipeline. Write MODULE:NAME, such as app:pipeline.')
    return loaded(module), name


def thing(module: ModuleType, name: str) -> object:
    """What stands under a dotted name in a module."""
    value: object = module
    for part in name.split("."):
        if isinstance(value, PipelineRegistry):
            rest = name.split(".", 1)[1]
            return _of_registry(value, rest)
        if not hasattr(value, part):
            known = pipelines(module)
            listed = f" It has {', '.join(known)}." if known and not nearest(part, known) else ""
            raise CommandError(f"{module.__name__} has no {name!r}.{nearest(part, known)}{listed}")
        value = cast("object", getattr(value, part))
    return value


def pipelines(module: ModuleType) -> dict[str, object]:
    """Every pipeline in a module, by the name it is found by."""
    known: dict[str, object] = {}
    for name, value in cast("dict[str, object]", vars(module)).items():
        if isinstance(value, Stage | Parallel | UnifiedStageGraph):
            known[name] = cast("object", value)
        elif isinstance(value, PipelineRegistry):
            known.update({f"{name}.{entry}": value for entry in value.list()})
    return known


def as_pipeline(value: object, target: str, known: dict[str, object]) -> AnyStage | AnyGraph:
    """The value, where it is a pipeline."""
    if isinstance(value, Parallel):
        return cast("AnyStage", value.together())
    if isinstance(value, Stage | UnifiedStageGraph):
        return cast("AnyStage | AnyGraph", value)
    others = f" Pipelines there: {', '.join(known)}." if known else ""
    raise CommandError(f"{target} is no pipeline, but {type(value).__name__}.{others}")


def _of_registry(registry: PipelineRegistry, name: str) -> object:
    if name not in registry.list():
        listed = ", ".join(registry.list()) or "nothing"
        raise CommandError(f"No pipeline is registered as {name!r}.{nearest(name, registry.list())} There is {listed}.")
    try:
        return registry.get(name, input=object, output=object)
    except Exception as error:
        raise CommandError(f"The factory of {name!r} fails: {summary(error)}", ExitCode.BROKEN) from error


def summary(error: BaseException) -> str:
    """An exception on one line, with where it was raised."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"{text} ({_where(error)})" if _where(error) else text


def _broken(name: str, error: BaseException, what: str = "") -> str:
    said = f"{what}: {error} ({_where(error)})" if what else summary(error)
    return f"The module {name!r} fails on import: {said}"


def _where(error: BaseException) -> str:
    """The file and line that an exception is about."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_near(error.filename)}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _ours(frame.filename)]
    return f"{_near(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""


def _ours(filename: str) -> bool:
    """Whether a frame is of the library or of Python's own imports: a user looks for theirs."""
    return (
        filename.startswith("<") or Path(filename).is_relative_to(Path(__file__).parents[1]) or "importlib" in filename
    )


def _near(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename
