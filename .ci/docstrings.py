"""Docstrings as the site shows them: examples and tables, which Markdown would take apart, stand in fences."""

from __future__ import annotations

import re

import griffe

EXAMPLE = re.compile(r"^(?P<indent> *)>>> .*\n(?:(?P=indent)\S.*(?:\n|$)|(?P=indent) .*(?:\n|$))*", re.MULTILINE)
RULE = r"=+ +=[= ]*"  # a line of a table, over, under its head and at its end
TABLE = re.compile(rf"^(?P<indent> *){RULE}\n(?:.+\n)*?(?P=indent){RULE}\n(?:.+\n)*?(?P=indent){RULE}$", re.MULTILINE)
LITERAL = re.compile(r"^(?P<before>.*)::$", re.MULTILINE)


def fenced(kind: str, match: re.Match[str]) -> str:
    """What was found, as a block of code."""
    indent = match["indent"]
    return f"{indent}```{kind}\n{match[0].rstrip()}\n{indent}```\n"


def as_markdown(text: str) -> str:
    """The docstring, with what is no Markdown in fences."""
    text = EXAMPLE.sub(lambda match: fenced("pycon", match), text + "\n")
    text = TABLE.sub(lambda match: fenced("text", match), text)
    return LITERAL.sub(lambda match: f"{match['before']}:" if match["before"].strip() else "", text)


class Docstrings(griffe.Extension):
    """Rewrites each docstring once, when its object was read."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Rewrites the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
