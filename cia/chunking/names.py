"""What a definition is called, read off its node in whatever way its grammar keeps names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

LONGEST_NAME = 200
"""Bytes. What is longer is an expression, not a name."""

_NAME = re.compile(r"[\w$#~@!?=.]+")
_ARGUMENTS = re.compile(r"<[^<>]*>|\[[^\[\]]*\]")
_SEPARATOR = re.compile(r"::|->|[:\\]")
_EXPORTED = re.compile(r"^(?:module\.exports|exports|this|window|globalThis)\.(?=.)")
_RECEIVER = re.compile(r"(\w+)\s*(?:\[[^\]]*\])?\s*\)$")
_QUOTES = "'\"`"
_NAME_TYPES = frozenset(
    {"identifier", "simple_identifier", "type_identifier", "constant", "name", "word", "property_identifier"}
    | {"object_reference", "message_name", "service_name", "enum_name", "rpc_name", "variable_declaration"}
)
_NAMELESS = {
    "secondary_constructor": "constructor",
    "init_declaration": "init",
    "deinit_declaration": "deinit",
    "companion_object": "Companion",
    "operator_declaration": "operator",
    "conversion_operator_declaration": "operator",
    "indexer_declaration": "this",
    "subscript_declaration": "subscript",
}


def name_of(node: Node, source: bytes) -> str:
    """Return the name that a definition's node gives it, with dots (``Class.method`` of C++ and Go), or "" if it has none."""
    name = node.child_by_field_name("name")
    if name is None:
        name = _unmarked_name(node)
        if name is None:
            return _NAMELESS.get(node.type, "")
    text = source[name.start_byte : name.end_byte].decode("utf-8", "replace")
    if not text.isidentifier():
        text = clean_name(text_of(name, source))
    if node.type == "method_declaration" and (receiver := node.child_by_field_name("receiver")) is not None:
        owner = _RECEIVER.search(text_of(receiver, source))
        return f"{owner[1]}.{text}" if owner else text
    return f"~{text}" if node.type == "destructor_declaration" else text


def _unmarked_name(node: Node) -> Node | None:
    """The name of a node whose grammar has no field for it."""
    if node.type == "impl_item":
        return node.child_by_field_name("type")
    declarator = node.child_by_field_name("declarator")
    if declarator is not None:
        return _declared(declarator)
    if node.type in _NAMELESS:
        return None
    name = next((child for child in node.named_children if child.type in _NAME_TYPES), None)
    return name.named_child(0) if name is not None and name.type == "variable_declaration" else name


def clean_name(text: str) -> str:
    """Return ``ns::Type<T>::method`` as ``ns.Type.method``; "" if the text is not a name."""
    if text.isidentifier():
        return text
    if text[:1] in _QUOTES and not any(map(str.isspace, text)):
        return text.strip(_QUOTES)
    if "operator" in text:
        return _SEPARATOR.sub(".", " ".join(text.partition("(")[0].split())) if "()" not in text else "operator()"
    for _ in range(3):
        text = _ARGUMENTS.sub("", text)
    text = _SEPARATOR.sub(".", text).replace(" ", "").replace("\n", "").lstrip("&*.")
    text = _EXPORTED.sub("", text).replace(".prototype.", ".")
    return text if _NAME.fullmatch(text) else ""


def text_of(node: Node | None, source: bytes) -> str:
    """Return the source text of a node that holds a name; "" for none or a text too long to be one."""
    if node is None or node.end_byte - node.start_byte > LONGEST_NAME:
        return ""
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def _declared(declarator: Node) -> Node:
    """The name within a C declarator such as ``*(*name(int))[3]``."""
    while True:
        inner = declarator.child_by_field_name("declarator")
        if inner is None and declarator.type in ("reference_declarator", "parenthesized_declarator"):
            inner = next(reversed(declarator.named_children), None)
        if inner is None:
            return declarator
        declarator = inner
