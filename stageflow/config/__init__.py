"""Configuration for stages: typed reads of a mapping or of the environment."""
