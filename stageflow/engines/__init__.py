"""Where the bodies of stages run: ``Runner(engine=ProcessEngine(workers=4))``. Needs msgspec.

The graph, its interceptors and its events stay in the process of the run; what goes to a worker is a `StageCall`, and
what comes back is a Result. An engine of your own is one method, ``call``, that has a worker run `perform` (or, where
it runs plain functions, `answer`); hold it to what a run counts on with `stageflow.testing.engines.check_engine`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if find_spec("msgspec") is None:
    raise ImportError("stageflow.engines needs msgspec: pip install 'stageflow[processes]'", name="msgspec")

from stageflow.engines.local import LocalEngine
from stageflow.engines.performing import perform
from stageflow.engines.worker import answer, interrupt
from stageflow.placement import LOCAL, Engine, EngineCapabilities, Placement, StageCall

if TYPE_CHECKING:
    from stageflow.engines.dask import DaskEngine
    from stageflow.engines.processes import ProcessEngine

__all__ = [
    "LOCAL",
    "DaskEngine",
    "Engine",
    "EngineCapabilities",
    "LocalEngine",
    "Placement",
    "ProcessEngine",
    "StageCall",
    "answer",
    "interrupt",
    "perform",
]


def __getattr__(name: str) -> object:
    """Engines that bring more along are imported when they are asked for."""
    if name == "ProcessEngine":
        from stageflow.engines.processes import ProcessEngine  # noqa: PLC0415  (only where it is used)

        return ProcessEngine
    if name == "DaskEngine":
        if find_spec("distributed") is None:
            raise ImportError("DaskEngine needs distributed: pip install 'stageflow[dask]'", name="distributed")
        from stageflow.engines.dask import DaskEngine  # noqa: PLC0415  (an extra, only where it is used)

        return DaskEngine
    raise AttributeError(f"stageflow.engines has no {name!r}.")
