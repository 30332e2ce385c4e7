"""What values of a type look like as data, as one text: equal for two types whose data can be read as one another."""

from __future__ import annotations

from stageflow.codec.plan import Plan


def schema(plan: Plan) -> str:
    """The text of a plan and of all that is inside it."""
    inside = ", ".join(f"{part.step}: {schema(part.plan)}" for part in plan.parts)
    return f"{plan.label}{{{inside}}}" if inside else plan.label
