"""Bad input, one case each: one clear text that says what happened, where, and how to fix it.

The texts are kept in ``tests/golden/errors``; write them anew with ``pytest --update-golden``, and read what changed.
"""

from __future__ import annotations

import ast
import asyncio
import copy
import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Literal
from uuid import UUID

import pytest
from returns.result import Failure, Success

import stageflow
from stageflow import (
    CircuitBreakerInterceptor,
    Completed,
    Failed,
    Interceptor,
    LimitInterceptor,
    NoOpEventSink,
    Pipeline,
    PipelineContext,
    PipelineRegistry,
    PipelineValidationError,
    Placement,
    PortKey,
    RetryInterceptor,
    Runner,
    Stage,
    StageArtifact,
    StageError,
    StageGraph,
    StageInputs,
    StageOutput,
    StageSpec,
    TimeoutInterceptor,
    UnifiedStageSpec,
    WorkerLostError,
    fail,
    identity,
    lift,
    ok,
    route,
    sealed,
    skip,
    stage,
)
from stageflow.graph import problems
from stageflow.graph.leaf import located
from stageflow.graph.scheduler import Scheduler, Topology
from stageflow.sinks.json_lines import JsonLinesEventSink
from stageflow.sinks.queue import QueueEventSink

GOLDEN = Path(__file__).parents[1] / "golden" / "errors"
CLOCK: PortKey[object] = PortKey("clock")
STORAGE: PortKey[object] = PortKey("storage")


@dataclass(frozen=True)
class Case:
    """What a user does wrong, and what its text is to say.

    Attributes:
        where: what the text is to name.
        fix: how it is to say what to do.
    """

    make: Callable[[], object]
    where: tuple[str, ...]
    fix: tuple[str, ...]


CASES: dict[str, Case] = {}


def case(where: str | tuple[str, ...] = (), fix: str | tuple[str, ...] = ()):
    """Registers a case under its function's name: it returns what does not build or a failed outcome, or raises."""

    def register(make: Callable[[], object]) -> Callable[[], object]:
        told = [given if isinstance(given, tuple) else (given,) for given in (where, fix)]
        CASES[make.__name__] = Case(make, *told)
        return make

    return register


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@lift
def fetch(url: str) -> bytes:
    return url.encode()


@lift
def parse(page: bytes) -> str:
    return page.decode()


@lift
def report(text: str) -> int:
    return len(text)


@lift
def colour(url: str) -> Colour:
    return Colour.RED


@lift
def depth(url: str) -> Literal["shallow", "deep"]:
    return "deep"


@lift
def size(url: str) -> int:
    return len(url)


@lift
def untold(url):
    return url


def some(name: str) -> Stage:
    """A stage whose annotations say nothing."""
    return lift(name=name)(lambda value: value)


def reading(*wanted: object, name: str = "reader") -> Stage:
    """A stage that reads these, without having said so."""

    @stage(name=name)
    async def read(inputs: StageInputs[object]):
        return ok([inputs[one] for one in wanted])

    return read


async def nothing_new(inputs: StageInputs[object]):
    return skip("nothing new")


wired = Pipeline.of(str).with_stage(fetch)


# What does not build.


@case(fix="Pipeline.of(str).with_stage(fetch)")
def no_stage():
    return Pipeline.of(str)


@case(fix="Add one")
def no_spec():
    return Pipeline.from_specs([])


@case(where="' '", fix='.named("fetch")')
def blank_name():
    return Pipeline.of(str).with_stage(" ", fetch)


@case(where="''", fix=".named(")
def blank_name_of_a_pipeline():
    return (fetch | parse).named("")


@case(where='"fetch"', fix='.named("fetch_2")')
def duplicate_name():
    return Pipeline.of(str).with_stage(fetch).with_stage("fetch", size)


@case(where='"fetch"', fix='fetch.named("fetch_2")')
def same_handle_twice():
    return fetch & fetch


