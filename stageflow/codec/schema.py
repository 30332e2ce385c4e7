"""What values of a type look like as data, as one text: equal for two types whose data can be read as one another."""

from __future__ import annotations

from stageflow.codec.plan import Plan


def schema(plan: Plan, seen: dict[int, int] | None = None) -> str:
    """The text of a plan and of all that is inside it; what occurs again is its number, so that it stays small."""
    seen = {} if seen is None else seen
    if id(plan) in seen:
        return f"#{seen[id(plan)]}"
    seen[id(plan)] = len(seen)
    inside = ", ".join([f"{part.step}: {schema(part.plan, seen)}" for part in plan.parts])
    return f"{plan.label}{{{inside}}}" if inside else plan.label
