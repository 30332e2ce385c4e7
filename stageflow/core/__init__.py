"""The words for one stage."""
