"""Telling the outside what happens."""