@case(where='"route(identity)"', fix=".named(")
def two_composites():
    first = route(identity(str)).case("a", some("a")).otherwise(some("b"))
    second = route(identity(str)).case("c", some("c")).otherwise(some("d"))
    return Pipeline.of(str).with_stage(first).with_stage(second)


@case(where=('"parse"', '"fetc"'), fix='Did you mean "fetch"?')
def unknown_dependency():
    return wired.with_stage("parse", parse, dependencies=("fetc",))


@case(where=('"parse"', '"zebra"'), fix="Add it with .with_stage")
def unknown_dependency_like_no_other():
    return wired.with_stage("parse", parse, dependencies=("zebra",))


@case(where=('"report"', '"parse"'), fix="Add it with .with_stage")
def unknown_handle():
    return wired.with_stage(report, after=parse)


@case(where='"fetch"', fix="Take it out")
def self_dependency():
    return Pipeline.of(str).with_stage("fetch", some("fetch"), dependencies=("fetch",))


@case(where=('"a" -> "b" -> "a"', '"x" -> "y" -> "z" -> "x"'), fix="Take one of the arrows away")
def two_disjoint_cycles():
    follows = {"a": "b", "b": "a", "free": "", "x": "z", "y": "x", "z": "y", "behind": "x"}
    specs = [UnifiedStageSpec(name, some(name), dependencies=(to,) if to else ()) for name, to in follows.items()]
    return Pipeline.from_specs(specs)


@case(where=('"join"', '"fetch"'), fix="Name it once")
def same_parent_twice():
    return wired.with_stage("join", some("join"), dependencies=("fetch", "fetch"))


@case(where=('"reader"', '"report"'), fix='Add "report" before it')
def declared_read_of_what_is_not_there():
    return fetch | stage(name="reader", reads=(report,))(nothing_new)


@case(where=('"reader"', '"parse"'), fix='Put "reader" after "parse"')
def impossible_declared_read():
    return fetch | (parse & stage(name="reader", reads=(parse,))(nothing_new))


@case(where=('"reader"', '"parse"'), fix="Read the handle of what absorbs it")
def absorbed_declared_read():
    return fetch | parse.optional() | stage(name="reader", reads=(parse,))(nothing_new)


@case(where='"report"', fix="Add it with .with_stage")
def returning_what_is_not_there():
    return wired.returning(report)


@case(where='"report"', fix="Give .replacing() a stage that is")
def replacing_what_is_not_there():
    return (fetch | parse).replacing(report).by(size)


@case(where=('"report"', "str", '"fetch"', "bytes"), fix="Correct either")
def disjoint_annotations():
    return wired.with_stage("report", report, dependencies=("fetch",))


@case(where=('"join"', "bytes", '"size"', "int"), fix="Correct either")
def disjoint_annotations_in_a_tuple():
    @lift
    def join(pair: tuple[bytes, bytes]) -> int:
        return len(pair)

    return wired.with_stage(size).with_stage("join", join, dependencies=("fetch", "size"))


@case(where=('"report"', '"fetch", "size"'), fix="Take such a tuple")
def several_parents_for_one_value():
    return wired.with_stage(size).with_stage("report", report, dependencies=("fetch", "size"))


@case(where="route(size)", fix=".case(key, stage)")
def route_without_a_case():
    return route(size).otherwise(some("other"))


@case(where="route(colour)", fix="Add one")
def exhaustive_route_without_a_case():
    return route(colour).exhaustive()


@case(where=("route(depth)", "'deep'"), fix=(".case(...)", ".otherwise(stage)"))
def route_that_misses_a_case():
    return route(depth).case("shallow", some("a")).exhaustive()


@case(where=("route(colour)", "BLUE"), fix=".otherwise(stage)")
def route_that_misses_a_case_of_an_enum():
    return route(colour).case(Colour.RED, some("a")).exhaustive()


@case(where=("route(depth)", "'deep'"), fix="Take one away")
def route_with_a_case_twice():
    return route(depth).case("deep", some("a")).case("deep", some("b")).case("shallow", some("c")).exhaustive()


