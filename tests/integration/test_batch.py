"""The example `examples.batch`: the same pairs in this process, on processes, and on a Dask cluster."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.batch import __main__ as batch
from examples.batch.pipeline import likenesses
from examples.batch.signing import sign
from examples.batch.words import Alike, NoFolderError, Text
from stageflow import Completed, Failed, lift
from tests.engines.conftest import Cluster

ROOT = Path(__file__).parents[2]
PAGE = """\
4 texts, 3 pairs nearly the same
100%  copy.txt  original.txt
 83%  changed/ten_words.txt  copy.txt
 83%  changed/ten_words.txt  original.txt
left out: note.txt: It has 2 words, and 3 are compared.
left out: picture.bin: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of which some are nearly the same, and files that are none."""
    chance = random.Random(7)
    words = [f"word{chance.randrange(10_000)}" for _ in range(400)]
    other = [f"other{chance.randrange(10_000)}" for _ in range(400)]
    made = tmp_path_factory.mktemp("texts")
    (made / "changed").mkdir()
    texts = {"original.txt": words, "copy.txt": words, "other.txt": other, "note.txt": ["so", "short"]}
    texts["changed/ten_words.txt"] = ["another" if place % 40 == 7 else word for place, word in enumerate(words)]
    for name, text in texts.items():
        (made / name).write_text(" ".join(text), encoding="utf-8")
    (made / "picture.bin").write_bytes(b"\xff\xd8")
    return made


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "examples.batch", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """A Dask cluster that exists already."""
    made = Cluster(tmp_path)
    made.worker()
    yield made.address
    made.close()


def test_it_finds_what_is_nearly_the_same_and_says_what_it_left_out(folder) -> None:
    said = command(folder)
    assert (said.returncode, said.stdout) == (0, PAGE), said.stderr


def test_on_processes_it_finds_the_same(folder) -> None:
    said = command(folder, "--engine", "processes", "--workers", 2)
    assert (said.returncode, said.stdout) == (0, PAGE), said.stderr


def test_on_a_dask_cluster_of_its_own_it_finds_the_same(folder) -> None:
    pytest.importorskip("distributed")
    said = command(folder, "--engine", "dask", "--workers", 2)
    assert (said.returncode, said.stdout) == (0, PAGE), said.stderr


def test_on_a_dask_cluster_that_exists_it_finds_the_same(folder, scheduler) -> None:
    said = command(folder, "--engine", "dask", "--scheduler", scheduler)
    assert (said.returncode, said.stdout) == (0, PAGE), said.stderr


def test_a_path_that_is_no_folder_is_refused(folder, capsys) -> None:
    assert batch.main([str(folder / "original.txt")]) == 1
    assert capsys.readouterr().err == f"batch: {folder / 'original.txt'} is no folder.\n"


async def test_the_outcome_has_the_errors_types(tmp_path) -> None:
    outcome = await likenesses.run(tmp_path / "nowhere")
    assert isinstance(outcome, Failed)
    assert outcome.error == NoFolderError(f"{tmp_path / 'nowhere'} is no folder.")


async def test_texts_that_cannot_be_signed_are_left_out_and_named(folder) -> None:
    @lift
    def broken(text: Text) -> int:
        raise ZeroDivisionError(text.shown)

    outcome = await likenesses.replacing(sign).by(broken).run(folder)  # type: ignore[arg-type]
    assert isinstance(outcome, Completed)
    assert outcome.value.texts == 0
    assert [what for what in outcome.value.left_out if "ZeroDivisionError" in what]


async def test_likeness_is_a_part_of_what_two_texts_share(folder) -> None:
    outcome = await likenesses.run(folder)
    assert isinstance(outcome, Completed)
    assert outcome.value.pairs[0] == Alike("copy.txt", "original.txt", 1.0)
    shared = (398 - 30) / (398 + 30)  # of the groups of three words, each changed word is in three
    assert [pair.likeness for pair in outcome.value.pairs[1:]] == [pytest.approx(shared, abs=0.1)] * 2
