"""The survey as a page, in the form that the host asked for by the port `FORM`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Literal, TypeAlias

from returns.result import Result
from typing_extensions import Never

from examples.survey.words import Count, Finding, Survey
from stageflow import PortKey, StageInputs, StageKind, StageOutput, lift, ok, route, stage

Form: TypeAlias = Literal["text", "json", "markdown"]
FORM: PortKey[Form] = PortKey("form")


@stage(kind=StageKind.ROUTE, requires=(FORM,))
async def form(inputs: StageInputs[Survey]) -> Result[StageOutput[Form], Never]:
    """The form that the host asked for."""
    return ok(inputs.ports[FORM])


@lift
def as_text(survey: Survey) -> str:
    """The survey for a terminal."""
    tables = [_block(title, _columns(counts)) for title, counts in _tables(survey)]
    ring = [f"  {' -> '.join(survey.imports.cycle)}"] if survey.imports.cycle else []
    findings = [f"  {finding}" for finding in _findings(survey)]
    return "\n\n".join([_figures(survey), *tables, _block("Import cycle", ring), _block("Findings", findings)])


@lift
def as_json(survey: Survey) -> str:
    """The survey for another program, with every edge of the import graph."""
    return json.dumps(asdict(survey), indent=2)


@lift
def as_markdown(survey: Survey) -> str:
    """The survey for a wiki or a pull request."""
    tables = [_section(title, _rows(counts)) for title, counts in _tables(survey)]
    ring = [" -> ".join(f"`{name}`" for name in survey.imports.cycle)] if survey.imports.cycle else []
    findings = [f"- {finding}" for finding in _findings(survey)]
    sections = [*tables, _section("Import cycle", ring), _section("Findings", findings)]
    return "\n\n".join(["# Survey", _figures(survey).replace("\n", "  \n"), *sections])


page = route(form).case("text", as_text).case("json", as_json).case("markdown", as_markdown).exhaustive()


def _figures(survey: Survey) -> str:
    lines = survey.summary.lines
    sorts = f"{lines.code:,} code, {lines.comments:,} comments, {lines.blank:,} blank"
    return f"Files: {survey.summary.files:,}\nLines: {lines.total:,} ({sorts})"


def _tables(survey: Survey) -> Iterator[tuple[str, tuple[Count, ...]]]:
    yield "Largest modules, by lines of code", survey.summary.largest
    yield "Most imported, by importing modules", survey.imports.most_imported
    yield "Outside packages, by importing modules", survey.imports.outside


def _block(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *(lines or ["  none"])])


def _columns(counts: Sequence[Count]) -> list[str]:
    width = max([len(each.name) for each in counts], default=0)
    return [f"  {each.name:{width}}  {each.count:>6,}" for each in counts]


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *(lines or ["none"])])


def _rows(counts: Sequence[Count]) -> list[str]:
    return ["| | |", "|---|--:|", *(f"| `{each.name}` | {each.count:,} |" for each in counts)] if counts else []


def _findings(survey: Survey) -> list[str]:
    return [f"{_where(finding)}: {finding.problem}" for finding in survey.findings]


def _where(finding: Finding) -> str:
    return finding.shown if finding.line is None else f"{finding.shown}:{finding.line}"
