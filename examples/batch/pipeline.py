"""The batch: what reads stays here, what computes goes to workers, and one bad file is not the end of it."""

from __future__ import annotations

from pathlib import Path

from examples.batch.files import discover, read
from examples.batch.pairing import pair
from examples.batch.signing import sign
from examples.batch.words import Likenesses, NoFolderError
from stageflow import Pipeline

AT_ONCE = 32  # files that are in memory at a time

likenesses: Pipeline[Path, Likenesses, NoFolderError] = discover | (read | sign).settled().each(limit=AT_ONCE) | pair