@case(where=("route(depth)", "'wide'"), fix="Take it away")
def route_with_a_foreign_case():
    return route(depth).case("deep", some("a")).case("shallow", some("b")).case("wide", some("c")).exhaustive()


@case(where=("route(size)", "int"), fix=("Literal", ".otherwise(stage)"))
def exhaustive_route_over_a_type_without_cases():
    return route(size).case(1, some("a")).exhaustive()


@case(where="route(untold)", fix="Annotate it")
def exhaustive_route_over_what_does_not_say_its_type():
    return route(untold).case(1, some("a")).exhaustive()


@case(where="[1]", fix="hashable")
def case_of_what_does_not_hash():
    return route(untold).case([1], some("a"))


@case(where=('"stage_a"', '"stage_b"'), fix=("Take it out", "Did you mean", ".named("))
def everything_at_once():
    specs = [
        UnifiedStageSpec("stage_a", some("a"), dependencies=("stage_c",)),
        UnifiedStageSpec("stage_b", some("b"), dependencies=("stage_b",)),
        UnifiedStageSpec("stage_b", some("c"), dependencies=("stage_x",)),
    ]
    return Pipeline.from_specs(specs)


@case(where='"fetch"', fix="Did you mean")
def plain_graph_of_bad_specs():
    return StageGraph([StageSpec("fetch", plain), StageSpec("parse", plain, dependencies=("fetsh",))])


async def plain(context: PipelineContext) -> str:
    return ""


# What no stage can be made of.


@case(where=('"parse"', "'fetch'"), fix='dependencies=("fetch",)')
def bare_string_as_dependencies():
    return wired.with_stage("parse", parse, dependencies="fetch")


@case(where=('"parse"', "'fetch'"), fix='dependencies=("fetch",)')
def bare_string_as_dependencies_of_a_spec():
    return UnifiedStageSpec("parse", parse, dependencies="fetch")


@case(where='"parse"', fix="a tuple of names")
def dependencies_that_are_no_names():
    return StageSpec("parse", plain, dependencies=("fetch", 3))


@case(where='"parse"', fix="needs the stage after its name")
def name_without_a_stage():
    return wired.with_stage("parse")


@case(where='"count"', fix=("async def", "@lift"))
def stage_that_is_not_async():
    @stage
    def count(inputs):
        return ok(1)


@case(where='"count"', fix="async def count(inputs: StageInputs[...])")
def stage_with_a_wrong_signature():
    @stage
    async def count(inputs, more):
        return ok(1)


@case(where='"count"', fix="exactly its inputs")
def stage_without_inputs():
    @stage
    async def count():
        return ok(1)


@case(where='"Settings"', fix="async def")
def stage_of_what_is_no_function():
    class Settings:
        pass

    stage(Settings())


@case(where='"waits"', fix="Await it outside")
async def stage_that_awaits_its_own_run():
    handles: list[Awaitable[object]] = []

    @lift
    async def waits(value: int):
        return await handles[0]

    handles.append(Runner().start(waits, 1))
    return await handles[0]


@case(where='"fetch[0]"', fix="Give one of them another name")
def name_of_an_item():
    return (lift(str, name="fetch").each() | lift(str, name="fetch[0]")).run([1])


@case(where="built-in function len", fix="@lift")
def case_of_a_function():
    return route(lift(str)).case("a", len)


@case(where="built-in function len", fix="@lift")
def route_by_a_function():
    return route(len)


@case(where='"numbers"', fix="Return a tuple or a list")
def lift_of_a_generator():
    @lift
    def numbers(most: int):
        yield from range(most)


@case(where="built-in function len", fix="@lift")
def composing_a_function():
    return lift(str) | len


@case(where="3", fix="Decorate a function")
def composing_what_is_no_stage():
    return (lift(str) & lift(repr)) | 3


