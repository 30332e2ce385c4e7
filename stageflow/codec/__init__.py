"""Values and errors as bytes and back: by their declared type, as JSON, never as a pickle. Needs msgspec."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("msgspec") is None:
    raise ImportError("stageflow.codec needs msgspec: pip install 'stageflow[sqlite]'", name="msgspec")

from stageflow.codec.codec import Codec
from stageflow.codec.declared import Declared, declared
from stageflow.codec.failures import OriginalError
from stageflow.codec.hooks import AnyTypeHook, TypeHook

__all__ = ["AnyTypeHook", "Codec", "Declared", "OriginalError", "TypeHook", "declared"]
