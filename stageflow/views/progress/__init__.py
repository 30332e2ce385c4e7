"""Live progress of runs, as a sink that any application can use: ``Runner(sink=ProgressSink())``. Needs rich."""

from importlib.util import find_spec

if find_spec("rich") is None:
    raise ImportError("stageflow.views.progress needs rich: pip install 'stageflow[cli]'", name="rich")

from stageflow.views.progress.sink import ProgressSink

__all__ = ["ProgressSink"]