@case(where='"is_open"', fix="Take async away")
def condition_that_is_async():
    async def is_open(inputs):
        return True

    return lift(str).when(is_open)


@case(where="TimeoutInterceptor'>", fix="TimeoutInterceptor(2.0)")
def using_the_class_of_an_interceptor():
    return lift(str).using(TimeoutInterceptor)


@case(where="None", fix="TimeoutInterceptor(2.0)")
def runner_using_no_interceptor():
    return Runner().using(None)


@case(where='"handled"', fix="Write async def")
async def recovering_by_what_is_not_async():
    @lift
    def broken(value: int):
        return Failure(StageError("no"))

    def handled(error):
        return ok(1)

    return await broken.recover(handled).run(1)


@case(where='"add"', fix="Take a tuple or a dataclass")
def lift_of_a_function_of_two_values():
    @lift
    def add(one: int, other: int) -> int:
        return one + other


@case(where='"int"', fix="function of one value")
def lift_of_what_is_no_function():
    lift(3)


@case(where='"later"', fix="Take thread=True away")
def thread_of_an_async_function():
    @lift(thread=True)
    async def later(text: str) -> str:
        return text


@case(where="unit.test_bad_input.CLOCK", fix="no stage")
def pickled_stage_that_is_none_by_now():
    return located(__name__, "CLOCK")


# What cannot be configured so.


@case(where=("limit=0", '"fetch".each()'), fix="at least 1, or None")
def limit_of_each_of_nothing():
    return fetch.each(limit=0)


@case(where="LimitInterceptor(-1)", fix="at least 1")
def negative_limit():
    return LimitInterceptor(-1)


@case(where="TimeoutInterceptor(-2.0)", fix=("more than 0 seconds", "math.inf"))
def negative_timeout():
    return TimeoutInterceptor(-2.0)


@case(where="attempts=-1", fix="at least 1 attempt")
def negative_attempts():
    return RetryInterceptor(-1)


@case(where="backoff=-0.1", fix="no negative seconds")
def negative_backoff():
    return RetryInterceptor(backoff=-0.1)


@case(where="failures=0", fix="at least 1 failure")
def breaker_of_no_failure():
    return CircuitBreakerInterceptor(failures=0)


@case(where="reset_after=-1.0", fix="no negative seconds")
def breaker_with_a_negative_time():
    return CircuitBreakerInterceptor(reset_after=-1.0)


@case(where="max_concurrency=-3", fix="at least 1, or None")
def negative_concurrency():
    return Runner(max_concurrency=-3)


@case(where="deadline=-1.0", fix="or None for no deadline")
def negative_deadline_of_a_runner():
    return Runner(deadline=-1.0)


@case(where="lease_seconds=0", fix="more than 0 seconds")
def lease_of_no_time():
    return Runner(lease_seconds=0)


@case(where="no durable store", fix="Runner(store=...)")
async def resuming_without_a_durable_store():
    return await Runner().resume(fetch, UUID(int=1))


@case(where="Half gives leases", fix="Write all of DurableStore")
def store_that_is_half_a_journal():
    class Half:
        record = load = acquire_lease = renew = release = None

    return Runner(store=Half())


@case(where="'fetch' is a stage already", fix="in the decorator that makes it")
def effects_of_what_is_a_stage_already():
    return stage(effects="once")(fetch)


@case(where='Stage "charge" must not run twice', fix="let the stage return its failures")
async def retrying_what_must_not_run_twice():
    @lift(effects="once")
    async def charge(url: str) -> int:
        raise TimeoutError("no answer")

    return await charge.using(RetryInterceptor(attempts=2, backoff=0, retry_when=lambda error: True)).run("x")


@case(where="on_failure='ignore'", fix='"cancel" or "finish"')
def unknown_policy():
    return Runner(on_failure="ignore")


@case(where="deadline=0", fix="more than 0 seconds")
def deadline_of_a_context_of_nothing():
    return PipelineContext(deadline=0)


@case(where="port", fix='PortKey("clock")')
def port_without_a_name():
    return PortKey("")


