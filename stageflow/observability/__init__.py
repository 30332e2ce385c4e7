"""What an operator plugs in: typed events, ids for log lines, where measurements go, and traces across processes."""
