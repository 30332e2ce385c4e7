"""A real OTLP receiver in another process, and what it got."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RECEIVER = Path(__file__).with_name("otlp_receiver.py")


@contextmanager
def receiving() -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A receiver in another process, and its port."""
    process = subprocess.Popen(
        [sys.executable, str(RECEIVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process
        finally:
            process.kill()


def requests_to(process: subprocess.Popen[str]) -> tuple[list[dict[str, list[dict[str, object]]]], str]:
    """Every request that the receiver got, once it has ended; and all it printed."""
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return [json.loads(line) for line in out.splitlines()], out


def spans_in(requests: list[dict[str, list[dict[str, object]]]]) -> list[dict[str, object]]:
    """The spans of the requests, each with the attributes of the service that it came from."""
    return [
        {**span, "service": group["resource"]["attributes"]}
        for request in requests
        for group in request.get("resourceSpans", [])
        for scope in group["scopeSpans"]
        for span in scope["spans"]
    ]


def metrics_in(requests: list[dict[str, list[dict[str, object]]]]) -> dict[str, dict[str, object]]:
    """The metrics of the requests, by name."""
    return {
        metric["name"]: metric
        for request in requests
        for group in request.get("resourceMetrics", [])
        for scope in group["scopeMetrics"]
        for metric in scope["metrics"]
    }
