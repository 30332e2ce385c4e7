"""Composing stages and naming what was composed."""
