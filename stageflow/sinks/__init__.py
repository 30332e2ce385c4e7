"""Where events go, beside the log: kept for a test, as JSON lines, through a bounded queue, to several sinks."""