@case(where="skip()", fix="needs a reason")
def skip_without_a_reason():
    return skip("")


@case(where="datetime.datetime(2026, 1, 1", fix="datetime.now(UTC)")
def timestamp_without_a_zone():
    return StageArtifact("chart", b"", datetime(2026, 1, 1))  # noqa: DTZ001  (that is the point)


@case(where="3", fix="give a Success or a Failure")
def sealing_no_result():
    return sealed(3)


@case(where="StageError.message", fix="errors are values")
def changing_an_error():
    StageError("a").message = "b"


@case(where="StageError.message", fix="errors are values")
def deleting_a_field_of_an_error():
    del StageError("a").message


@case(where="''", fix="needs a name")
def registering_under_a_blank_name():
    return PipelineRegistry().register("", fetch)


@case(where='"fetch"', fix="replace=True")
def registering_a_name_twice():
    registry = PipelineRegistry()
    registry.register("fetch", fetch)
    registry.register("fetch", parse)


@case(where='"fetsh"', fix='Did you mean "fetch"?')
def asking_for_an_unknown_pipeline():
    registry = PipelineRegistry()
    registry.register("fetch", fetch)
    registry.get("fetsh", input=str, output=bytes)


@case(where='"fetch"', fix="registry.register(name, pipeline)")
def asking_an_empty_registry():
    PipelineRegistry().get("fetch", input=str, output=bytes)


@case(where='"fetch"', fix="no pipeline")
def factory_that_makes_no_pipeline():
    registry = PipelineRegistry()
    registry.register("fetch", lambda: 3)
    registry.get("fetch", input=str, output=bytes)


@case(where=('"fetch"', "str", "int"), fix="Ask for what it takes")
def asking_for_another_input():
    registry = PipelineRegistry()
    registry.register("fetch", fetch)
    registry.get("fetch", input=int, output=bytes)


@case(where=('"fetch"', "bytes", "int"), fix="Ask for what it gives")
def asking_for_another_output():
    registry = PipelineRegistry()
    registry.register("fetch", fetch)
    registry.get("fetch", input=str, output=int)


# What goes wrong before the first stage.


@case(where=('"render"', '"save"', '"clock"', '"storage"', '"disk"'), fix="StagePorts().provide(")
async def several_missing_ports():
    @stage(requires=(CLOCK, STORAGE))
    async def render(inputs: StageInputs[str]):
        return ok("")

    @stage(requires=(STORAGE, PortKey("disk")))
    async def save(inputs: StageInputs[str]):
        return ok("")

    return await (render | save).run("a")


@case(where="3", fix="a stage, a pipeline or a built graph")
async def running_what_is_no_pipeline():
    return await Runner().run(3, "a")


@case(where="runner", fix="Make another one")
async def running_with_a_closed_runner():
    async with Runner() as runner:
        pass
    return await runner.run(fetch, "a")


@case(where="run", fix="right after runner.start(...)")
async def asking_for_events_too_late():
    async with Runner() as runner:
        handle = runner.start(fetch, "a")
        await handle
        return handle.events()


@case(where="module 'stageflow'", fix="Pipelin")
def name_that_is_not_public():
    return getattr(stageflow, "Pipelin")  # noqa: B009  (a checker refuses the attribute)


@case(where="Placement(attempts=0)", fix="at least 1 attempt")
def placement_without_attempts():
    return Placement(attempts=0)


@case(where="00000000-0000-0000-0000-000000000001", fix="ConnectionError: the store is gone")
async def store_that_is_lost():
    class Lost:
        async def create_run(self, run_id: UUID, **metadata: object):
            raise ConnectionError("the store is gone")

    return await Runner(store=Lost()).run(fetch, "a", context=PipelineContext(UUID(int=1)))


# What goes wrong in a stage.


@case(where='"fetch"', fix="ValueError: no such host")
async def stage_that_raises():
    @lift(name="fetch")
    def explode(url: str) -> str:
        raise ValueError("no such host")

    return await explode.run("a")


