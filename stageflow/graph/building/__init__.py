"""Laying a pipeline out as a graph, and finding what is wrong with it."""
