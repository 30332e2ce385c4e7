"""Every engine that ships is held to the public conformance suite, on real workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from stageflow.engines import Engine
from stageflow.testing.corpus import GRAPHS
from stageflow.testing.engines import (
    check_errors,
    check_graph,
    check_interruption,
    check_losses,
    check_travelling,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("graph", GRAPHS)
async def test_a_graph_of_the_corpus_goes_as_without_an_engine(engine: Engine, graph: str) -> None:
    await check_graph(engine, graph)


async def test_what_goes_wrong_is_the_same_typed_failure(engine: Engine) -> None:
    await check_errors(engine)


async def test_what_cannot_travel_is_refused_before_the_run(engine: Engine) -> None:
    await check_travelling(engine)


async def test_a_cancelled_body_is_interrupted(engine: Engine, tmp_path: Path) -> None:
    await check_interruption(engine, tmp_path)


async def test_lost_workers_are_survived(engine: Engine, tmp_path: Path) -> None:
    await check_losses(engine, tmp_path)
