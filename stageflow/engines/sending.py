"""The run's side of an engine: what of a stage goes to a worker, and what becomes of what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final
from weakref import WeakKeyDictionary

from stageflow.context.inputs import StageInputs
from stageflow.engines.answers import plain, read
from stageflow.engines.targets import CODEC, Target, placed_targets, travels
from stageflow.errors import PipelineValidationError, WorkerLostError
from stageflow.graph.execution.inputs import RunInputs, of_run
from stageflow.graph.execution.once import only_once
from stageflow.graph.execution.reading import read as read_output
from stageflow.graph.executor import AnyGraph
from stageflow.graph.plan import Node, Plan
from stageflow.graph.shape import Call, Given, Leaf, Named
from stageflow.graph.wrapping import Absorber, Each, Wrapped, applied
from stageflow.observability.propagation import carrier
from stageflow.placement import Engine, StageCall

_LATE = 5.0  # seconds after a run's deadline, when a worker that nobody has told of it ends a body by itself
_SENDING: WeakKeyDictionary[Wrapped, Call] = WeakKeyDictionary()  # made once for each, so that breakers have a state


@final
class Sent:
    """The stages of a graph, as an engine runs them.

    Raises:
        PipelineValidationError: some cannot be sent; all of them are named.
    """

    __slots__ = ("_engine", "_targets", "_wired")

    def __init__(self, engine: Engine, graph: AnyGraph) -> None:
        self._targets, problems = placed_targets(graph, remote=engine.capabilities.remote)
        if problems:
            raise PipelineValidationError(problems)
        self._engine = engine
        self._wired: dict[Plan, tuple[Sequence[Node], Mapping[int, Call]]] = {}

    def wired(self, plan: Plan, /) -> tuple[Sequence[Node], Mapping[int, Call]]:
        """The plan's nodes and cores, with the body of each stage sent that is to be."""
        found = self._wired.get(plan)
        if found is None:
            nodes, cores = list(plan.nodes), dict(plan.cores)
            for slot, body in enumerate(plan.bodies):
                if body is None:
                    continue
                if slot in cores:
                    cores[slot] = _sending(body)
                else:
                    nodes[slot] = (_sending(body), nodes[slot][1])
            found = self._wired[plan] = (nodes, cores)
        return found

    async def send(self, leaf: Leaf, inputs: StageInputs[object], /) -> Given:
        """Has a stage run on the engine, again where its worker is lost, and gives what it gave."""
        target, attempt = self._targets[leaf], of_run(inputs)
        while True:
            try:
                data = await self._engine.call(_call(target, attempt))
            except WorkerLostError as error:
                lost = _lost(error, attempt, 1 if leaf.once else target.placement.attempts)
                if not lost.retryable:
                    raise lost from error
                attempt = attempt.next_attempt(lost)
            else:
                answer = read(data, target.output)
                teller = attempt.ledger.run.teller
                if teller is not None:
                    for type_, told in answer.told:
                        teller.try_emit(type=type_, data=told)
                return answer.given()


def _lost(error: WorkerLostError, inputs: RunInputs, attempts: int) -> WorkerLostError:
    """The loss of a worker, as an error of the stage; retryable as long as it may be started again."""
    stage, attempt = inputs.ledger.name(inputs.slot), inputs.attempt
    again = error.retryable and attempt < attempts
    last = f" It was started {attempt} times." if error.retryable and not again and attempt > 1 else ""
    return WorkerLostError(f'Stage "{stage}": {error.message}{last}', retryable=again, stage=stage)


def _call(target: Target, inputs: RunInputs) -> StageCall:
    ledger, slot = inputs.ledger, inputs.slot
    run, leaf = ledger.run, target.leaf
    elapsed = run.timer.elapsed_ms() / 1000
    reads = [(read_output(ledger, slot, shape), type_) for shape, type_ in zip(leaf.reads, target.reads, strict=True)]
    return StageCall(
        run_id=run.run_id,
        stage=ledger.name(slot),
        kind=(ledger.kind(slot) or leaf.kind).value,
        attempt=inputs.attempt,
        target=target.name,
        lifted=leaf.lifted,
        value=plain(CODEC.encode(inputs.value, target.value)),
        reads=tuple([plain(CODEC.encode(value, type_)) for value, type_ in reads]),
        started_at=run.timer.started_at,
        elapsed=elapsed,
        deadline=run.deadline,
        timeout=None if run.deadline is None else max(run.deadline - elapsed, 0) + _LATE,
        correlation=run.correlation,
        carrier=tuple(carrier().items()),
        placement=target.placement,
        configured=run.config is not None,
    )


def _sending(body: object) -> Call:
    """The call of a function in its wrappers, with the function sent; for each wrapper, made once."""
    if isinstance(body, Leaf):
        return _sent_body(body) if travels(body) else body.call
    layers: list[Wrapped] = []
    inner = body
    while isinstance(inner, Wrapped | Named):
        if isinstance(inner, Wrapped):
            layers.append(inner)
        inner = inner.inner
    if not isinstance(inner, Leaf) or not travels(inner) or any(isinstance(one.how, Absorber | Each) for one in layers):
        return layers[0].call
    call = _sent_body(inner)
    for layer in reversed(layers):
        call = _SENDING.get(layer) or _SENDING.setdefault(layer, applied(call, layer.how, layer.depth))
    return call


def _sent_body(leaf: Leaf) -> Call:
    async def run_sent(inputs: StageInputs[object]) -> Given:
        elsewhere = of_run(inputs).ledger.run.elsewhere
        return await (leaf.call(inputs) if elsewhere is None else elsewhere.send(leaf, inputs))

    return only_once(run_sent) if leaf.once else run_sent
