"""Surveys a folder of Python source: its lines, its import graph, and what in it does not parse.

Run it as ``python -m examples.survey PATH``. Read it from `pipeline`, which is the whole program on one screen.
"""