@case(where='"fetch"', fix="raised KeyError")
async def stage_that_raises_without_a_text():
    @lift(name="fetch")
    def explode(url: str) -> str:
        raise KeyError

    return await explode.run("a")


@case(where='"fetch"', fix="the process is gone")
async def stage_that_raises_a_defect_of_its_own():
    @lift(name="fetch")
    def explode(url: str) -> str:
        raise WorkerLostError("the process is gone")

    return await explode.run("a")


@case(where=('"count"', "3 (int)"), fix=("Return ok(...)", "@lift"))
async def stage_that_returns_no_result():
    @stage
    async def count(inputs: StageInputs[str]):
        return 3

    return await count.run("a")


@case(where='"count"', fix="Return ok(")
async def stage_that_returns_nothing():
    @stage
    async def count(inputs: StageInputs[str]):
        pass

    return await count.run("a")


@case(where=('"count"', "3"), fix="Return ok(3)")
async def stage_that_returns_a_success_of_bare_data():
    @stage
    async def count(inputs: StageInputs[str]):
        return Success(3)

    return await count.run("a")


@case(where=('"count"', "'no'"), fix="Return fail(...) with a StageError")
async def stage_that_returns_a_failure_of_a_text():
    @stage
    async def count(inputs: StageInputs[str]):
        return Failure("no")

    return await count.run("a")


@case(where=('"count"', "ValueError", "bad digit"), fix="Give a StageError to have it in the type")
async def lifted_failure_of_an_exception():
    return await lift(name="count")(lambda text: Failure(ValueError("bad digit"))).run("a")


@case(where=('"count"', "'bad digit'"), fix="Give a StageError to have it in the type")
async def lifted_failure_of_a_text():
    return await lift(name="count")(lambda text: Failure("bad digit")).run("a")


@case(where=('"reader"', '"size"'), fix="size | reader")
async def reading_a_non_ancestor():
    return await (fetch | (size & reading(size))).run("a")


@case(where=('"reader"', '"fetsh"'), fix='Did you mean "fetch"?')
async def reading_an_unknown_name():
    return await (fetch | reading("fetsh")).run("a")


@case(where=('"reader"', '"report"'), fix="Read a stage of the pipeline")
async def reading_a_stage_of_another_pipeline():
    return await (fetch | reading(report)).run("a")


@case(where=('"reader"', '"fetch"'), fix='inputs["<pipeline>.fetch"]')
async def reading_a_stage_that_is_in_two_pipelines():
    both = (fetch | parse).named("one") & (fetch | parse).named("other")
    return await (both.together() | reading(fetch)).run("a")


@case(where=('"reader"', '"fetch"'), fix="Read the handle of its .each()")
async def reading_a_stage_that_ran_once_per_item():
    return await (fetch.each() | reading(fetch)).run(["a"])


@case(where=('"reader"', '"skipping"'), fix="Read the handle of what absorbed it")
async def reading_a_stage_whose_skip_was_absorbed():
    skipping = stage(name="skipping")(nothing_new)
    return await (skipping.optional() | reading(skipping)).run("a")


@case(where='"fetch"', fix=".replacing(...).by(...)")
def reading_from_inputs_made_by_hand():
    return StageInputs("a")[fetch]


@case(where='"clock"', fix="StagePorts().provide(")
async def port_that_nobody_provided():
    @stage
    async def render(inputs: StageInputs[str]):
        return ok(inputs.ports[CLOCK])

    return await render.run("a")


@case(where="'abc'", fix="such as a list")
async def each_over_what_is_no_sequence():
    return await fetch.each().run("abc")


@case(where="'wide'", fix=".case('wide', ...)")
async def selector_that_gives_no_case():
    @lift(name="depth")
    def lying(url: str) -> Literal["shallow", "deep"]:
        return "wide"

    return await route(lying).case("shallow", some("a")).case("deep", some("b")).exhaustive().run("a")


