"""What reads the diagrams that tests make: Mermaid's own parser, and Graphviz. `.ci/diagrams` installs both."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from xml.etree.ElementTree import Element, fromstring

FOLDER = Path(__file__).parents[1] / ".ci" / "mermaid"
SVG = "{http://www.w3.org/2000/svg}"
INSTALL = "Run .ci/diagrams, which installs it."


@dataclass(frozen=True, slots=True)
class MermaidGraph:
    """What Mermaid reads: the labels of its boxes as a page shows them, and how much else there is."""

    labels: tuple[str, ...]
    edges: int
    clusters: int


class MermaidParser:
    """Mermaid's parser in a process of its own, started once."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @staticmethod
    def installed() -> MermaidParser | None:
        node = shutil.which("node")
        if node is None or not (FOLDER / "node_modules" / "mermaid").exists():
            return None
        command = [node, str(FOLDER / "parse.mjs")]
        pipe = subprocess.PIPE
        return MermaidParser(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, encoding="utf-8"))

    def read(self, text: str) -> MermaidGraph:
        """What the text is; fails where it is no diagram."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline())
        assert "error" not in found, f"{found['error']}\n{text}"
        return MermaidGraph(tuple(map(_shown, found["labels"])), found["edges"], found["clusters"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def _shown(label: str) -> str:
    """A label as a page shows it: Mermaid keeps entities in a form of its own until it draws."""
    lines = re.split(r"<br\s*/?>", label.replace("ﬂ°°", "&#").replace("¶ß", ";"))
    assert not [line for line in lines if "<" in line], "nothing that a name brings along is a tag"
    return "\n".join(html.unescape(line) for line in lines)


@dataclass(frozen=True, slots=True)
class DotGraph:
    """What Graphviz reads: the labels of its boxes, and how much else there is."""

    labels: tuple[str, ...]
    edges: int
    clusters: int


def read_dot(text: str) -> DotGraph:
    """What the text is, as Graphviz draws it; fails where it is no graph."""
    ran = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    found: dict[str, list[Element]] = {"node": [], "edge": [], "cluster": []}
    for group in fromstring(ran.stdout).iter(f"{SVG}g"):
        if group.get("class") in found:
            found[group.get("class", "")].append(group)
    names = ["input", *[f"n{at}" for at in range(len(found["node"]) - 2)], "output"]
    by_name = {group.findtext(f"{SVG}title"): _texts(group) for group in found["node"]}
    return DotGraph(tuple([by_name[name] for name in names]), len(found["edge"]), len(found["cluster"]))


def _texts(group: Element) -> str:
    return "\n".join((line.text or "").replace("\xa0", " ") for line in group.iter(f"{SVG}text"))
