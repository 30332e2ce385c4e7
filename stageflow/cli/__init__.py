"""The command line: ``stageflow run`` and its like. Needs typer and rich."""
