"""The report of a run, as one self-contained page for a browser.

::

    sink = RecordingEventSink()
    async with Runner(sink=sink) as runner:
        outcome = await runner.run(pipeline, value)
    write_report("run.html", outcome_report(outcome, pipeline, sink.events))
"""

from stageflow.views.report.critical import Span, critical_path
from stageflow.views.report.data import ReportData
from stageflow.views.report.outcome import outcome_report
from stageflow.views.report.page import as_html, write_report
from stageflow.views.report.stored import stored_report

__all__ = ["ReportData", "Span", "as_html", "critical_path", "outcome_report", "stored_report", "write_report"]
