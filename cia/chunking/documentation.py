"""The documentation of a definition, freed of the marks that make it a comment or a string."""

from __future__ import annotations

import re

_MARKS = re.compile(r"^[ \t]*(?:/\*[*!]*|\*+/|\*(?!/)|//[/!]*|#+|--+(?:\[\[)?)?[ \t]?(.*?)[ \t]*(?:\*+/)?[ \t]*$")
_ATTRIBUTE = re.compile(r"^[ \t]*(?:#!?\[.*|@[\w.]+(?:\(.*\))?[ \t]*)$")
_DIRECTIVE = re.compile(r"^[ \t]*(?://go:|//nolint|// ?eslint|/\* ?eslint|# ?(?:rubocop|noqa|type:|pylint|shellcheck)|#!)")
_QUOTES = re.compile(r"^[rRuUbBfF]{0,2}(\"\"\"|'''|\"|')")


def from_comment(text: str) -> str:
    """Return what comment lines say: Javadoc, ``///``, ``#`` and their like; attributes and linter directives are left out."""
    said = []
    for line in text.split("\n"):
        if _ATTRIBUTE.match(line) or _DIRECTIVE.match(line):
            continue
        match = _MARKS.match(line)
        said.append(match[1] if match else line)
    return "\n".join(said).strip()


def from_string(literal: str) -> str:
    """Return the value of a Python docstring literal, unindented as ``inspect.cleandoc`` does; escapes stay as written."""
    quotes = _QUOTES.match(literal)
    if quotes is None:
        return ""
    body = literal[quotes.end() :].removesuffix(quotes[1])
    first, newline, rest = body.partition("\n")
    if not newline:
        return body.strip()
    lines = rest.expandtabs().split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join([first.strip(), *(line[margin:].rstrip() for line in lines)]).strip()
