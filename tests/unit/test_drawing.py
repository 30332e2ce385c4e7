"""The graph as it is drawn: a node a stage, one for all items of an each, clusters, and edges through composites."""

from __future__ import annotations

import pytest

from stageflow import Pipeline, Stage, lift, route
from stageflow.views.report.drawing import Drawing, drawing_of
from stageflow.views.report.members import Members


def one(name: str) -> Stage:
    return lift(lambda value: value).named(name)


def drawn(pipeline: Stage) -> Drawing:
    return drawing_of(pipeline.diagram())


def edges(drawing: Drawing) -> set[tuple[str, str]]:
    return {(drawing.nodes[edge.before].name, drawing.nodes[edge.after].name) for edge in drawing.edges}


def clusters(drawing: Drawing) -> list[tuple[str, str, bool]]:
    """Of each cluster: its name, that of the one around it, and whether it runs per item."""
    names = [cluster.label for cluster in drawing.clusters]
    return [
        (cluster.label, names[cluster.parent] if cluster.parent >= 0 else "", cluster.each)
        for cluster in drawing.clusters
    ]


def test_a_chain_and_its_branches_are_nodes_and_edges() -> None:
    drawing = drawn(one("a") | (one("b") & one("c")) | one("d"))
    assert [node.name for node in drawing.nodes] == ["a", "b", "c", "d"]
    assert edges(drawing) == {("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")}
    assert drawing.clusters == ()


def test_a_named_pipeline_is_a_cluster_and_its_nodes_are_labelled_without_its_name() -> None:
    drawing = drawn(one("a") | (one("b") | one("c")).named("inner") | one("d"))
    assert clusters(drawing) == [("inner", "", False)]
    assert [(node.name, node.label, node.cluster) for node in drawing.nodes[1:3]] == [
        ("inner.b", "b", 0),
        ("inner.c", "c", 0),
    ]
    assert edges(drawing) == {("a", "inner.b"), ("inner.b", "inner.c"), ("inner.c", "d")}


def test_named_pipelines_nest() -> None:
    inner = (one("b") | one("c")).named("inner")
    drawing = drawn((one("a") | inner | one("d")).named("outer") | one("e"))
    assert clusters(drawing) == [("outer", "", False), ("inner", "outer", False)]
    assert [node.label for node in drawing.nodes] == ["a", "b", "c", "d", "e"]


def test_all_items_of_a_stage_are_one_node_without_a_cluster() -> None:
    drawing = drawn(one("a") | one("b").each() | one("c"))
    nodes = [(node.name, node.label, len(node.each)) for node in drawing.nodes]
    assert nodes == [("a", "a", 0), ("b[]", "b", 1), ("c", "c", 0)]
    assert drawing.clusters == ()


def test_the_items_of_a_pipeline_are_one_cluster_also_where_it_is_wrapped_and_named() -> None:
    drawing = drawn(one("a") | (one("b") | one("c")).named("inner").optional().each())
    assert clusters(drawing) == [("inner", "", True)]
    assert [(node.name, node.label) for node in drawing.nodes[1:]] == [("inner[].b", "b"), ("inner[].c", "c")]


def test_an_each_inside_an_each_says_so() -> None:
    drawing = drawn((one("a") | one("b").each()).each())
    outer, inner = drawing.nodes
    assert (outer.name, inner.name) == ("a[]", "b[][]")
    assert (len(outer.each), len(inner.each), inner.each[:1]) == (1, 2, outer.each)


def test_the_cases_of_a_route_follow_its_selector() -> None:
    routed = route(one("which")).case(1, one("x")).case(2, one("y") | one("z")).otherwise(one("w"))
    drawing = drawn(one("a") | routed | one("end"))
    assert edges(drawing) == {
        *(("a", "which"), ("which", "x"), ("which", "y"), ("y", "z"), ("which", "w")),
        *(("x", "end"), ("z", "end"), ("w", "end")),
    }


def test_a_wired_pipeline_has_the_edges_of_its_wires() -> None:
    a, b, c = one("a"), one("b"), one("c")
    pipeline = Pipeline.of(object).with_stage(a).with_stage(b, after=a).with_stage(c, after=(a, b))
    assert edges(drawn(pipeline)) == {("a", "b"), ("a", "c"), ("b", "c")}


def test_many_ends_of_a_composite_meet_in_a_junction_so_that_edges_stay_linear() -> None:
    def wide(prefix: str) -> Stage:
        pipeline = Pipeline.of(object)
        for number in range(50):
            pipeline = pipeline.with_stage(one(f"{prefix}{number}"))
        return pipeline

    drawing = drawn(wide("a").optional() | wide("b").optional())
    assert len(drawing.nodes) == 101
    assert len(drawing.edges) == 100


@pytest.mark.parametrize("wrap", ["optional", "settled", "each", "named"])
def test_composites_five_hundred_deep_are_drawn(wrap) -> None:
    pipeline = one("a") | one("b")
    for depth in range(500):
        pipeline = pipeline.named(f"p{depth}") if wrap == "named" else getattr(pipeline, wrap)()
    assert len(drawn(pipeline).nodes) == 2


def test_a_stage_follows_the_same_item_inside_an_each_and_all_items_after_it() -> None:
    drawing = drawn(one("a") | (one("b") | one("c")).each() | one("d"))
    members = Members(drawing, ["a", "b[0]", "b[1]", "c[0]", "c[1]", "d"])
    assert [tuple(members.followed(name)) for name in ("b[1]", "c[1]", "d")] == [("a",), ("b[1]",), ("c[0]", "c[1]")]


def test_a_stage_follows_the_items_of_an_inner_each_of_its_own_item_alone() -> None:
    drawing = drawn((one("a") | one("b").each() | one("c")).each())
    members = Members(drawing, ["a[0]", "b[0][0]", "b[0][1]", "c[0]", "a[1]", "b[1][0]", "c[1]"])
    assert tuple(members.followed("c[0]")) == ("b[0][0]", "b[0][1]")
    assert tuple(members.followed("b[1][0]")) == ("a[1]",)


def test_a_stage_whose_own_name_looks_like_an_item_is_found_as_it_is() -> None:
    members = Members(drawn(one("a[3]") | one("b")), ["a[3]", "b"])
    assert members.of(0) == ("a[3]",)
    assert tuple(members.followed("b")) == ("a[3]",)
