"""Configuration for stages: typed reads of a mapping or of the environment, with errors that name the source."""

from __future__ import annotations

from stageflow.config.providers import ChainConfig, EnvironmentConfig, MappingConfig, SourcedConfig
from stageflow.config.reading import ConfigError, read

__all__ = ["ChainConfig", "ConfigError", "EnvironmentConfig", "MappingConfig", "SourcedConfig", "read"]
