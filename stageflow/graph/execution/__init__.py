"""Running what was built: one plan, stage by stage, and what is kept of it meanwhile."""
