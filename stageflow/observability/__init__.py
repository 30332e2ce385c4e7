"""What an operator plugs in: ids for log lines, where measurements go, and trace context for other processes."""
