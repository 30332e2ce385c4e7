"""Diagrams: what they say of a graph, in one order, and that what others draw of them is what they say.

The texts are kept in ``tests/golden/diagrams``; write them anew with ``pytest --update-golden``, and read what changed.
"""

from __future__ import annotations

import pickle
import string
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from returns.result import Failure, Result, Success
from typing_extensions import Never

from examples.survey.pipeline import report
from stageflow import (
    CircuitBreakerInterceptor,
    Completed,
    Pipeline,
    PortKey,
    RetryInterceptor,
    Stage,
    StageError,
    StageInputs,
    StageKind,
    StageOutput,
    TimeoutInterceptor,
    UnifiedStageSpec,
    identity,
    lift,
    ok,
    route,
    stage,
)
from stageflow.graph.building.annotations import UNKNOWN
from stageflow.views import ClusterKind, Diagram, DiagramEdge, DiagramMark, DiagramNode, to_dot, to_mermaid, to_tree
from stageflow.views.type_names import type_name
from tests.drawn import DotGraph, MermaidParser

Golden = Callable[[str, str], None]
Dot = Callable[[str], DotGraph]
CACHE: PortKey[object] = PortKey("cache")


class NotFoundError(StageError): ...


class Size(Enum):
    SHORT = 1
    LONG = 2


@dataclass(frozen=True)
class Stats:
    words: int
    longest: str


@lift(kind=StageKind.WORK)
async def fetch(url: str) -> Result[str, NotFoundError]:
    return Success(url) if url else Failure(NotFoundError("no url"))


@lift
def words(page: str) -> int:
    return len(page.split())


@lift
def longest(page: str) -> str:
    return max(page.split(), key=len)


@lift(kind=StageKind.ROUTE)
def size(page: str) -> Literal["short", "long"]:
    return "long" if len(page) > 10 else "short"


@lift
def sized(page: str) -> Size:
    return Size.LONG if len(page) > 10 else Size.SHORT


@lift
def verdict(parts: tuple[str, int]) -> str:
    return f"{parts}"


@stage(requires=(CACHE,), reads=(fetch,), kind=StageKind.ENRICH)
async def remembered(inputs: StageInputs[int]) -> Result[StageOutput[str], Never]:
    return ok(inputs[fetch])


def is_long(inputs: StageInputs[str]) -> bool:
    return len(inputs.value) > 3


async def nothing_there(error: NotFoundError) -> Result[StageOutput[str], Never]:
    return ok(str(error))


stats = fetch | (words & longest).into(Stats)
by_name = (
    Pipeline.of(str)
    .with_stage(fetch)
    .with_stage(words, after=fetch)
    .with_stage(longest, after=fetch)
    .with_stage(verdict, after=(longest, words))
)
odd = (
    lift(len).named('say "no"; end')
    | lift(str).named("a\nb]) --> c")
    | lift(str).named("<script>alert(1)</script>")
    | lift(str).named("größe 漢字 #35; & \\N {x} `y`")
)

CASES: dict[str, Callable[[], Stage[Never, object, StageError]]] = {
    "one_stage": lambda: fetch,
    "chain": lambda: fetch | words,
    "branches": lambda: stats,
    "branches_into_branches": lambda: fetch | (words & longest) | (lift(str).named("a") & lift(repr).named("b")),
    "by_handles": lambda: by_name.returning(verdict),
    "every_output": lambda: by_name,
    "nested": lambda: stats.named("first") | lift(str).named("shown"),
    "nested_twice": lambda: (stats.named("inner") | lift(str).named("shown")).named("outer"),
    "each": lambda: stats.each(limit=20),
    "each_of_a_named_pipeline": lambda: stats.named("page").each(),
    "each_in_each": lambda: fetch.each(limit=2).each(),
    "route": lambda: fetch | route(size).case("short", words).case("long", longest | words.named("n")).exhaustive(),
    "route_by_enum": lambda: (
        route(sized).case(Size.LONG, longest).otherwise(identity(str)) | lift(str.upper).named("upper")
    ),
    "wrappers": lambda: (
        fetch.using(RetryInterceptor(attempts=3))
        .using(TimeoutInterceptor(2.0))
        .when(is_long)
        .recover(nothing_there)
        .optional()
        .using(CircuitBreakerInterceptor())
    ),
    "recovered_pipeline": lambda: (fetch | longest).recover(nothing_there).using(TimeoutInterceptor(2.0)) | words,
    "condition_of_no_name": lambda: words.when(lambda inputs: bool(inputs.value)).settled(),
    "reads_and_ports": lambda: fetch | words | remembered,
    "replaced": lambda: stats.replacing(fetch).by(lift(str.upper).named("stub")),
    "odd_names": lambda: odd,
    "the_survey": lambda: report,
}
FORMS: dict[str, Callable[[Diagram], str]] = {"mermaid": to_mermaid, "dot": to_dot, "tree": to_tree}
EVERY = pytest.mark.parametrize("case", CASES)


def drawn(case: str) -> Diagram:
    return CASES[case]().diagram()


def node(diagram: Diagram, label: str) -> DiagramNode:
    (found,) = [node for node in diagram.nodes if node.label == label]
    return found


