"""What all files together come to: the import graph, the figures and the findings, each a stage on the same results."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter

from examples.survey.words import Count, Edge, Finding, ImportGraph, Lines, Module, Summary, Surveyed
from stageflow import lift

TOP = 5  # how many of the largest, and of the most imported


@lift
def import_graph(surveyed: Sequence[Surveyed]) -> ImportGraph:
    """Who imports whom."""
    modules = _modules(surveyed)
    known = frozenset(module.file.module for module in modules)
    edges = sorted({edge for module in modules for edge in _edges(module, known)})
    outside = Counter(package for module in modules for package in _outside(module, known))
    most = Counter(edge.imported for edge in edges)
    return ImportGraph(tuple(edges), _top(most, TOP), _top(outside), _cycle(edges))


@lift
def summary(surveyed: Sequence[Surveyed]) -> Summary:
    """The figures."""
    modules = _modules(surveyed)
    found = [module.lines for module in modules]
    total = Lines(sum(of.code for of in found), sum(of.comments for of in found), sum(of.blank for of in found))
    return Summary(len(surveyed), total, _top({module.file.module: module.lines.code for module in modules}, TOP))


@lift
def findings(surveyed: Sequence[Surveyed]) -> tuple[Finding, ...]:
    """The files that the survey could make nothing of."""
    return tuple(item for item in surveyed if isinstance(item, Finding))


def _modules(surveyed: Iterable[Surveyed]) -> list[Module]:
    return [item for item in surveyed if isinstance(item, Module)]


def _edges(module: Module, known: frozenset[str]) -> set[Edge]:
    imported = {_nearest(name, known) for name in module.imports} - {"", module.file.module}
    return {Edge(module.file.module, name) for name in imported}


def _outside(module: Module, known: frozenset[str]) -> set[str]:
    top = {name.partition(".")[0] for name in module.imports if not _nearest(name, known)}
    return top - sys.stdlib_module_names


def _nearest(name: str, known: frozenset[str]) -> str:
    """The surveyed module that a name is or is in: ``a.b`` for ``a.b.Class``; empty where none is."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def _cycle(edges: Iterable[Edge]) -> tuple[str, ...]:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for edge in edges:
        sorter.add(edge.imported, edge.importer)
    try:
        sorter.prepare()
    except CycleError as error:
        ring: list[str] = error.args[1]
        return tuple(ring)
    return ()


def _top(counts: dict[str, int], most: int | None = None) -> tuple[Count, ...]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Count(name, count) for name, count in ranked[:most])
