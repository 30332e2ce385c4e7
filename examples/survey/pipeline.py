"""The survey, as one pipeline: what follows what, what runs beside what, and what can go wrong."""

from __future__ import annotations

from pathlib import Path

from returns.result import Result
from typing_extensions import Never

from examples.survey.errors import BadFileError, NoSurveyError, UnparsableError
from examples.survey.files import announce, discover, read
from examples.survey.form import page
from examples.survey.summary import findings, import_graph, summary
from examples.survey.syntax import file_of, imports, lines, parse
from examples.survey.words import File, Finding, Module, Survey, Surveyed
from stageflow import Pipeline, StageEvent, StageInputs, StageOutput, ok, stage

AT_ONCE = 16  # files that are open at a time


async def as_finding(error: BadFileError) -> Result[StageOutput[Finding], Never]:
    """A file that cannot be read or parsed is something to report, not the end of the survey."""
    return ok(Finding(error.shown, error.line if isinstance(error, UnparsableError) else None, str(error)))


@stage
async def told(inputs: StageInputs[Surveyed]) -> Result[StageOutput[Surveyed], Never]:
    """The same, told to whoever watches the run: one file more."""
    return ok(inputs.value, events=(StageEvent("survey.surveyed"),))


module = read | parse | (file_of & lines & imports).into(Module)
surveyed: Pipeline[File, Surveyed, Never] = module.recover(as_finding) | told
survey: Pipeline[Path, Survey, NoSurveyError] = (
    discover | announce | surveyed.each(limit=AT_ONCE) | (summary & import_graph & findings).into(Survey)
)
report = survey | page
