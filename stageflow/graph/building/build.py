"""Laying a pipeline out as a graph: flat tables, checked, with every problem found at once.

The walk keeps its own stack (each visit is a generator that yields what to visit next), so depth costs no recursion.
Stages are visited in topological order, ties by declaration, which is the order of everything a run reports.
"""

from __future__ import annotations

from dataclasses import replace

from returns.result import Failure, Result, Success

from stageflow.core.stage import Shape
from stageflow.errors import PipelineValidationError
from stageflow.graph import problems as say
from stageflow.graph.building.checking import check_items, check_reads
from stageflow.graph.building.enclosing import lay_route, lay_stack
from stageflow.graph.building.joining import lay_wired, standing
from stageflow.graph.building.layout import Naming, Tables
from stageflow.graph.building.visiting import (
    NO_SWAPS,
    Visit,
    Visiting,
    lay_container,
    lay_function,
    lay_inside,
    one_stage,
    place_of,
    without,
)
from stageflow.graph.execution.pool import within
from stageflow.graph.plan import INPUT, Atlas, Source
from stageflow.graph.shape import Both, Identity, Leaf, Named, Replaced, Routed, Then, Together
from stageflow.graph.wired import Returning, Step, Union
from stageflow.graph.wired import Source as Empty
from stageflow.graph.wrapping import Wrapped


def laid_out(shape: Shape) -> Result[Atlas, PipelineValidationError]:
    """The graph of a shape, or every problem of it."""
    tables = Tables()
    root = tables.level(None)
    output = _walk(tables, Visit(shape, root, INPUT, Naming(), NO_SWAPS, open=True))
    if not root.names and not tables.problems:
        tables.problem(say.no_stage())
    plan = tables.finish(root, output)
    atlas = Atlas(
        root=plan,
        places=tables.all_places(),
        named=tables.named,
        enclosing=tuple(tables.enclosing),
        scopes=tuple(tables.scopes),
        scope_names=tuple(tables.scope_names),
        plans=tuple([tables.plans[number] for number in range(len(tables.plans))]),
        hiding=frozenset(tables.hiding),
        requires=tuple(tables.requires.items()),
        absorbs=tables.absorbs,
    )
    check_items(tables)
    check_reads(tables, atlas)
    if tables.problems:
        return Failure(PipelineValidationError(tuple(tables.problems)))
    return Success(atlas)


def _walk(tables: Tables, first: Visit) -> Source | None:
    """Runs visits on a stack of their own."""
    stack = [_visit(tables, first)]
    answer: Source | None = None
    while stack:
        try:
            wanted = stack[-1].send(answer)
        except StopIteration as stop:
            stack.pop()
            answer = stop.value
        else:
            answer = None
            stack.append(_visit(tables, wanted))
    return answer


def _visit(tables: Tables, visit: Visit) -> Visiting:  # noqa: C901, PLR0912  (a case a kind of shape)
    """Lays out one shape, and gives where its output stands; None where all outputs are."""
    shape = visit.shape
    if shape in visit.swaps:
        return _swapped(tables, visit)
    match shape:
        case Leaf():
            return _leaf(tables, shape, visit)
        case Wrapped() | Named():
            return lay_stack(tables, visit)
        case Identity():
            return _identity(tables, shape, visit)
        case _ if visit.naming.rename is not None:
            return _composite(tables, visit)
        case Then():
            return _then(shape, visit)
        case Both():
            return _both(tables, shape, visit)
        case Together():
            return _together(tables, shape, visit)
        case Step() | Union() | Empty():
            return lay_wired(tables, visit) if visit.open else _apart(tables, visit)
        case Returning():
            return _returning(tables, shape, visit)
        case Replaced():
            return _replaced(tables, shape, visit)
        case Routed():
            return lay_route(tables, shape, visit)
        case _:
            raise AssertionError(shape)


def _identity(tables: Tables, shape: Identity, visit: Visit) -> Visiting:
    if shape not in tables.places:
        tables.put(shape, place_of(visit, visit.source))
    yield from ()
    return visit.source


def _leaf(tables: Tables, leaf: Leaf, visit: Visit) -> Visiting:
    yield from ()
    return lay_function(tables, leaf, leaf, visit, leaf)


def _then(then: Then, visit: Visit) -> Visiting:
    source: Source | None = visit.source
    for part in then.parts(visit.swaps.__contains__):
        source = yield visit.to(part)._replace(source=INPUT if source is None else source)
    return source


def _both(tables: Tables, both: Both, visit: Visit) -> Visiting:
    flows: list[int] = []
    for branch in both.branches():
        flow = yield visit.to(branch)
        flows.append(one_stage(flow, branch, visit))
    tables.put(both, place_of(visit, tuple(flows)))
    return tuple(flows)


def _together(tables: Tables, shape: Together, visit: Visit) -> Visiting:
    source = yield from _both(tables, shape.branches, visit)
    if source is not None:
        tables.put(shape, place_of(visit, source))
    return source


def _returning(tables: Tables, returning: Returning, visit: Visit) -> Visiting:
    yield visit._replace(shape=returning.inner, open=True)
    place = standing(tables, returning.output, visit)
    if place is None:
        tables.problem(say.not_returned(returning.output.label))
        return visit.source
    tables.returned[returning, visit.naming.scope] = place
    return place.source


def _replaced(tables: Tables, replaced: Replaced, visit: Visit) -> Visiting:
    swaps = {replaced.old: replaced.new, **visit.swaps}  # of two for one stage, the last said counts
    source = yield visit._replace(shape=replaced.inner, swaps=swaps)
    if replaced.old not in tables.swapped:
        tables.problem(say.not_replaced(replaced.old.label))
    return source


def _swapped(tables: Tables, visit: Visit) -> Visiting:
    """The stage that stands in for another, under the other's name and handle."""
    old = visit.shape
    tables.swapped.add(old)
    naming = replace(visit.naming, rename=visit.naming.rename or old.label, keeps=False)
    source = yield visit.to(visit.swaps[old])._replace(naming=naming, swaps=without(visit.swaps, old))
    if source is not None and visit.naming.keeps:
        tables.put(old, place_of(visit, source))
    return source


def _composite(tables: Tables, visit: Visit) -> Visiting:
    """A pipeline under a name of its own: the names inside it are dotted, in a naming scope of their own."""
    rename = visit.naming.rename or ""
    if not rename.strip():
        tables.problem(say.blank_name(rename))
    name = visit.naming.full(rename)
    inside = Naming(prefix=f"{name}.", scope=tables.scope(visit.naming.scope, name))
    source = yield visit._replace(naming=inside)
    if source is not None:
        tables.name(name, place_of(visit, source))
    return source


def _apart(tables: Tables, visit: Visit) -> Visiting:
    """A wired pipeline as a stage that gives all its outputs: it needs a plan of its own."""
    plan = yield from lay_inside(tables, visit, visit.naming)
    call = within(plan)
    return lay_container(tables, visit, visit.shape, call, call, (plan,))
