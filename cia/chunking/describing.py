"""What a definition says about itself: header, documentation, base classes, and the name of a lone constant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cia.chunking.definitions import Definition
from cia.chunking.documentation import from_comment, from_string
from cia.chunking.languages import Grammar

if TYPE_CHECKING:
    from tree_sitter import Node

SIGNATURE_CHARACTERS = 1000
"""A longer header is cut; what follows is more of its parameters."""

_HASH_COMMENT = re.compile(r"[ \t]+#[^\n'\"]*$", re.MULTILINE)
_ANNOTATIONS = re.compile(r"(?:(?:@[\w.]+(?:\([^()]*\))?|#?\[[^\[\]]*\]|\[\[[^\[\]]*\]\])\s+)+(?=\S)")
_ANNOTATION_OPENS = ("@", "[", "#")
_PARENT = re.compile(r"(?<![\w.])[A-Za-z_$][\w$]*(?:(?:\.|::|\\)[\w$]+)*")
_NOT_A_PARENT = frozenset(
    {"extends", "implements", "with", "public", "private", "protected", "virtual", "for", "where", "class", "struct", "new"}
)
_BRACKETS = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\([^()]*\)")
_CONSTANT = re.compile(
    r"(?:const|var|val|let|#\s*define)\s+(?:mut\s+)?([A-Za-z_$][\w$]*)|.*?([A-Za-z_$][\w$.]*)(?:\[[^\]]*\])?\s*$"
)


def signature_of(definition: Definition, source: bytes) -> str:
    """Return the header of a definition on one line, without its body, annotations and comments."""
    node, start = definition.node, definition.header
    body = node.child_by_field_name("body")
    end = body.start_byte if body is not None else node.end_byte
    header = source[start : min(end, start + 4 * SIGNATURE_CHARACTERS)].decode("utf-8", "ignore")
    if body is None:
        header = header.partition("{" if "{" in header else "\n")[0]
    if "#" in header:
        header = _HASH_COMMENT.sub("", header)
    header = " ".join(header.split())[:SIGNATURE_CHARACTERS]
    if header[:1] in _ANNOTATION_OPENS:
        header = _ANNOTATIONS.sub("", header)
    return header.removesuffix("=>").rstrip(" {:=;").removesuffix(" (")


def docstring_of(definition: Definition, grammar: Grammar, source: bytes) -> str:
    """Return a definition's documentation: the docstring in it or the comment attached to it; "" if there is none."""
    if grammar.docstrings:
        return _string_in(definition.node.child_by_field_name("body") or definition.node, source)
    start, end = definition.comment
    return from_comment(source[start:end].decode("utf-8", "replace")) if end else ""


def _string_in(body: Node, source: bytes) -> str:
    for statement in body.named_children:
        inner = (
            statement.named_child(0) if statement.type == "expression_statement" and statement.named_child_count else statement
        )
        if inner.type == "string":
            return from_string(source[inner.start_byte : inner.end_byte].decode("utf-8", "replace"))
        if inner.type != "comment":
            break
    return ""


def parents_of(definition: Definition, grammar: Grammar, source: bytes) -> tuple[str, ...]:
    """Return the base classes, interfaces, traits and embedded types that a class names, without their type arguments."""
    names: list[str] = []
    for field_name in grammar.heritage_fields:
        if (part := definition.node.child_by_field_name(field_name)) is not None:
            names += _parents_in(source[part.start_byte : part.end_byte])
    for part in _embedded(definition.node, grammar):
        names += _parents_in(source[part.start_byte : part.end_byte])
    if grammar.heritage:
        for part in definition.node.named_children:
            if part.type in grammar.heritage:
                names += _parents_in(source[part.start_byte : part.end_byte])
    return tuple(dict.fromkeys(names))


def _embedded(node: Node, grammar: Grammar) -> list[Node]:
    """The fields of a Go struct or interface that have a type but no name."""
    body = node.child_by_field_name("type") if grammar.embedded else None
    rows = [row for part in (body.named_children if body else ()) for row in (part, *part.named_children)]
    return [row for row in rows if row.type in grammar.embedded and row.child_by_field_name("name") is None]


def _parents_in(heritage: bytes) -> list[str]:
    text = heritage[:2000].decode("utf-8", "ignore")
    text = text[1:].removesuffix(")") if text.startswith("(") else text
    for _ in range(4):
        text = _BRACKETS.sub("", text)
    pieces = [piece for piece in text.split(",") if "=" not in piece]
    return [name for piece in pieces for name in _PARENT.findall(piece) if name not in _NOT_A_PARENT]


def constant_in(statement: Node | None, lines: Sequence[str]) -> str:
    """Return the name to which a lone statement of module code gives a value; "" if it does something else."""
    if statement is None:
        return ""
    row, column = statement.start_point
    line = lines[row][column : column + 300]
    if line.startswith("#"):
        target = line if "define" in line[:12] else ""
    else:
        target, equals, value = line.partition("=")
        if not equals or value.startswith("=") or any(mark in target for mark in "({,;"):
            return ""
        target = target.rstrip("+|?:- ").partition(":")[0].strip()
    match = _CONSTANT.match(target)
    name = (match[1] or match[2] or "") if match else ""
    return "" if name == "module.exports" else name.removeprefix("module.exports.").removeprefix("exports.")
