"""Graphs of every kind, small: what engines are held to, graph by graph.

An engine is to give of each what a run without an engine gives: the same outcome, report and events, in causal order.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from stageflow.context.ports import StagePorts
from stageflow.errors import StageError
from stageflow.interceptors.retry import RetryInterceptor
from stageflow.interceptors.timeout import TimeoutInterceptor
from stageflow.pipeline.builder import Pipeline, Stage
from stageflow.pipeline.functions import route
from stageflow.testing.deeds import (
    FACTOR,
    FOREVER,
    about,
    bare,
    beside,
    cancels_itself,
    count_settled,
    divide,
    double,
    even,
    handled,
    increment,
    present,
    raises_typed,
    scaled,
    several,
    size,
    skip_odd,
    spread,
    stop,
    stubborn,
    sum_up,
    telling,
    third_time,
    total,
    wait,
)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A graph of the corpus, and how it is run.

    Attributes:
        pipeline: the graph.
        value: its input.
        finish: whether it runs under ``on_failure="finish"``.
        deadline: of the run, in seconds.
        stops: the type of the event at which the run is cancelled from outside.
    """

    pipeline: Stage[int, object, StageError]
    value: int = 3
    finish: bool = False
    deadline: float | None = None
    stops: str = ""


_retry: Final = RetryInterceptor(attempts=3, backoff=0.0)
_many: Final = double.named("many")
_wired: Final = (
    Pipeline.of(int)
    .with_stage(double)
    .with_stage(increment, after=double)
    .with_stage(even.named("other"), after=double)
    .with_stage(total, after=(increment, double))
)
_failing: Final = wait & (increment.named("first") | even)
_finishing: Final = (increment | double.named("after")) & (even | double.named("never")) & divide

GRAPHS: Final = MappingProxyType(
    {
        "one stage": Graph(double),
        "chain": Graph(double | increment | present),
        "diamond": Graph(double | (increment & double.named("again")) | total),
        "wired by handles": Graph(_wired.returning(total)),
        "all outputs": Graph(_wired),
        "skip": Graph(increment | skip_odd | double, value=2),
        "optional": Graph(skip_odd.optional() | present),
        "condition": Graph(double.when(lambda inputs: inputs.value > 100).optional() | present),  # noqa: PLR2004  (so)
        "route": Graph(route(size).case("small", double).case("large", increment).exhaustive() | present, value=30),
        "each": Graph(spread | double.each(limit=2) | sum_up, value=7),
        "each of nothing": Graph(spread | double.each() | sum_up, value=0),
        "each of a pipeline": Graph(spread | (double | increment).each(limit=2) | sum_up, value=4),
        "settled": Graph(spread | even.settled().each(limit=1) | count_settled, value=4),
        "settled defect": Graph(divide.settled(), value=0),
        "recover": Graph(even.recover(handled) | double),
        "failure cancels": Graph(_failing.together(), value=2),
        "failure finishes": Graph(_finishing.together(), finish=True),
        "defect": Graph(double | divide | increment, value=0),
        "defect that does not pickle": Graph(stubborn),
        "group": Graph(several),
        "typed error raised": Graph(raises_typed),
        "own cancellation": Graph(cancels_itself),
        "no result": Graph(bare),
        "nested": Graph(
            (double | increment).named("inner") | (double.named("b") | increment.named("c")).named("other")
        ),
        "declared read": Graph(double | increment | beside),
        "retry": Graph(third_time.using(_retry)),
        "retry gives up": Graph(even.using(RetryInterceptor(attempts=2, backoff=0.0, retry_when=bool))),
        "timeout": Graph(wait.using(TimeoutInterceptor(0.2))),
        "in time": Graph(double.using(TimeoutInterceptor(FOREVER)) | increment),
        "deadline": Graph(double | wait, deadline=2.0),
        "stage cancels": Graph(double | stop | increment),
        "cancelled from outside": Graph(double | wait | increment, stops="stage.wait.started"),
        "events and artifacts": Graph(telling | double),
        "requires a port": Graph(double | scaled),
        "context": Graph(about, deadline=600.0),
    }
)
PORTS: Final = StagePorts().provide(FACTOR, 5)
