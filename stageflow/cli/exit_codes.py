"""What the command line tells a shell: one table, for every command."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command came to.

    ======  ===========  ============================================================================
    code    name         when
    ======  ===========  ============================================================================
    0       COMPLETED    the run completed; or the command did what it was asked
    1       FAILED       the run failed with an error that its type names
    2       USAGE        what was asked cannot be: an option, a module, a pipeline, an input, a run
    3       SKIPPED      the run's output was skipped
    4       CANCELLED    a stage, or the deadline, cancelled the run
    5       BROKEN       a module fails on import, or a pipeline does not build
    6       STORE        the store is lost, or the run cannot be resumed
    70      DEFECT       the run failed with a defect: an exception that no stage's type names
    130     INTERRUPTED  Ctrl-C
    ======  ===========  ============================================================================
    """

    COMPLETED = 0
    FAILED = 1
    USAGE = 2
    SKIPPED = 3
    CANCELLED = 4
    BROKEN = 5
    STORE = 6
    DEFECT = 70
    INTERRUPTED = 130


class CommandError(Exception):
    """A command that cannot go on: one clear text, and the code to exit with."""

    def __init__(self, text: str, code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(text)
        self.code: ExitCode = code
