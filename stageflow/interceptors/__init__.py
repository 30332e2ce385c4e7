"""Wrapping stages without changing them."""
