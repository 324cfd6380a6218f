"""The documentation of a definition, freed of the marks that make it a comment or a string."""

from __future__ import annotations

import re

_OPENING = ("/**", "/*!", "/*", "///", "//!", "//", "--[[", "---", "--", "*/", "*")
_NOT_SAID = re.compile(
    r"#!?\[|@[\w.]+\s*(?:\(.*\))?\s*$|#!|//go:|//nolint|//\s?(?:eslint|@ts-)|/\*\s?eslint|#\s?(?:rubocop|noqa|type:|pylint|shellcheck)"
)
_REFERENCE = re.compile(
    r"<(?:see|paramref|typeparamref)\s+\w+=\"(?:[A-Z]:)?([^\"<>]*)\"\s*/?>|\{@(?:link|code|linkplain)\s+([^{}]*)\}"
)
_TAG = re.compile(
    r"</?(?:summary|remarks|returns|value|para|example|c|code|p|b|i|em|strong|pre|ul|ol|li|br|tt|param|exception)\b[^<>]*>"
)
_QUOTES = re.compile(r"[rRuUbBfF]{0,2}(\"\"\"|'''|\"|')")


def from_comment(text: str) -> str:
    """Return what comment lines say: Javadoc, ``///``, ``#`` and their like; attributes and linter directives are left out."""
    said = []
    for line in text.split("\n"):
        line = line.strip()
        if _NOT_SAID.match(line):
            continue
        if line.startswith("#"):
            line = line.lstrip("#")
        else:
            mark = next((mark for mark in _OPENING if line.startswith(mark)), "")
            line = line[len(mark) :].removesuffix("*/")
        said.append(line[1:].rstrip() if line[:1] in (" ", "\t") else line.rstrip())
    text = "\n".join(said).strip()
    if "{@" in text or "<" in text:
        text = _TAG.sub("", _REFERENCE.sub(r"\1\2", text)).strip()
    return text


def from_string(literal: str) -> str:
    """Return the value of a Python docstring literal, unindented as ``inspect.cleandoc`` does; escapes stay as written."""
    quotes = _QUOTES.match(literal)
    if quotes is None:
        return ""
    body = literal[quotes.end() :].removesuffix(quotes[1])
    first, newline, rest = body.partition("\n")
    if not newline:
        return body.strip()
    lines = (rest.expandtabs() if "\t" in rest else rest).split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in lines if line and not line.isspace()), default=0)
    return "\n".join([first.strip(), *[line[margin:].rstrip() for line in lines]]).strip()
