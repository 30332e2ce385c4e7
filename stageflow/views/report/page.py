"""The page of a run: one file of HTML with all that it needs inside it, and nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import zlib
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from pathlib import Path

from stageflow.views.report.data import ErrorText, EventText, ReportData, StageEntry
from stageflow.views.report.members import Members

SCRIPTS = ("dagre.min.js", "model.js", "marks.js", "layout.js", "graph.js", "stages.js", "details.js", "page.js")
_PLACE = re.compile(r"@@([A-Z]+)@@")
_UNSAFE = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def as_html(report: ReportData) -> str:
    """The page, as text.

    It loads nothing: its own policy forbids that. What is on it is set as text and never as markup, so that no name,
    message or traceback of a run can do anything there.
    """
    program, boot, style = _program(), _asset("boot.js"), _asset("style.css")
    places = {
        "TITLE": html.escape(f"{report.pipeline}: {report.status}"),
        "POLICY": _policy((boot, program), style),
        "STYLE": style,
        "PACKED": _packed(program),
        "DATA": _embedded(report),
        "BOOT": boot,
    }
    return _PLACE.sub(lambda place: places[place[1]], _asset("page.html"))


def write_report(path: str | Path, report: ReportData) -> None:
    """Writes the page to a file, which any browser opens."""
    Path(path).write_text(as_html(report), encoding="utf-8", errors="replace")


@cache
def _asset(name: str) -> str:
    return files("stageflow.views.report").joinpath("assets", name).read_text(encoding="utf-8")


@cache
def _program() -> str:
    return "\n".join(_asset(name) for name in SCRIPTS)


@cache
def _packed(script: str) -> str:
    """A script that the page unpacks itself, at half its size."""
    return base64.b64encode(zlib.compress(script.encode(), 9)).decode()


def _policy(scripts: tuple[str, ...], style: str) -> str:
    """What the page may do: run these scripts, by their digests, and load nothing."""
    allowed = " ".join(_digest(script) for script in scripts)
    loads = f"script-src {allowed}; style-src {_digest(style)}; img-src data:"
    return f"default-src 'none'; {loads}; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _embedded(report: ReportData) -> str:
    """The report as JSON that ends no script tag and opens no comment, whatever is in it."""
    return json.dumps(_page(report), separators=(",", ":")).translate(_UNSAFE)


def _page(report: ReportData) -> dict[str, object]:
    members = Members(report.drawing, (stage.name for stage in report.stages))
    numbers = {stage.name: number for number, stage in enumerate(report.stages)}
    return {
        "pipeline": report.pipeline,
        "run": report.run_id,
        "status": report.status,
        "reason": report.reason,
        "error": report.error,
        "started": report.started_at.isoformat(),
        "duration": _ms(report.duration_ms),
        "correlation": report.correlation,
        "events": [_event(event) for event in report.events],
        "stages": [_stage(stage, members.node(stage.name)) for stage in report.stages],
        "nodes": [_told(asdict(node)) for node in report.drawing.nodes],
        "clusters": [asdict(cluster) for cluster in report.drawing.clusters],
        "edges": [_told(asdict(edge)) for edge in report.drawing.edges],
        "critical": [numbers[name] for name in report.critical],
    }


def _stage(stage: StageEntry, node: int) -> dict[str, object]:
    """A stage, without what it has not: most of two thousand have little to tell."""
    more: dict[str, object] = {
        "reason": stage.reason,
        "error": None if stage.error is None else _error(stage.error),
        "artifacts": [{"type": artifact.type, "payload": artifact.payload} for artifact in stage.artifacts],
        "events": [_event(event) for event in stage.events],
        "tries": [{"at": _ms(attempt.at_ms), "error": attempt.error} for attempt in stage.tries],
    }
    return {
        "name": stage.name,
        "kind": stage.kind,
        "status": stage.status,
        "attempts": stage.attempts,
        "start": None if stage.start_ms is None else _ms(stage.start_ms),
        "duration": _ms(stage.duration_ms),
        "node": node,
        **_told(more),
    }


def _told(all: dict[str, object]) -> dict[str, object]:
    """What there is to tell: no empty texts and lists, but numbers whatever they are."""
    return {key: value for key, value in all.items() if value or isinstance(value, int)}


def _error(error: ErrorText) -> dict[str, object]:
    return {"type": error.type, "message": error.message, "fields": error.fields, "trace": error.trace}


def _event(event: EventText) -> dict[str, object]:
    return {"type": event.type, "at": _ms(event.at_ms), **({"data": event.data} if event.data else {})}


def _ms(milliseconds: float) -> float:
    return round(milliseconds, 3)
