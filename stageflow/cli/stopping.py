"""Ctrl-C while a run goes on: the first cancels the run and waits for it, a second one leaves at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from stageflow.cli.exit_codes import ExitCode


class Interrupts:
    """What Ctrl-C has asked for.

    Attributes:
        count: how often it was pressed.
    """

    def __init__(self) -> None:
        self.count: int = 0

    @contextmanager
    def stopping(self, cancel: Callable[[], object], leave: Callable[[], object]) -> Generator[None]:
        """Until the block ends, Ctrl-C cancels; pressed again, it leaves the process.

        Args:
            cancel: ends the run gracefully.
            leave: gives the terminal back before the process is left.
        """

        def pressed() -> None:
            self.count += 1
            if self.count > 1:
                leave()
                os._exit(ExitCode.INTERRUPTED)  # a thread that cannot be interrupted must not hold it
            print("stageflow: cancelling; press Ctrl-C again to leave at once", file=sys.stderr, flush=True)
            cancel()

        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGINT, pressed)
        except (NotImplementedError, RuntimeError):  # Windows, or not the main thread: KeyboardInterrupt does it
            yield
            return
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)
