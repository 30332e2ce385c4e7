"""The version, as it was installed: pyproject.toml alone says what it is."""

from importlib.metadata import version

__version__ = version("stageflow")
