"""The application's one configured object, and the runs it starts."""
