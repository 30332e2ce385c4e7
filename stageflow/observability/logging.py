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
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import TypeAlias, final
from uuid import UUID

from typing_extensions import override

from stageflow.ports import CorrelationIds

LogIds: TypeAlias = Mapping[str, object]

_NONE: LogIds = MappingProxyType({})
log_ids: ContextVar[LogIds] = ContextVar("stageflow_log_ids", default=_NONE)


def bind_run(run_id: UUID | None, correlation: CorrelationIds, **more: object) -> Token[LogIds]:
    """Puts the ids of a run on what is logged from here on in this context; the token takes them off again.

    A trace that this context is in already stays, where the run's own ids name none.

    Args:
        run_id: the run; None leaves it out.
        correlation: the ids that go with it.
        more: further ids, such as the stage.

    >>> token = bind_run(None, CorrelationIds(extra={"tenant": "acme"}), stage="fetch")
    >>> dict(log_ids.get())
    {'tenant': 'acme', 'stage': 'fetch'}
    >>> log_ids.reset(token)
    """
    around = log_ids.get()
    ids = {"trace_id": around["trace_id"]} if "trace_id" in around else {}
    ids.update(correlation.as_mapping())
    if run_id is not None:
        ids["run_id"] = str(run_id)
    return log_ids.set(MappingProxyType({**ids, **more}))


def bind_trace(trace_id: str) -> Token[LogIds]:
    """Puts a trace's id beside the ids that this context has, where they name no trace; the token takes it off."""
    return log_ids.set(MappingProxyType({"trace_id": trace_id, **log_ids.get()}))


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
