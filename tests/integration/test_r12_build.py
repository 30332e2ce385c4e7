"""R12: build() returns every problem at once, each with what, where and how to fix it; nothing starts without it."""

from __future__ import annotations

import enum
import itertools
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, Never, TypeVar

import pytest
from returns.result import Failure, Result, Success

from stageflow import (
    BaseInterceptor,
    Pipeline,
    PipelineValidationError,
    Runner,
    Stage,
    StageError,
    StageGraph,
    StageInputs,
    StageOutput,
    StageSpec,
    UnifiedStageGraph,
    UnifiedStageSpec,
    identity,
    lift,
    ok,
    route,
    stage,
)

AnyStage = Stage[object, object, StageError]
AnyPipeline = Pipeline[object, object, StageError]
_T = TypeVar("_T")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


def gives(name: str, ran: list[str] | None = None) -> AnyStage:
    @stage(name=name)
    async def giving(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        if ran is not None:
            ran.append(name)
        return ok(name)

    return giving


def wired(**after: str) -> AnyPipeline:
    return Pipeline.from_specs(
        UnifiedStageSpec(name, gives(name), dependencies=tuple(names.split())) for name, names in after.items()
    )


def problems(pipeline: Stage[Never, object, StageError]) -> tuple[str, ...]:
    built = Pipeline(pipeline.shape).build()
    assert isinstance(built, Failure), "it builds"
    error = built.failure()
    assert isinstance(error, PipelineValidationError)
    return error.problems


def the_problem(pipeline: Stage[Never, object, StageError]) -> str:
    (problem,) = problems(pipeline)
    return problem


# What builds


def test_build_gives_a_graph_where_there_is_no_problem() -> None:
    built = (gives("a") | gives("b")).build()
    assert isinstance(built, Success)
    assert isinstance(built.unwrap(), UnifiedStageGraph)


def test_building_runs_nothing() -> None:
    ran: list[str] = []
    (gives("a", ran) | gives("b", ran)).build().unwrap()
    assert ran == []


# One problem each


def test_a_pipeline_without_a_stage_is_refused() -> None:
    assert "no stage" in the_problem(Pipeline.of(str))
    assert "no stage" in the_problem(Pipeline.from_specs([]))
    assert "no stage" in the_problem(identity(str))


def test_a_duplicate_name_is_refused_with_the_fix() -> None:
    problem = the_problem(gives("fetch") | gives("other") | gives("fetch"))
    assert '"fetch"' in problem
    assert ".named(" in problem


def test_a_duplicate_name_among_those_wired_by_name_is_refused() -> None:
    specs = [UnifiedStageSpec("fetch", gives("one")), UnifiedStageSpec("fetch", gives("two"))]
    assert '"fetch"' in the_problem(Pipeline.from_specs(specs))


def test_one_name_inside_two_named_pipelines_is_no_duplicate() -> None:
    one = (gives("fetch") | gives("parse")).named("one")
    two = (gives("fetch") | gives("parse")).named("two")
    assert (one | two).build().unwrap().stages


def test_a_handle_that_occurs_twice_is_refused_with_the_fix() -> None:
    fetch = gives("fetch")
    problem = " ".join(problems(fetch | gives("other") | fetch))
    assert "occurs twice" in problem
    assert 'fetch.named("fetch_2")' in problem


@pytest.mark.parametrize("name", ["", "  ", "\t"])
def test_a_blank_name_is_refused(name: str) -> None:
    assert "blank name" in the_problem(gives(name))
    assert "blank name" in the_problem(gives("fine").named(name))


def test_an_unknown_dependency_is_refused_with_the_nearest_name() -> None:
    problem = the_problem(wired(fetch_user="", greet="fetch_usr"))
    assert problem.startswith('Stage "greet" follows "fetch_usr", which is not in the pipeline.')
    assert 'Did you mean "fetch_user"?' in problem


def test_an_unknown_dependency_that_is_near_to_nothing_has_no_hint() -> None:
    problem = the_problem(wired(fetch="", greet="zzzzzzzz"))
    assert "Did you mean" not in problem
    assert "with_stage" in problem


def test_following_a_handle_that_is_not_in_the_pipeline_is_refused() -> None:
    missing = gives("missing")
    problem = the_problem(Pipeline.of(object).with_stage(gives("last"), after=missing))
    assert problem.startswith('Stage "last" follows "missing", which is not in the pipeline.')


def test_a_stage_that_follows_itself_is_refused() -> None:
    assert 'Stage "a" follows itself' in the_problem(wired(a="a"))


def test_a_cycle_is_refused_with_its_path() -> None:
    problem = the_problem(wired(start="", a="start c", b="a", c="b"))
    path = re.findall(r'"(\w+)"', problem)
    assert path[0] == path[-1]
    assert sorted(path[1:]) == ["a", "b", "c"]
    follows = {"a": "c", "b": "a", "c": "b"}
    assert all(follows[after] == before for before, after in itertools.pairwise(path))


def test_two_disjoint_cycles_are_both_refused() -> None:
    found = problems(wired(a="b", b="a", c="d", d="c", e=""))
    assert len(found) == 2
    assert {'"a"', '"b"'} <= set(re.findall(r'"\w+"', found[0]))
    assert {'"c"', '"d"'} <= set(re.findall(r'"\w+"', found[1]))


def test_a_stage_that_only_follows_a_cycle_is_not_called_a_part_of_it() -> None:
    problem = the_problem(wired(a="b", b="a", after="a"))
    assert '"after"' not in problem


def test_naming_one_parent_twice_is_refused() -> None:
    assert "twice" in the_problem(wired(a="", b="a a"))


def test_reading_a_stage_that_is_not_followed_is_refused() -> None:
    aside = gives("aside")

    @stage(reads=(aside,))
    async def reader(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return ok(inputs[aside])

    problem = the_problem((aside & (gives("before") | reader)).together())
    assert problem.startswith('Stage "reader" declares that it reads "aside", which it does not follow.')


def test_reading_a_stage_that_is_not_in_the_pipeline_is_refused() -> None:
    @stage(reads=(gives("nowhere"),))
    async def reader(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return ok(None)

    assert '"nowhere", which is not in the pipeline' in the_problem(gives("before") | reader)


def test_reading_a_stage_whose_absence_was_absorbed_is_refused() -> None:
    maybe = gives("maybe")

    @stage(reads=(maybe,))
    async def reader(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return ok(inputs[maybe])

    problem = the_problem(maybe.optional() | reader)
    assert "absence is absorbed" in problem
    assert ".optional()" in problem


def test_a_read_that_is_possible_builds() -> None:
    first = gives("first")

    @stage(reads=(first,))
    async def reader(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return ok(inputs[first])

    assert (first | gives("between") | reader).build().unwrap()


def test_returning_a_stage_that_is_not_in_the_pipeline_is_refused() -> None:
    problem = the_problem(Pipeline.of(object).with_stage(gives("a")).returning(gives("b")))
    assert '"b", which is not in it' in problem


def test_replacing_a_stage_that_is_not_in_the_pipeline_is_refused() -> None:
    problem = the_problem((gives("a") | gives("b")).replacing(gives("c")).by(gives("d")))
    assert 'Stage "c" is to be replaced' in problem


def test_two_unnamed_composites_under_one_name_are_refused() -> None:
    one = gives("a").each() & gives("b").each()
    assert (lift(lambda _: [1], name="split") | one.together()).build().unwrap()
    two = Pipeline.of(object).with_stage(gives("x").named("same")).with_stage((gives("y") | gives("z")).named("same"))
    assert '"same"' in " ".join(problems(two))
    each_twice = (gives("a") | gives("b")).each() & (gives("a") | gives("b")).each()
    assert problems(lift(lambda _: [1], name="split") | each_twice.together())


# Routes


def chooses(answer: object) -> Callable[[object], object]:
    def choose(value: object) -> object:
        return value

    choose.__annotations__ = {"value": object, "return": answer}
    return choose


def choosing(answer: object) -> Stage[object, object, StageError]:
    return lift(chooses(answer), name="which")


def test_an_exhaustive_route_that_misses_a_case_is_refused_with_the_case() -> None:
    literal = route(choosing(Literal["pdf", "html", "text"])).case("pdf", gives("pdf"))
    assert "no case for 'html', 'text'" in the_problem(literal.exhaustive())
    colors = route(choosing(Color)).case(Color.RED, gives("red"))
    assert "Color.BLUE" in the_problem(colors.exhaustive())
    truths = route(choosing(bool)).case(True, gives("yes"))
    assert "False" in the_problem(truths.exhaustive())


def test_an_exhaustive_route_with_every_case_builds() -> None:
    made = route(choosing(Literal["a", "b"])).case("a", gives("one")).case("b", gives("two"))
    assert made.exhaustive().build().unwrap()


def test_an_exhaustive_route_over_what_has_no_cases_is_refused() -> None:
    for answer in (str, int, object):
        problem = the_problem(route(choosing(answer)).case("a", gives("one")).exhaustive())
        assert "exhaustive" in problem
        assert ".otherwise(" in problem


def test_a_case_given_twice_is_refused() -> None:
    made = route(choosing(str)).case("a", gives("one")).case("a", gives("two"))
    assert "two cases for 'a'" in the_problem(made.otherwise(gives("other")))


def test_a_case_that_the_selector_never_gives_is_refused() -> None:
    made = route(choosing(Literal["a", "b"])).case("a", gives("one")).case("c", gives("two"))
    assert "'c', which its selector never gives" in the_problem(made.otherwise(gives("other")))


def test_a_route_without_a_case_is_refused() -> None:
    for finished in (route(choosing(str)).otherwise(gives("other")), route(choosing(bool)).exhaustive()):
        assert any("no case" in problem for problem in problems(finished))


# Annotations, where stages are wired by name


def typed(takes: object, returns: object, name: str) -> AnyStage:
    def function(value: object) -> object:
        return value

    function.__annotations__ = {"value": takes, "return": returns}
    return lift(function, name=name)


def test_string_wiring_whose_annotations_are_disjoint_is_refused() -> None:
    made = (
        Pipeline.of(str)
        .with_stage("fetch", typed(str, bytes, "fetch"))
        .with_stage("count", typed(int, int, "count"), dependencies=("fetch",))
    )
    problem = the_problem(made)
    assert problem.startswith('Stage "count" takes int, but "fetch", which it follows, gives bytes.')


def test_functions_of_one_factory_are_told_apart_by_their_annotations() -> None:
    made = Pipeline.of(str)
    for name, kind, after in (("a", int, ()), ("b", bytes, ("a",)), ("c", str, ("b",))):
        given = {"a": str, "b": int, "c": bytes}[name]
        made = made.with_stage(name, typed(given, kind, name), dependencies=after)  # type: ignore[assignment]
    assert made.build().unwrap()


def test_annotations_that_may_fit_build() -> None:
    pairs: list[tuple[object, object]] = [
        (int, object),
        (bool, int),
        (int | None, int),
        ("NoSuchName", int),
        (list[int], list[int]),
        (_T, int),
        (dict[str, int], Mapping[str, int]),
    ]
    for gave, wanted in pairs:
        made = (
            Pipeline.of(str)
            .with_stage("a", typed(str, gave, "a"))
            .with_stage("b", typed(wanted, int, "b"), dependencies=("a",))
        )
        assert made.build().unwrap(), (gave, wanted)


def test_a_stage_that_follows_several_by_name_takes_a_tuple_of_as_many() -> None:
    def joined(wanted: object) -> AnyPipeline:
        made = Pipeline.of(str).with_stage("a", typed(str, int, "a")).with_stage("b", typed(str, bytes, "b"))
        return made.with_stage("join", typed(wanted, int, "join"), dependencies=("a", "b"))

    assert joined(tuple[int, bytes]).build().unwrap()
    assert "gives bytes" in the_problem(joined(tuple[int, int]))
    assert "a tuple of 2" in the_problem(joined(tuple[int, bytes, str]))
    assert "a tuple of 2" in the_problem(joined(str))


# All at once


def everything_wrong() -> AnyPipeline:
    aside = gives("aside")

    @stage(reads=(gives("nowhere"),))
    async def reader(inputs: StageInputs[object]) -> Result[StageOutput[object], StageError]:
        return ok(None)

    made = (
        wired(a="b", b="a", itself="itself", fetch="", greet="fetsh", twice="fetch fetch")
        .with_stage("typed", typed(str, int, "typed"))
        .with_stage("wrong", typed(bytes, int, "wrong"), dependencies=("typed",))
        .with_stage(reader)
        .with_stage(aside)
        .with_stage(gives("aside"))
        .with_stage(route(choosing(Literal["x", "y"])).case("x", gives("x")).exhaustive())
    )
    return made.returning(gives("not there"))


PARTS = [
    "wait for one another",
    "follows itself",
    'Did you mean "fetch"?',
    'names "fetch" twice',
    "takes bytes",
    '"nowhere", which is not in the pipeline',
    'Two stages are called "aside"',
    "no case for 'y'",
    'returns "not there"',
]


def test_build_returns_every_problem_at_once() -> None:
    found = problems(everything_wrong())
    for part in PARTS:
        assert sum(part in problem for problem in found) == 1, (part, found)
    assert len(found) == len(PARTS)


def test_every_problem_says_what_where_and_how_to_fix_it() -> None:
    for problem in problems(everything_wrong()):
        sentences = re.findall(r"[^.?!]+[.?!](?:\s|$)", problem)
        assert len(sentences) >= 2, problem
        assert '"' in problem or "route(" in problem, problem


def test_problems_come_the_same_each_time() -> None:
    assert problems(everything_wrong()) == problems(everything_wrong())


def test_a_problem_inside_composites_is_found_too() -> None:
    bad = gives("dup") | gives("dup")
    for composite in (
        bad.named("inner"),
        lift(lambda _: [1], name="split") | bad.each(),
        bad.optional(),
        bad.settled(),
        bad.when(lambda _: True),
        bad.using(BaseInterceptor()),
        (bad & gives("beside")).together(),
        route(choosing(bool)).case(True, bad).otherwise(gives("other")),
        Pipeline.of(object).with_stage(bad),
    ):
        assert any("dup" in problem for problem in problems(composite)), composite


# Running what does not build


async def awaited(handle: Awaitable[object]) -> object:
    return await handle


WAYS: dict[str, Callable[[AnyStage], Awaitable[object]]] = {
    "pipeline": lambda pipeline: pipeline.run("x"),
    "runner": lambda pipeline: Runner().run(pipeline, "x"),
    "handle": lambda pipeline: awaited(Runner().start(pipeline, "x")),
    "called": lambda pipeline: pipeline(StageInputs("x")),
}


@pytest.mark.parametrize("way", WAYS)
async def test_running_what_does_not_build_raises_the_same_before_anything_starts(way: str) -> None:
    ran: list[str] = []
    pipeline = gives("a", ran) | gives("b", ran) | gives("a", ran)
    wanted = pipeline.build().failure()
    with pytest.raises(PipelineValidationError) as raised:
        await WAYS[way](pipeline)
    assert raised.value == wanted
    assert ran == []


def test_the_exception_style_raises_every_problem_when_it_is_made() -> None:
    async def runner(context: object) -> object:
        return None

    specs = [
        StageSpec("a", runner, dependencies=("b",)),
        StageSpec("b", runner, dependencies=("a",)),
        StageSpec("c", runner, dependencies=("missing",)),
    ]
    with pytest.raises(PipelineValidationError) as raised:
        StageGraph(specs)
    assert len(raised.value.problems) == 2


# What is refused where it is written


def test_a_bare_string_as_dependencies_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match=r'dependencies=\("fetch",\)'):
        UnifiedStageSpec("greet", gives("greet"), dependencies="fetch")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r'dependencies=\("fetch",\)'):
        Pipeline.of(object).with_stage("greet", gives("greet"), dependencies="fetch")


def test_a_function_that_is_not_async_or_takes_something_else_is_refused_at_once() -> None:
    def plain(inputs: object) -> object:
        return inputs

    async def none() -> object:
        return None

    async def two(one: object, other: object) -> object:
        return None

    for function in (plain, none, two):
        with pytest.raises(TypeError, match=function.__name__):
            stage(function)  # type: ignore[type-var]
    for lifted in (none, two):
        with pytest.raises(TypeError, match=lifted.__name__):
            lift(lifted)  # type: ignore[call-overload]


def test_a_case_whose_key_does_not_hash_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="hashable"):
        route(choosing(str)).case([], gives("one"))
