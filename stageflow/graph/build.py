"""Laying a pipeline out as a graph: flat tables, checked, with every problem found at once.

The walk keeps its own stack (each visit is a generator that yields what to visit next), so depth costs no recursion.
Stages are visited in topological order, ties by declaration, which is the order of everything a run reports.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from returns.result import Failure, Result, Success

from stageflow.core.stage import Shape
from stageflow.errors import PipelineValidationError
from stageflow.graph import problems as say
from stageflow.graph.checking import check_cases, check_reads, check_wires
from stageflow.graph.composites import each, routed, together
from stageflow.graph.layout import Level, Naming, Swaps, Tables
from stageflow.graph.names import filled
from stageflow.graph.plan import INPUT, Atlas, Place, Plan, Source
from stageflow.graph.pool import within
from stageflow.graph.resolving import resolved
from stageflow.graph.shape import Both, Call, Identity, Leaf, Named, Replaced, Routed, Then, Together
from stageflow.graph.stepping import DEEP, in_own_task
from stageflow.graph.wired import Returning, Step, Union
from stageflow.graph.wired import Source as Empty
from stageflow.graph.wiring import Wiring
from stageflow.graph.wrapping import Absorber, Each, Wrapped, inside


class Visit(NamedTuple):
    """What is to be laid out, where, and on which input.

    Attributes:
        open: whether all outputs may be the plan's, so that a wired pipeline needs no plan of its own.
    """

    shape: Shape
    level: Level
    source: Source
    naming: Naming
    swaps: Swaps
    open: bool = False

    def to(self, shape: Shape) -> Visit:
        """The visit of a part."""
        return self._replace(shape=shape, open=False)


Visiting: TypeAlias = Generator[Visit, "Source | None", "Source | None"]
Flowing: TypeAlias = Generator[Visit, "Source | None", Source]
_NO_SWAPS: Swaps = MappingProxyType({})


def laid_out(shape: Shape) -> Result[Atlas, PipelineValidationError]:
    """The graph of a shape, or every problem of it."""
    tables = Tables()
    root = tables.level(None)
    output = _walk(_Layout(tables), Visit(shape, root, INPUT, Naming(), _NO_SWAPS, open=True))
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
    check_reads(tables, atlas)
    if tables.problems:
        return Failure(PipelineValidationError(tuple(tables.problems)))
    return Success(atlas)


def _walk(layout: _Layout, first: Visit) -> Source | None:
    """Runs visits on a stack of their own."""
    stack = [layout.visit(first)]
    answer: Source | None = None
    while stack:
        try:
            wanted = stack[-1].send(answer)
        except StopIteration as stop:
            stack.pop()
            answer = stop.value
        else:
            answer = None
            stack.append(layout.visit(wanted))
    return answer


class _Layout:
    """The visits, one a kind of shape."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def visit(self, visit: Visit) -> Visiting:  # noqa: C901, PLR0912  (a case a kind of shape)
        """Lays out one shape, and gives where its output stands; None where all outputs are."""
        shape = visit.shape
        if shape in visit.swaps:
            return self._swapped(visit)
        match shape:
            case Leaf():
                return self._leaf(shape, visit)
            case Wrapped() | Named():
                return self._stack(visit)
            case Identity():
                return self._identity(shape, visit)
            case _ if visit.naming.rename is not None:
                return self._composite(visit)
            case Then():
                return self._then(shape, visit)
            case Both():
                return self._both(shape, visit)
            case Together():
                return self._together(shape, visit)
            case Step() | Union() | Empty():
                return self._wired(visit) if visit.open else self._apart(visit)
            case Returning():
                return self._returning(shape, visit)
            case Replaced():
                return self._replaced(shape, visit)
            case Routed():
                return self._routed(shape, visit)
            case _:
                raise AssertionError(shape)

    def _identity(self, shape: Identity, visit: Visit) -> Visiting:
        if shape not in self._tables.places:
            self._tables.put(shape, self._at(visit, visit.source))
        yield from ()
        return visit.source

    def _leaf(self, leaf: Leaf, visit: Visit) -> Visiting:
        yield from ()
        return self.leaf(leaf, leaf, visit, leaf)

    def leaf(self, leaf: Leaf, body: Leaf | Wrapped, visit: Visit, outer: Shape, *, call: Call | None = None) -> int:
        """Lays out one function of the user's: in wrappers that hide nothing the body, in a call that hides it."""
        naming, level = visit.naming, visit.level
        own = leaf.name if naming.rename is None else naming.rename
        if not own.strip():
            self._tables.problem(say.blank_name(own))
        kind, full = naming.kind or leaf.kind, naming.full(own)
        slot = level.add(full, kind, call or body.call, visit.source, naming.scope, outer, body)
        place = Place(level.number, slot, naming.scope)
        if naming.keeps:
            self._tables.put(leaf, Place(level.number, slot, naming.scope, inside=True) if call else place)
        self._declared(leaf, level, slot, place)
        return slot

    def _declared(self, leaf: Leaf, level: Level, slot: int, place: Place) -> None:
        """Notes what the function goes by, requires and reads."""
        tables, name = self._tables, level.names[slot]
        tables.name(name, place)
        for key in leaf.requires:
            tables.requires.setdefault(key, filled(name, ()))
        if leaf.reads:
            tables.readers.append((leaf, level, slot))

    @staticmethod
    def _at(visit: Visit, source: Source) -> Place:
        return Place(visit.level.number, source, visit.naming.scope)

    def _then(self, then: Then, visit: Visit) -> Visiting:
        source: Source | None = visit.source
        for part in then.parts(visit.swaps.__contains__):
            source = yield visit.to(part)._replace(source=INPUT if source is None else source)
        return source

    def _both(self, both: Both, visit: Visit) -> Visiting:
        flows: list[int] = []
        for branch in both.branches():
            flow = yield visit.to(branch)
            flows.append(self._one(flow, branch, visit))
        self._tables.put(both, self._at(visit, tuple(flows)))
        return tuple(flows)

    def _together(self, shape: Together, visit: Visit) -> Visiting:
        source = yield from self._both(shape.branches, visit)
        if source is not None:
            self._tables.put(shape, self._at(visit, source))
        return source

    def _one(self, flow: Source | None, branch: Shape, visit: Visit) -> int:
        """One stage for what a branch gives, which may be several."""
        if type(flow) is int:
            return flow
        sources: Source = INPUT if flow is None else flow
        return visit.level.add(visit.naming.full(branch.label), None, together, sources, visit.naming.scope, branch)

    def _returning(self, returning: Returning, visit: Visit) -> Visiting:
        yield visit._replace(shape=returning.inner, open=True)
        place = self._place(returning.output, visit)
        if place is None:
            self._tables.problem(say.not_returned(returning.output.label))
            return visit.source
        self._tables.returned[returning, visit.naming.scope] = place
        return place.source

    def _place(self, shape: Shape, visit: Visit) -> Place | None:
        """Where a shape stands in the same plan and naming scope."""
        known = self._tables.returned.get((shape, visit.naming.scope))  # else those in one another are walked again
        found = known or resolved(shape, self._tables.places)
        if found is not None and found.scope != visit.naming.scope:
            handle = next((handle for handle, place in self._tables.places.items() if place is found), shape)
            found = self._tables.several.get(handle, {}).get(visit.naming.scope)
        return found if found and found.plan == visit.level.number and not found.inside else None

    def _replaced(self, replaced: Replaced, visit: Visit) -> Visiting:
        swaps = {replaced.old: replaced.new, **visit.swaps}  # of two for one stage, the last said counts
        source = yield visit._replace(shape=replaced.inner, swaps=swaps)
        if replaced.old not in self._tables.swapped:
            self._tables.problem(say.not_replaced(replaced.old.label))
        return source

    def _swapped(self, visit: Visit) -> Visiting:
        """The stage that stands in for another, under the other's name and handle."""
        old = visit.shape
        self._tables.swapped.add(old)
        naming = replace(visit.naming, rename=visit.naming.rename or old.label, keeps=False)
        source = yield visit.to(visit.swaps[old])._replace(naming=naming, swaps=_without(visit.swaps, old))
        if source is not None and visit.naming.keeps:
            self._tables.put(old, self._at(visit, source))
        return source

    def _composite(self, visit: Visit) -> Visiting:
        """A pipeline under a name of its own: the names inside it are dotted, in a naming scope of their own."""
        rename = visit.naming.rename or ""
        if not rename.strip():
            self._tables.problem(say.blank_name(rename))
        name = visit.naming.full(rename)
        inside = Naming(prefix=f"{name}.", scope=self._tables.scope(visit.naming.scope, name))
        source = yield visit._replace(naming=inside)
        if source is not None:
            self._tables.name(name, self._at(visit, source))
        return source

    def _apart(self, visit: Visit) -> Visiting:
        """A wired pipeline as a stage that gives all its outputs: it needs a plan of its own."""
        plan = yield from self._inside(visit, visit.naming)
        call = within(plan)
        return self._container(visit, visit.shape, call, call, (plan,))

    def _wired(self, visit: Visit) -> Visiting:
        wiring = Wiring.of(visit.shape)
        for problem in wiring.problems:
            self._tables.problem(problem)
        at: dict[int, Source | None] = {}
        plain = not visit.swaps
        for number in wiring.order:
            wire = wiring.wires[number]
            stage, source = wire.stage, visit.source
            if wire.after:
                flows = [
                    self._inner(after, stage, visit) if followed is None else at.get(followed, INPUT)
                    for followed, after in zip(wiring.follows[number], wire.after, strict=True)
                ]
                single = flows[0] if wire.single else None
                source = tuple([self._one(flow, stage, visit) for flow in flows]) if single is None else single
            leaf = stage.inner if type(stage) is Named and stage.keeps else stage
            if type(leaf) is Leaf and plain:
                at[number] = self._wired_leaf(leaf, stage, source, visit)
            else:
                at[number] = yield visit.to(stage)._replace(source=source)
        check_wires(self._tables, wiring)
        return None

    def _wired_leaf(self, leaf: Leaf, stage: Shape, source: Source, visit: Visit) -> int:
        """Lays out a function that is wired by name or handle, of which there may be very many."""
        level, naming = visit.level, visit.naming
        own, kind = (stage.name, stage.kind or leaf.kind) if isinstance(stage, Named) else (leaf.name, leaf.kind)
        if not own or own.isspace():
            self._tables.problem(say.blank_name(own))
        name = f"{naming.prefix}{own}{naming.items}" if naming.prefix or naming.items else own
        slot = level.add(name, kind, leaf.call, source, naming.scope, leaf)
        place = Place(level.number, slot, naming.scope)
        self._tables.put(leaf, place)
        if stage is not leaf:
            self._tables.put(stage, place)
        self._declared(leaf, level, slot, place)
        return slot

    def _inner(self, handle: Shape | str, follower: Shape, visit: Visit) -> Source:
        """Where a stage stands that is followed although it is inside another."""
        if isinstance(handle, str):
            place = self._tables.named.get(visit.naming.prefix + handle)
            place = place if place and place.plan == visit.level.number else None
        else:
            place = self._place(handle, visit)
        if place is not None:
            return place.source
        label = handle if isinstance(handle, str) else handle.label
        self._tables.problem(say.unknown(follower.label, label, self._tables.known_names()))
        return INPUT

    def _stack(self, visit: Visit) -> Visiting:
        """A stage in wrappers: one place in the plan, and a plan of its own for what is not a single function."""
        swaps, naming, shape = visit.swaps, visit.naming, visit.shape
        handles: list[tuple[Shape, bool]] = []
        layers: list[Wrapped] = []
        while isinstance(shape, Wrapped | Named) and shape not in swaps:
            handles.append((shape, naming.keeps))
            if isinstance(shape, Named):
                naming = _under(shape, naming)
            else:
                layers.append(shape)
                if isinstance(shape.how, Absorber | Each):
                    shape = shape.inner
                    break
            shape = shape.inner
        inner = visit.to(shape)._replace(naming=naming)
        source = yield from self._layers(layers, inner)
        if source is not None:
            for handle, keeps in handles:
                if keeps:
                    self._tables.put(handle, self._at(visit, source))
        return source

    def _layers(self, layers: list[Wrapped], visit: Visit) -> Visiting:
        if not layers:  # names alone
            return (yield visit)
        shape, how = visit.shape, layers[-1].how
        if isinstance(how, Each):
            return (yield from self._each(layers, how.limit, visit))
        if isinstance(how, Absorber):
            return (yield from self._absorbing(layers, visit))
        if shape in visit.swaps:
            return (yield from self._rewrapped(layers, visit))
        if isinstance(shape, Leaf):
            return self.leaf(shape, layers[0], visit, layers[0])
        plan = yield from self._inside(visit, visit.naming)
        return self._container(visit, layers[0], layers[0].call, within(plan), (plan,))

    def _rewrapped(self, layers: list[Wrapped], visit: Visit) -> Visiting:
        """Wrappers around a stage that gives way to another: they go around that one."""
        old = visit.shape
        self._tables.swapped.add(old)
        stub: Shape = Named(visit.swaps[old], old.label)
        for layer in reversed(layers):
            stub = Wrapped.of(stub, layer.how)
        naming = replace(visit.naming, keeps=False)
        source = yield visit.to(stub)._replace(naming=naming, swaps=_without(visit.swaps, old))
        if source is not None and visit.naming.keeps:
            self._tables.put(old, self._at(visit, source))
        return source

    def _absorbing(self, layers: list[Wrapped], visit: Visit) -> Visiting:
        """Wrappers that hide how what is inside went."""
        tables, level, naming = self._tables, visit.level, visit.naming
        tables.absorbs = True
        core = _function(visit.shape, visit.swaps)
        if core is None:
            plan = yield from self._inside(visit, naming)
            tables.hiding.add(plan.number)
            return self._container(visit, layers[0], layers[0].call, within(plan), (plan,))
        kept: list[Shape] = []
        for named in core.handles:
            kept += [named] if naming.keeps else []
            naming = _under(named, naming) if isinstance(named, Named) else naming
        slot = self.leaf(core.leaf, core.body, visit._replace(naming=naming), layers[0], call=layers[0].call)
        level.cores[slot] = core.body.call
        for shape in kept:
            tables.put(shape, Place(level.number, slot, naming.scope, inside=True))
        return slot

    def _inside(self, visit: Visit, naming: Naming, *, per_item: bool = False) -> Generator[Visit, Source | None, Plan]:
        """A plan of its own."""
        level = self._tables.level(visit.level, templated=per_item)
        output = yield visit._replace(level=level, source=INPUT, naming=naming, open=True)
        return self._tables.finish(level, output)

    def _container(self, visit: Visit, outer: Shape, call: Call, core: Call, plans: tuple[Plan, ...]) -> int:
        """A stage that only contains others."""
        level, naming = visit.level, visit.naming
        name = naming.full(visit.shape.label)
        if name in level.composites:
            self._tables.problem(say.duplicate_composite(filled(name, ())))
        level.composites.add(name)
        slot = level.add(name, None, call, visit.source, naming.scope, outer)
        level.cores[slot] = in_own_task(core) if level.depth % DEEP == DEEP - 1 else core
        level.inner[slot] = plans
        for plan in plans:
            self._tables.enclosing[plan.number] = (level.number, slot)
        return slot

    def _each(self, layers: list[Wrapped], limit: int | None, visit: Visit) -> Visiting:
        plan = yield from self._inside(visit, visit.naming.per_item(), per_item=True)
        self._tables.hiding.add(plan.number)
        slot = self._container(visit, layers[0], layers[0].call, each(plan, limit), (plan,))
        self._tables.named.setdefault(visit.level.names[slot], self._at(visit, slot))
        return slot

    def _routed(self, route: Routed, visit: Visit) -> Visiting:
        cases = route.cases.all() if route.cases else ()
        check_cases(self._tables, route, cases)
        selector = yield from self._inside(visit.to(route.selector), visit.naming)
        table: dict[object, Plan] = {}
        for case in cases:
            table[case.key] = yield from self._inside(visit.to(case.stage), visit.naming)
        others: tuple[Plan, ...] = ()
        if route.otherwise is not None:
            others = ((yield from self._inside(visit.to(route.otherwise), visit.naming)),)
        self._tables.hiding.update(plan.number for plan in (*table.values(), *others))
        core = routed(route.label, selector, table, others[0] if others else None)
        slot = self._container(visit, route, inside, core, (selector, *table.values(), *others))
        self._tables.put(route, self._at(visit, slot))
        return slot


class _Function(NamedTuple):
    leaf: Leaf
    body: Leaf | Wrapped
    handles: tuple[Wrapped | Named, ...]


def _function(shape: Shape, swaps: Swaps) -> _Function | None:
    """The function that a shape is, under names and in wrappers that hide nothing, with its handles; or None."""
    handles: list[Wrapped | Named] = []
    inner = shape
    while not isinstance(inner, Leaf):
        hides = isinstance(inner, Wrapped) and isinstance(inner.how, Absorber | Each)
        if inner in swaps or hides or not isinstance(inner, Wrapped | Named):
            return None
        handles.append(inner)
        inner = inner.inner
    if inner in swaps:
        return None
    wrappers = [handle for handle in handles if isinstance(handle, Wrapped)]
    return _Function(inner, wrappers[0] if wrappers else inner, tuple(handles))


def _under(named: Named, naming: Naming) -> Naming:
    """How what has a name of its own is called: by the outermost."""
    rename = named.name if naming.rename is None else naming.rename
    return replace(naming, rename=rename, kind=naming.kind or named.kind, keeps=naming.keeps and named.keeps)


def _without(swaps: Swaps, shape: Shape) -> Swaps:
    return {old: new for old, new in swaps.items() if old is not shape}
