"""Real programs on stageflow, to run, to read and to copy from."""