@case(where='"fetch"', fix="by its name")
async def looking_into_a_copy_by_a_handle_that_could_mean_either():
    outcome = await fetch.settled().run("a")
    return copy.deepcopy(outcome).report.outputs[fetch]


@case(where='"fetch"', fix="take @lift away")
def lift_of_a_stage():
    return lift(fetch)


@case(where='"report"', fix="a function that makes one")
def registered_thing_that_is_no_pipeline():
    PipelineRegistry().register("report", 3)  # type: ignore[arg-type]


@case(where='"fetch"', fix="for each loop")
async def limit_that_another_event_loop_uses():
    @stage(name="fetch")
    async def nesting(inputs: StageInputs[str]):
        return ok(await asyncio.to_thread(asyncio.run, limited.run("b")) if inputs.value == "a" else None)

    limited = nesting.using(LimitInterceptor(1))
    outcome = await limited.run("a")
    assert isinstance(outcome, Completed)
    return outcome.value


@case(where='"fetch"', fix="0.001 s")
async def stage_that_takes_too_long():
    @lift(name="fetch")
    async def wait(url: str) -> None:
        await asyncio.get_running_loop().create_future()

    return await wait.using(TimeoutInterceptor(0.001)).run("a")


async def refused(*, probing: bool) -> object:
    now = [0.0]

    @stage(name="fetch")
    async def refuse(inputs: StageInputs[str]):
        return fail("no") if inputs.value == "fail" else ok(await asyncio.get_running_loop().create_future())

    guarded = refuse.using(CircuitBreakerInterceptor(failures=1, clock=lambda: now[0]))
    await guarded.run("fail")
    if not probing:
        return await guarded.run("a")
    now[0] = 60.0
    async with Runner() as runner:
        runner.start(guarded, "probe")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await runner.run(guarded, "a")


@case(where='"fetch"', fix="until 30 s from now")
async def stage_whose_breaker_is_open():
    return await refused(probing=False)


@case(where='"fetch"', fix="while its probe is under way")
async def stage_whose_breaker_is_probing():
    return await refused(probing=True)


@case(where='"fetch"', fix="enough")
async def plain_stage_that_cancels():
    async def stop(context: PipelineContext) -> StageOutput:
        return StageOutput.cancel("enough")

    return await StageGraph([StageSpec("fetch", stop)]).run()


@case(where="wraps others", fix=("await stage.run(value)", "inputs.next_attempt()"))
async def interceptor_that_passes_on_inputs_of_its_own():
    @dataclass(frozen=True)
    class Foreign(Interceptor):
        def wrap(self, call, /):
            return lambda inputs: call(StageInputs(inputs.value))

    return await (fetch | parse).using(Foreign()).run("a")


@case(where='"size"', fix="see report.stages")
async def looking_at_a_stage_that_gave_nothing():
    outcome = await (stage(name="skipping")(nothing_new) | size).run("a")
    return outcome.report.outputs[size]


@case(where='"siez"', fix='Did you mean "size"?')
async def looking_at_a_stage_that_is_not_there():
    return (await size.run("a")).report.outputs["siez"]


@case(where="Stage 0", fix="not given out, or has settled already")
def finishing_a_stage_twice():
    scheduler = Scheduler(Topology.of([()]))
    scheduler.finished(0, "ok")
    scheduler.finished(0, "ok")


@case(where="QueueEventSink(capacity=0)", fix="at least 1")
def queue_without_room():
    QueueEventSink(NoOpEventSink(), capacity=0, overflow="drop")


@case(where="QueueEventSink(overflow='wait')", fix='"block" or "drop"')
def queue_of_an_unknown_policy():
    QueueEventSink(NoOpEventSink(), overflow="wait")


@case(where="QueueEventSink(patience=-1.0, close_within=10.0)", fix="no negative seconds")
def queue_of_negative_patience():
    QueueEventSink(NoOpEventSink(), overflow="block", patience=-1.0)


