"""The ids that what is logged carries: those of the run, and of the stage, that this context is in."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import TypeAlias
from uuid import UUID

from stageflow.ports import CorrelationIds

LogIds: TypeAlias = Mapping[str, object]

log_ids: ContextVar[LogIds] = ContextVar("stageflow_log_ids", default=MappingProxyType({}))


def ids_of(run_id: UUID | None, correlation: CorrelationIds) -> dict[str, object]:
    """The ids of a run by name, in a fresh dict: its own over what goes with it; None leaves it out."""
    ids = correlation.as_mapping()
    if run_id is not None:
        ids["run_id"] = str(run_id)
    return ids


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
    return bind_ids({**ids_of(run_id, correlation), **more})


def bind_ids(ids: LogIds) -> Token[LogIds]:
    """Puts these ids on what is logged, as `bind_run` does."""
    around = log_ids.get()
    trace = {"trace_id": around["trace_id"]} if "trace_id" in around else {}
    return log_ids.set(MappingProxyType({**trace, **ids}))


def bind_trace(trace_id: str) -> Token[LogIds]:
    """Puts a trace's id beside the ids that this context has, where they name no trace; the token takes it off."""
    return log_ids.set(MappingProxyType({"trace_id": trace_id, **log_ids.get()}))
