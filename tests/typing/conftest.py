"""The files of this folder are only type-checked: pytest collects none but its tests."""

from __future__ import annotations

from pathlib import Path

import pytest

collect_ignore = [file.name for file in Path(__file__).parent.glob("*.py") if not file.name.startswith("test_")]


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known by which a run on another Python leaves the checkers out."""
    config.addinivalue_line("markers", "checkers: runs mypy or pyright; once is enough, whatever the Python")