@EVERY
@pytest.mark.parametrize("form", FORMS)
def test_a_diagram_is_drawn_as_its_golden_text_says(case: str, form: str, golden: Golden) -> None:
    golden(f"diagrams/{case}.{form}", FORMS[form](drawn(case)))


@EVERY
def test_mermaid_reads_every_diagram_as_it_is_meant(case: str, mermaid: MermaidParser) -> None:
    diagram = drawn(case)
    read = mermaid.read(to_mermaid(diagram))
    assert len(read.labels) == len(diagram.nodes) + 2
    assert (read.edges, read.clusters) == (len(diagram.edges), len(diagram.clusters))


@EVERY
def test_graphviz_reads_every_diagram_as_it_is_meant(case: str, graphviz: Dot) -> None:
    diagram = drawn(case)
    read = graphviz(to_dot(diagram))
    assert len(read.labels) == len(diagram.nodes) + 2
    assert (read.edges, read.clusters) == (len(diagram.edges), len(diagram.clusters))


@EVERY
def test_a_diagram_is_whole_and_goes_one_way(case: str) -> None:
    diagram = drawn(case)
    at = {each.id: number for number, each in enumerate(diagram.nodes)}
    clusters = {cluster.id: number for number, cluster in enumerate(diagram.clusters)}
    assert len(at) == len(diagram.nodes) > 0
    assert len(clusters) == len(diagram.clusters)
    assert all(at.get(edge.source, -1) < at.get(edge.target, len(at)) for edge in diagram.edges)
    assert {each.cluster for each in diagram.nodes} <= {"", *clusters}
    assert all(cluster.parent == "" or clusters[cluster.parent] < clusters[cluster.id] for cluster in diagram.clusters)
    assert {edge.target for edge in diagram.edges} == {"", *at}, "every stage follows something"


def test_a_node_says_what_stands_around_its_stage_the_outermost_first() -> None:
    found = node(drawn("wrappers"), "fetch")
    assert found.interceptors == ("CircuitBreakerInterceptor", "TimeoutInterceptor", "RetryInterceptor")
    assert found.marks == (
        DiagramMark("optional"),
        DiagramMark("recover", "nothing_there"),
        DiagramMark("when", "is_long"),
    )
    assert (found.kind, found.input, found.output) == (StageKind.WORK, "str", "str")
    assert drawn("wrappers").clusters == ()


def test_what_stands_around_a_pipeline_is_said_of_its_cluster() -> None:
    (cluster,) = drawn("recovered_pipeline").clusters
    assert (cluster.kind, cluster.interceptors) == (ClusterKind.PIPELINE, ("TimeoutInterceptor",))
    assert cluster.marks == (DiagramMark("recover", "nothing_there"),)


def test_the_body_of_an_each_is_a_cluster_with_its_limit() -> None:
    diagram = drawn("each")
    (cluster,) = diagram.clusters
    assert (cluster.kind, cluster.limit) == (ClusterKind.EACH, 20)
    assert {each.cluster for each in diagram.nodes} == {cluster.id}
    assert node(diagram, "fetch").id == "fetch[]"
    assert node(diagram, "fetch").name == "fetch"


def test_a_named_pipeline_inside_an_each_is_no_second_cluster() -> None:
    assert [cluster.kind for cluster in drawn("each_of_a_named_pipeline").clusters] == [ClusterKind.EACH]


def test_the_case_of_a_route_stands_on_the_edge_that_leads_to_it() -> None:
    diagram = drawn("route")
    chosen = {(edge.target, edge.label) for edge in diagram.edges if edge.source == "size"}
    assert chosen == {("words", "'short'"), ("longest", "'long'")}
    assert {cluster.kind for cluster in diagram.clusters} == {ClusterKind.ROUTE, ClusterKind.CASE}


def test_a_case_that_passes_its_value_on_is_an_edge_from_the_selector() -> None:
    edges = drawn("route_by_enum").edges
    assert DiagramEdge("sized", "longest", "Size.LONG") in edges
    assert DiagramEdge("sized", "upper", "otherwise") in edges


def test_a_declared_read_is_an_edge_of_its_own_kind() -> None:
    diagram = drawn("reads_and_ports")
    assert DiagramEdge("fetch", "remembered", reads=True) in diagram.edges
    assert node(diagram, "remembered").ports == ("cache",)


async def test_every_stage_of_a_report_is_a_node_of_the_diagram() -> None:
    pipeline = stats.named("first") | lift(str).named("shown")
    outcome = await pipeline.run("to be or not")
    assert isinstance(outcome, Completed)
    assert {each.name for each in pipeline.diagram().nodes} == set(outcome.report.stages)


def test_the_graph_and_the_pipeline_have_the_same_diagram() -> None:
    assert stats.build().unwrap().diagram() == stats.diagram()


def test_composing_in_another_grouping_draws_the_same() -> None:
    one, two, three = fetch, longest, words
    assert ((one | two) | three).diagram() == (one | (two | three)).diagram()


