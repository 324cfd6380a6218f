"""Finds the definitions of a file: one walk over its syntax tree that enters only what can hold definitions.

The walk keeps its own stack, so nesting as deep as a machine can write it does not exhaust Python's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from cia.chunking.chunk import Kind
from cia.chunking.languages import Grammar

if TYPE_CHECKING:
    from tree_sitter import Node

ROOMY_LINES = 4
"""Properties, prototypes and local closures with at least this many lines are definitions of their own."""

_NAME = re.compile(r"[\w$#~@!?=.]+")
_GENERIC = re.compile(r"<[^<>]*>|\[[^\[\]]*\]")
_SEPARATOR = re.compile(r"::|->|[:\\]")
_EXPORTED = re.compile(r"^(?:module\.exports|exports|this|window|globalThis)\.(?=.)")
_NAME_TYPES = frozenset({"identifier", "simple_identifier", "type_identifier", "constant", "name", "word", "property_identifier"})


@dataclass(slots=True)
class Definition:
    """A definition, or the whole file at the root of the tree of them. Rows count from 0 and include the last.

    ``first`` is the row of its decorators or the comment attached to it; ``node`` the defining node itself;
    ``comment`` the bytes of the comments and attributes above it. ``members`` are the definitions found in it;
    ``statements`` the rows and nodes of other code directly in it (of modules only).
    """

    kind: Kind
    symbol: str
    scope: str
    first: int
    last: int
    node: Node
    comment: tuple[int, int] = (0, 0)
    members: list[Definition] = field(default_factory=list)
    statements: list[tuple[int, int, Node]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Visit:
    """A node whose children are to be looked at, on behalf of the definition that owns them."""

    node: Node
    owner: Definition
    prefix: str
    namespace: str
    comment: tuple[int, int, int]
    local: bool


NO_COMMENT = (-1, -1, 0)
"""First row, row below, first byte of the comments that end where the walk is."""


class DefinitionFinder:
    """Walks the trees of one grammar. ``max_lines``: longer functions and statements are searched for inner definitions."""

    def __init__(self, grammar: Grammar, source: bytes, max_lines: int) -> None:
        self.grammar = grammar
        self.source = source
        self.max_lines = max_lines
        self.roles = _roles(grammar)
        self.values = {name: (name_field, value_field) for name, name_field, value_field in grammar.bindings}
        self._pending: list[_Visit] = []

    def find(self, root: Node) -> Definition:
        """Return the file as a definition of kind ``module``, its definitions as ``members``, each list in file order."""
        module = Definition("module", "", "", 0, _last_row(root), root)
        self._pending = [_Visit(root, module, "", "", NO_COMMENT, False)]
        owners = [module]
        while self._pending:
            visit = self._pending.pop()
            self._look_at_children(visit)
            if visit.owner is not owners[-1]:
                owners.append(visit.owner)
        for owner in owners:
            owner.members.sort(key=lambda member: (member.first, member.last))
            owner.statements.sort(key=lambda statement: statement[0])
        return module

    def _look_at_children(self, visit: _Visit) -> None:
        owner, roles = visit.owner, self.roles
        comment_row, row_below, comment_byte = visit.comment
        namespace = visit.namespace
        previous_row = -1
        keep_statements = owner.kind == "module"
        for node in visit.node.named_children:
            role = roles.get(node.type)
            first = node.start_point[0]
            if role == "attached":
                if first != row_below:
                    comment_row, comment_byte = first, node.start_byte
                if first == previous_row:
                    comment_row = -1
                row_below = _last_row(node) + 1
                if keep_statements:
                    owner.statements.append((first, row_below - 1, node))
                continue
            comment = (comment_row, row_below, comment_byte) if comment_row >= 0 and row_below == first else NO_COMMENT
            comment_row = row_below = -1
            last = previous_row = _last_row(node)
            if role == "transparent":
                self._enter(node, visit, namespace, comment)
            elif role == "namespace":
                name = self._name(node)
                inner = f"{namespace}.{name}" if namespace else name
                if node.child_by_field_name("body") is None and not self.grammar.transparent & {c.type for c in node.children}:
                    namespace = inner
                self._enter(node, visit, inner, NO_COMMENT)
            elif role is None or not self._define(node, role, visit, namespace, first, last, comment):
                if keep_statements:
                    owner.statements.append((first, last, node))
                if last - first >= (ROOMY_LINES if visit.local else self.max_lines):
                    self._enter(node, visit, namespace, NO_COMMENT, local=True)

    def _enter(self, node: Node, visit: _Visit, namespace: str, comment: tuple[int, int, int], local: bool | None = None) -> None:
        is_local = visit.local if local is None else local
        self._pending.append(_Visit(node, visit.owner, visit.prefix, namespace, comment, is_local))

    def _define(
        self, node: Node, role: str, visit: _Visit, namespace: str, first: int, last: int, comment: tuple[int, int, int]
    ) -> bool:
        """Record the definition that ``node`` is or wraps; False if it is none."""
        found = self._resolve(node, role)
        if found is None:
            if role == "wrapper" and self._wraps_several(node):
                self._enter(node, visit, namespace, comment)
                return True
            return False
        kind, name, inner, is_roomy = found
        top = comment[0] if comment[0] >= 0 else first
        if (is_roomy or (visit.local and role in ("wrapper", "binding"))) and last - top + 1 < ROOMY_LINES:
            return False
        symbol = f"{visit.prefix}.{name}" if visit.prefix and name else name or visit.prefix
        outer = symbol.rpartition(".")[0]
        scope = f"{namespace}.{outer}" if namespace and outer else namespace or outer
        span = (comment[2], node.start_byte) if comment[0] >= 0 else (0, 0)
        definition = Definition(kind, symbol, scope, top, last, inner, span)
        visit.owner.members.append(definition)
        if kind != "function":
            self._pending.append(_Visit(inner, definition, symbol, namespace, NO_COMMENT, False))
        elif last - first >= self.max_lines:
            self._pending.append(_Visit(inner, definition, symbol, namespace, NO_COMMENT, True))
        return True

    def _resolve(self, node: Node, role: str) -> tuple[Kind, str, Node, bool] | None:
        """Return kind, name, defining node and roominess of what ``node`` defines, through any wrappers around it."""
        outermost = node
        while role == "wrapper":
            inner = [(child, r) for child in node.named_children if (r := self.roles.get(child.type)) in _DEFINING]
            if len(inner) != 1:
                value = outermost.child_by_field_name("value")
                if value is not None and value.type in self.grammar.object_values and self._has_functions(value):
                    return "module", "default", value, False
                return None
            node, role = inner[0]
        if role == "binding":
            return self._bound(node)
        if role == "class":
            return self._class(node, outermost)
        if role == "roomy":
            declared = node.child_by_field_name("type")
            if declared is not None and self.roles.get(declared.type) == "class" and declared.child_by_field_name("body"):
                return self._class(declared, node)
            if node.type.endswith("declaration") and self.grammar.name in ("c", "cpp") and not _declares_function(node):
                return None
            return "function", self._name(node), node, True
        return "function", self._name(node), node, False

    def _class(self, node: Node, outermost: Node) -> tuple[Kind, str, Node, bool] | None:
        if self.grammar.name in ("c", "cpp") and node.child_by_field_name("body") is None:
            return None
        name = self._name(node)
        if not name:
            declarator = outermost.child_by_field_name("declarator")
            name = self._text(declarator) if declarator is not None else ""
        return "class", name, node, False

    def _bound(self, node: Node) -> tuple[Kind, str, Node, bool] | None:
        name_field, value_field = self.values[node.type]
        value, target = node.child_by_field_name(value_field), node.child_by_field_name(name_field)
        if value is None or target is None:
            return None
        if value.type in ("as_expression", "satisfies_expression", "parenthesized_expression") and value.named_children:
            value = value.named_children[0]
        name = _clean_name(self._text(target))
        if not name:
            return None
        if value.type in self.grammar.function_values:
            return "function", name, value, False
        if value.type in self.grammar.class_values:
            return "class", name, value, False
        if value.type in self.grammar.object_values and self._has_functions(value):
            return "module", name, value, False
        if value.type == "call_expression":
            arguments = value.child_by_field_name("arguments")
            if arguments is not None and any(c.type in self.grammar.function_values for c in arguments.named_children):
                return "function", name, node, True
        return None

    def _has_functions(self, value: Node) -> bool:
        if value.end_point[0] - value.start_point[0] < ROOMY_LINES:
            return False
        for child in value.named_children:
            if child.type in self.grammar.functions:
                return True
            if child.type in self.values:
                inner = child.child_by_field_name(self.values[child.type][1])
                if inner is not None and inner.type in self.grammar.function_values:
                    return True
        return False

    def _wraps_several(self, node: Node) -> bool:
        return sum(self.roles.get(child.type) in _DEFINING for child in node.named_children) > 1

    def _name(self, node: Node) -> str:
        if self.grammar.name == "rust" and node.type == "impl_item":
            return _clean_name(self._text(node.child_by_field_name("type")))
        name = node.child_by_field_name("name")
        if name is None and (declarator := node.child_by_field_name("declarator")) is not None:
            name = _declared(declarator)
        if name is None:
            name = next((child for child in node.named_children if child.type in _NAME_TYPES), None)
        text = _clean_name(self._text(name)) if name is not None else _NAMELESS.get(node.type, "")
        receiver = node.child_by_field_name("receiver") if self.grammar.name == "go" else None
        if receiver is not None:
            owner = re.search(r"(\w+)\s*(?:\[[^\]]*\])?\s*\)$", self._text(receiver))
            text = f"{owner[1]}.{text}" if owner else text
        return text

    def _text(self, node: Node | None) -> str:
        return "" if node is None else self.source[node.start_byte : node.end_byte].decode("utf-8", "replace")


_DEFINING = frozenset({"function", "class", "roomy", "wrapper", "binding"})
_NAMELESS = {
    "constructor": "constructor",
    "secondary_constructor": "constructor",
    "init_declaration": "init",
    "deinit_declaration": "deinit",
    "companion_object": "Companion",
    "operator_declaration": "operator",
    "indexer_declaration": "this",
    "subscript_declaration": "subscript",
}


@lru_cache
def _roles(grammar: Grammar) -> dict[str, str]:
    roles: dict[str, str] = {"ERROR": "transparent"}
    for role, types in (
        ("attached", grammar.attached),
        ("transparent", grammar.transparent),
        ("namespace", grammar.namespaces),
        ("wrapper", grammar.wrappers),
        ("binding", frozenset(name for name, _, _ in grammar.bindings)),
        ("roomy", grammar.roomy),
        ("class", grammar.classes),
        ("function", grammar.functions),
    ):
        roles.update(dict.fromkeys(types, role))
    return roles


def _last_row(node: Node) -> int:
    """The row a node ends on; one that ends with a line feed ends on the row before."""
    row, column = node.end_point
    return row - 1 if column == 0 and row > node.start_point[0] else row


def _declares_function(node: Node) -> bool:
    declarator = node.child_by_field_name("declarator")
    while declarator is not None and declarator.type != "function_declarator":
        declarator = declarator.child_by_field_name("declarator")
    return declarator is not None


def _declared(declarator: Node) -> Node:
    """The name within a C declarator such as ``*(*name(int))[3]``."""
    inner = declarator.child_by_field_name("declarator")
    while inner is not None:
        declarator = inner
        inner = declarator.child_by_field_name("declarator")
    if declarator.child_count and declarator.type in ("reference_declarator", "parenthesized_declarator"):
        return _declared(declarator.named_children[-1]) if declarator.named_children else declarator
    return declarator


def _clean_name(text: str) -> str:
    """``ns::Type<T>::method`` to ``ns.Type.method``; "" if the text is not a name."""
    text = text.strip("'\"`")
    if "operator" in text:
        return _SEPARATOR.sub(".", " ".join(text.split())) if len(text) < 80 else ""
    if not text.isidentifier():
        text = _SEPARATOR.sub(".", _GENERIC.sub("", _GENERIC.sub("", text))).replace(" ", "").lstrip("&*.")
        text = _EXPORTED.sub("", text).replace(".prototype.", ".")
    return text if _NAME.fullmatch(text) else ""
