"""Views of pipelines and runs, for people who look."""
