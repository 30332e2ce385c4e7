"""Finds texts that are nearly the same: a batch that computes, here, on processes or on a Dask cluster.

Run it as ``python -m examples.batch FOLDER --engine processes``. Read it from `pipeline`.
"""