@given(st.permutations(range(4)))
def test_the_order_of_declaration_does_not_show(order: Sequence[int]) -> None:
    specs = [
        UnifiedStageSpec("fetch", fetch),
        UnifiedStageSpec("words", words, dependencies=("fetch",)),
        UnifiedStageSpec("longest", longest, dependencies=("fetch",)),
        UnifiedStageSpec("lone", longest.named("lone")),
    ]
    assert Pipeline.from_specs([specs[at] for at in order]).diagram() == Pipeline.from_specs(specs).diagram()


@given(st.permutations([words, longest, size]), st.permutations([words, longest, size]))
def test_the_order_of_with_stage_does_not_show_in_a_nested_pipeline_either(
    one: list[Stage[str, object, StageError]], other: list[Stage[str, object, StageError]]
) -> None:
    def wired(stages: list[Stage[str, object, StageError]]) -> Diagram:
        pipeline = Pipeline.of(str).with_stage(fetch)
        for each in stages:
            pipeline = pipeline.with_stage(each, after=fetch)
        return (longest.named("before") | pipeline | lift(str).named("after")).diagram()

    assert wired(one) == wired(other)


ODD = st.text(
    alphabet=st.one_of(
        st.sampled_from("\"'`[](){}<>|&#;\\/\n\r\t\0 -=.:%@$~^*_\u202e\u2028\x85\x7f"),
        st.sampled_from(string.ascii_letters),
        st.characters(),
    ),
    min_size=1,
    max_size=12,
).filter(str.strip)


def named(names: list[str]) -> Diagram:
    nodes = [replace(fetch.diagram().nodes[0], id=f"{at}", label=name) for at, name in enumerate(names)]
    return Diagram(names[0], names[0], names[-1], tuple(nodes), (DiagramEdge("", "0", names[-1]),))


def seen(text: str) -> str:
    """A text as it is to be seen: what does not print has a backslash's word in its place."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(ODD, min_size=1, max_size=8))
@example(names=["¶ß", "ﬂ°°65¶ß", "ﬂ°amp¶ß"])
def test_mermaid_shows_every_name_as_it_is(names: list[str], mermaid: MermaidParser) -> None:
    read = mermaid.read(to_mermaid(named(names)))
    shown = [label.split("\n")[0] for label in read.labels]
    assert [label.strip() for label in shown[1:-1]] == [seen(name).strip() for name in names]
    assert read.edges == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(ODD, min_size=1, max_size=8))
def test_graphviz_shows_every_name_as_it_is(names: list[str], graphviz: Dot) -> None:
    read = graphviz(to_dot(named(names)))
    shown = [label.split("\n")[0] for label in read.labels]
    assert shown[1:-1] == [seen(name).replace("\xa0", " ") for name in names]


@given(ODD)
def test_a_tree_has_a_line_for_each_stage_whatever_it_is_called(name: str) -> None:
    text = to_tree(named([name, "b"]))
    assert len(text.splitlines()) == 3
    assert all(c.isprintable() for c in text.replace("\n", ""))


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (int, "int"),
        (None, "None"),
        (UNKNOWN, ""),
        (list[Stats], "list[Stats]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (str | None, "str | None"),
        (Literal["a", 1], "Literal['a', 1]"),
        (Callable[[int], str], "Callable[[int], str]"),
        (Success[int] | Failure[NotFoundError], "Success[int] | Failure[NotFoundError]"),
    ],
)
def test_a_type_is_shown_as_it_is_written(of: object, name: str) -> None:
    assert type_name(of) == name


def test_a_notebook_is_shown_mermaid_and_a_tree() -> None:
    diagram = stats.diagram()
    expected = {"text/plain": to_tree(diagram), "text/vnd.mermaid": to_mermaid(diagram)}
    for shown in (stats, stats.build().unwrap(), diagram):
        assert shown._repr_mimebundle_() == expected


def test_a_notebook_is_told_what_does_not_build() -> None:
    (text,) = (words & words).together()._repr_mimebundle_().values()
    assert "does not build" in text
    assert "words" in text


def test_a_diagram_is_data_that_can_be_kept() -> None:
    diagram = drawn("the_survey")
    assert pickle.loads(pickle.dumps(diagram)) == diagram
    assert len({diagram, drawn("the_survey")}) == 1


@pytest.mark.parametrize("deep", [500])
def test_what_nests_deep_is_drawn(deep: int) -> None:
    pipeline: Stage[str, object, StageError] = longest
    for at in range(deep):
        pipeline = (pipeline | lift(str).named(f"s{at}")).named(f"p{at}")
    diagram = pipeline.diagram()
    assert len(diagram.clusters) == deep
    assert to_tree(diagram).count("\n") == 2 * deep + 1


def test_many_stages_are_drawn() -> None:
    specs = [UnifiedStageSpec(f"s{at}", longest, dependencies=(f"s{at - 1}",) if at else ()) for at in range(10_000)]
    unlike = [replace(spec, stage=longest.named(spec.name)) for spec in specs]
    assert to_mermaid(Pipeline.from_specs(unlike).diagram()).count("-->") == 10_001


def test_importing_the_library_does_not_load_what_draws() -> None:
    code = "import stageflow, sys; sys.exit(any(name.startswith('stageflow.views') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
