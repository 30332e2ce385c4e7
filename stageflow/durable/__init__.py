"""Runs that survive the death of their process: what a `Runner` with a durable store does. Needs msgspec."""

from importlib.util import find_spec

if find_spec("msgspec") is None:
    raise ImportError("Durable runs need msgspec: pip install 'stageflow[sqlite]'", name="msgspec")

from stageflow.running.decision import Decision

__all__ = ["Decision"]