@case(where="/no/such/folder/events.jsonl", fix="Make it first")
def events_file_without_a_folder():
    JsonLinesEventSink("/no/such/folder/events.jsonl")


@case(where="Events cannot go to /:", fix="Is a directory")
def events_file_that_is_a_folder():
    JsonLinesEventSink("/")


@case(where=("pipeline.started", "/dev/null"), fix="was closed")
async def event_after_its_file_was_closed():
    sink = JsonLinesEventSink("/dev/null")
    await sink.aclose()
    sink.try_emit(type="pipeline.started", data=None)


async def made(wrong: Callable[[], object]) -> Exception:
    """The error that a case comes to."""
    try:
        given = wrong()
        given = await given if inspect.isawaitable(given) else given
        given = given.together() if isinstance(given, stageflow.Parallel) else given
        given = given.graph() if isinstance(given, Stage) else given
    except Exception as error:  # noqa: BLE001  (that is what is asked for)
        return error
    assert isinstance(given, Failed), f"nothing is wrong with {given!r}"
    return given.error


def shown(error: Exception) -> str:
    text = error.args[0] if isinstance(error, KeyError) else str(error)
    return f"{type(error).__name__}: {text}"


@pytest.mark.parametrize("name", CASES)
async def test_bad_input_gives_the_text_that_was_agreed(name, golden) -> None:
    golden(f"errors/{name}", shown(await made(CASES[name].make)))


@pytest.mark.parametrize("name", CASES)
async def test_the_text_says_where_it_is_and_how_to_fix_it(name) -> None:
    text = shown(await made(CASES[name].make))
    for wanted in (*CASES[name].where, *CASES[name].fix):
        assert wanted in text


@pytest.mark.parametrize("name", CASES)
async def test_the_text_is_one_a_user_can_read(name) -> None:
    for line in str(await made(CASES[name].make)).splitlines():
        assert "0x" not in line, "an address says nothing to a reader"
        assert "  " not in line.strip()
        assert line.count('Stage "') <= 2


def test_every_golden_file_has_its_case() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} <= set(CASES)


async def test_every_problem_of_a_pipeline_has_its_case(monkeypatch) -> None:
    said: set[str] = set()
    texts = {
        name: text
        for name, text in vars(problems).items()
        if inspect.isfunction(text) and text.__module__ == problems.__name__ and name != "nearest"
    }
    for name, text in texts.items():

        def note(*given: object, name=name, text=text, **more: object) -> str:
            said.add(name)
            return text(*given, **more)

        monkeypatch.setattr(problems, name, note)
    for each in CASES.values():
        with suppress(AssertionError):  # a case with nothing wrong fails in its own test
            await made(each.make)
    assert said == set(texts)


def texts_of_errors() -> dict[str, str]:
    """Where the library writes the text of an error: the longest piece of it that is fixed."""
    root = Path(stageflow.__file__).parent
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] in {
            "testing",
            "stores",
            "engines",
            "codec",
            "config",
            "cli",
            "durable",
            "views",
        }:
            continue  # extras, whose texts have tests of their own
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("Error"):
                parts = [part for given in node.args[:1] for part in ast.walk(given) if isinstance(part, ast.Constant)]
                fixed = max((part.value for part in parts if isinstance(part.value, str)), key=len, default="")
                if len(fixed) > 3:
                    found[f"{path.relative_to(root)}: {fixed.strip()}"] = fixed
    return found


@pytest.mark.parametrize("place", sorted(texts_of_errors()))
def test_every_error_that_the_library_writes_has_its_case(place) -> None:
    texts = "\n".join(path.read_text(encoding="utf-8") for path in GOLDEN.iterdir())
    assert texts_of_errors()[place] in texts


def test_a_problem_is_told_with_all_others_of_its_pipeline() -> None:
    with pytest.raises(PipelineValidationError) as raised:
        everything_at_once().graph()
    assert len(raised.value.problems) == 4
    assert len(set(raised.value.problems)) == 4
