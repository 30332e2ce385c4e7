"""Values and errors as bytes and back: by their declared type, as JSON, never as a pickle. Needs msgspec."""

from __future__ import annotations

try:
    import msgspec as _  # noqa: F401  (only whether it is there)
except ModuleNotFoundError as _absent:
    raise ImportError("stageflow.codec needs msgspec: pip install 'stageflow[sqlite]'", name="msgspec") from _absent

from stageflow.codec.codec import Codec
from stageflow.codec.declared import Declared, declared
from stageflow.codec.failures import OriginalError
from stageflow.codec.hooks import AnyTypeHook, TypeHook

__all__ = ["AnyTypeHook", "Codec", "Declared", "OriginalError", "TypeHook", "declared"]
