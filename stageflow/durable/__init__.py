"""Runs that survive the death of their process: what a `Runner` with a durable store does. Needs msgspec.

Importing it is enough, and the stores of `stageflow.stores` do so.
"""

from stageflow.durable.durability import JournaledRuns
from stageflow.running.decision import Decision
from stageflow.running.durability import made_durable_by

__all__ = ["Decision"]

made_durable_by(JournaledRuns)
