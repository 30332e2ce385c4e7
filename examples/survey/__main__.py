"""Runs the survey: ``python -m examples.survey PATH``, or ``python examples/survey PATH``."""

import sys
from pathlib import Path

if not __package__:  # run as a folder, which Python then puts on its path in place of the one that holds `examples`
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from examples.survey.command import main

if __name__ == "__main__":
    sys.exit(main())
