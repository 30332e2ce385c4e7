"""The ids of the run on every log line: a filter for the standard library, and a processor for structlog.

Nothing is configured on import. Hang the filter on a handler, since a logger's filters do not see what its children
log::

    handler.addFilter(RunFilter())
    logging.basicConfig(handlers=[handler], format="%(run_id)s %(stage)s %(message)s")

or put the processor among those of structlog::

    structlog.configure(processors=[add_run_ids, structlog.processors.JSONRenderer()])
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import final

from typing_extensions import override

from stageflow.core.log_ids import log_ids


@final
class RunFilter(logging.Filter):
    """Adds the ids of the run to every record that passes: ``run_id``, ``stage``, correlation ids. It drops none.

    What a record brings itself (its ``extra``) stays.

    Args:
        always: names that every record is to have, so that a format string may use them; empty outside of a run.
    """

    def __init__(self, *, always: tuple[str, ...] = ("run_id", "stage", "request_id", "trace_id")) -> None:
        super().__init__()
        self._always = always

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        """Adds the ids."""
        for name, value in log_ids.get().items():
            if not hasattr(record, name):
                setattr(record, name, value)
        for name in self._always:
            if not hasattr(record, name):
                setattr(record, name, "")
        return True


def add_run_ids(_logger: object, _method: str, event: MutableMapping[str, object], /) -> MutableMapping[str, object]:
    """A structlog processor: adds the ids of the run to the event; what it has already stays.

    >>> add_run_ids(None, "info", {"event": "outside of a run"})
    {'event': 'outside of a run'}
    """
    for name, value in log_ids.get().items():
        event.setdefault(name, value)
    return event
