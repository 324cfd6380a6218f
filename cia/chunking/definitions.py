"""Finds the definitions of a file: one walk over its syntax tree that enters only what can hold definitions.

The walk keeps its own stack, so nesting as deep as a machine can write it does not exhaust Python's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from cia.chunking.chunk import Kind
from cia.chunking.languages import Grammar
from cia.chunking.names import clean_name, name_of, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

ROOMY_LINES = 4
"""Properties, prototypes and local closures with at least this many lines are definitions of their own."""
DEEPEST_WRAPPING = 8
"""``export default async`` and their like nest a few levels; deeper is no wrapping of a definition."""

_DEFINING = frozenset({"function", "class", "roomy", "wrapper", "binding"})
_VALUE_WRAPPERS = frozenset({"as_expression", "satisfies_expression", "parenthesized_expression"})


@dataclass(slots=True)
class Definition:
    """A definition, or the whole file at the root of the tree of them. Rows count from 0 and include the last.

    ``first`` is the row of its decorators or of the comment attached to it; ``node`` the defining node itself;
    ``header`` the byte where its header begins; ``comment`` the bytes of comments and attributes above it. ``members``
    are the definitions found in it; ``statements`` the rows and nodes of the code directly in a module, with those inside
    a statement that was looked through.
    """

    kind: Kind
    symbol: str
    scope: str
    first: int
    last: int
    node: Node
    header: int = 0
    comment: tuple[int, int] = (0, 0)
    members: list[Definition] = field(default_factory=list)
    statements: list[tuple[int, int, Node]] = field(default_factory=list)


class Comment(NamedTuple):
    """Comments and attributes above a node: their first row and byte, and the row below them."""

    row: int
    byte: int
    below: int


NO_COMMENT = Comment(-1, 0, -1)


class Visit(NamedTuple):
    """A node whose children are to be looked at for the definition that owns them. ``local``: within a body."""

    node: Node
    owner: Definition
    prefix: str
    namespace: str
    comment: Comment = NO_COMMENT
    local: bool = False


class Found(NamedTuple):
    """What a node defines. ``roomy``: only worth a chunk if it takes some lines."""

    kind: Kind
    name: str
    node: Node
    roomy: bool = False


def find_definitions(grammar: Grammar, source: bytes, lines: Sequence[str], root: Node, max_lines: int) -> Definition:
    """Return a file as a definition of kind ``module``, with all others below it in file order.

    Functions and statements longer than ``max_lines`` are searched for definitions inside them.
    """
    return _Walk(grammar, source, lines, max_lines).over(root)


class _Walk:
    def __init__(self, grammar: Grammar, source: bytes, lines: Sequence[str], max_lines: int) -> None:
        self.grammar = grammar
        self.source = source
        self.lines = lines
        self.max_lines = max_lines
        self.roles = _roles(grammar)
        self.values = {name: (name_field, value_field) for name, name_field, value_field in grammar.bindings}
        self.pending: list[Visit] = []

    def over(self, root: Node) -> Definition:
        module = Definition("module", "", "", 0, len(self.lines) - 1, root)
        self.pending.append(Visit(root, module, "", ""))
        while self.pending:
            self._look_at_children(self.pending.pop())
        module.statements.sort(key=lambda statement: (statement[0], -statement[1]))
        unsorted = [module]
        while unsorted:
            members = unsorted.pop().members
            if members:
                members.sort(key=lambda member: (member.first, member.last))
                unsorted.extend(members)
        return module

    def _look_at_children(self, visit: Visit) -> None:
        owner, namespace, above = visit.owner, visit.namespace, visit.comment
        is_module = owner.kind == "module"
        previous = -1
        for node in visit.node.named_children:
            role = self.roles.get(node.type)
            first = node.start_point[0]
            last = _last_row(node)
            if is_module:
                owner.statements.append((first, last, node))
            if role == "attached":
                row, byte, below = above
                if first == previous:
                    above = NO_COMMENT
                elif first == below:
                    above = Comment(row, byte, last + 1)
                else:
                    above = Comment(first, node.start_byte, last + 1)
                continue
            comment = above if above.below == first or self._documents(above, first) else NO_COMMENT
            above, previous = NO_COMMENT, last
            if role is None:
                defines = False
                if node.type in self.grammar.trailed:
                    above = self._comment_at_end(node)
            elif role == "transparent":
                self.pending.append(visit._replace(node=node, namespace=namespace, comment=comment))
                continue
            elif role == "namespace":
                inner = ".".join(filter(None, (namespace, name_of(node, self.source))))
                self.pending.append(visit._replace(node=node, namespace=inner, comment=NO_COMMENT))
                if node.child_by_field_name("body") is None:
                    namespace = inner
                continue
            else:
                defines = self._define(node, role, visit, namespace, first, last, comment)
            if not defines and last - first >= (ROOMY_LINES if visit.local else self.max_lines):
                self.pending.append(visit._replace(node=node, namespace=namespace, comment=NO_COMMENT, local=True))

    def _comment_at_end(self, node: Node) -> Comment:
        last: Node | None = node
        while last is not None and self.roles.get(last.type) != "attached":
            last = next(reversed(last.named_children), None)
        return NO_COMMENT if last is None else Comment(last.start_point[0], last.start_byte, _last_row(last) + 1)

    def _documents(self, comment: Comment, row: int) -> bool:
        """Whether a ``/**`` comment belongs to what begins a blank line below it; one at the top is the file's."""
        return comment.below == row - 1 and comment.row > 0 and self.source.startswith(b"/**", comment.byte)

    def _define(self, node: Node, role: str, visit: Visit, namespace: str, first: int, last: int, comment: Comment) -> bool:
        """Record the definition that ``node`` is or wraps; False if it is none."""
        found = self._resolve(node, role)
        if found is None:
            if role == "wrapper" and self._wraps_several(node):
                self.pending.append(visit._replace(node=node, namespace=namespace, comment=comment))
                return True
            return False
        top = first if comment is NO_COMMENT else comment.row
        if (found.roomy or (visit.local and role in ("wrapper", "binding"))) and last - top + 1 < ROOMY_LINES:
            return False
        prefix, name = visit.prefix, found.name
        symbol = f"{prefix}.{name}" if prefix and name else name or prefix
        outer = symbol.rpartition(".")[0]
        scope = f"{namespace}.{outer}" if namespace and outer else namespace or outer
        above = (0, 0) if comment is NO_COMMENT else (comment.byte, node.start_byte)
        if self.grammar.indented:
            while last > first and self.lines[last].lstrip()[:1] in ("", "#"):
                last -= 1
        header = (found.node if self.grammar.indented else node).start_byte
        definition = Definition(found.kind, symbol, scope, top, last, found.node, header, above)
        visit.owner.members.append(definition)
        if found.kind != "function":
            self.pending.append(Visit(found.node, definition, symbol, namespace))
        elif last - first >= self.max_lines:
            self.pending.append(Visit(found.node, definition, symbol, namespace, local=True))
        return True

    def _resolve(self, node: Node, role: str) -> Found | None:
        """Return what ``node`` defines, through any wrappers around the definition."""
        outermost = node
        for _ in range(DEEPEST_WRAPPING):
            if role != "wrapper":
                break
            inner = [child for child in node.named_children if self.roles.get(child.type) in _DEFINING]
            if len(inner) != 1:
                return self._default_export(node)
            node = inner[0]
            role = self.roles[node.type]
        if role == "binding":
            return self._bound(node)
        if role == "class":
            return self._class(node, outermost)
        if role == "roomy":
            return self._roomy(node)
        return Found("function", name_of(node, self.source) or _default(outermost), node) if role == "function" else None

    def _class(self, node: Node, outermost: Node) -> Found | None:
        if self.grammar.bodies_only and node.child_by_field_name("body") is None:
            return None
        name = name_of(node, self.source)
        if not name and outermost is not node:
            name = clean_name(text_of(outermost.child_by_field_name("declarator"), self.source)) or _default(outermost)
        return Found("class", name, node)

    def _roomy(self, node: Node) -> Found | None:
        if not self.grammar.bodies_only or node.type == "preproc_function_def":
            return Found("function", name_of(node, self.source), node, roomy=True)
        declared = node.child_by_field_name("type")
        if declared is not None and self.roles.get(declared.type) == "class" and declared.child_by_field_name("body"):
            return self._class(declared, node)
        return Found("function", name_of(node, self.source), node, roomy=True) if _is_prototype(node) else None

    def _bound(self, node: Node) -> Found | None:
        name_field, value_field = self.values[node.type]
        value = node.child_by_field_name(value_field)
        name = clean_name(text_of(node.child_by_field_name(name_field), self.source))
        if value is None or not name:
            return None
        for _ in range(DEEPEST_WRAPPING):
            if value.type in _VALUE_WRAPPERS and value.named_child_count:
                value = value.named_children[0]
            elif value.type == node.type:
                value = value.child_by_field_name(value_field) or value
        if value.type in self.grammar.function_values:
            return Found("function", name, value)
        if value.type in self.grammar.class_values:
            return Found("class", name, value)
        if value.type in self.grammar.object_values:
            return Found("module", name, value) if self._has_functions(value) else None
        arguments = value.child_by_field_name("arguments") if value.type == "call_expression" else None
        if arguments is not None and any(child.type in self.grammar.function_values for child in arguments.named_children):
            return Found("function", name, node, roomy=True)
        return None

    def _default_export(self, node: Node) -> Found | None:
        value = node.child_by_field_name("value")
        if value is None:
            return None
        if value.type in self.grammar.function_values:
            return Found("function", "default", value)
        if value.type in self.grammar.object_values and self._has_functions(value):
            return Found("module", "default", value)
        return None

    def _has_functions(self, value: Node) -> bool:
        """Whether an object literal has methods and lines enough to be treated like a class."""
        if value.end_point[0] - value.start_point[0] < ROOMY_LINES:
            return False
        for child in value.named_children:
            if child.type in self.grammar.functions:
                return True
            bound = self.values.get(child.type)
            inner = child.child_by_field_name(bound[1]) if bound else None
            if inner is not None and inner.type in self.grammar.function_values:
                return True
        return False

    def _wraps_several(self, node: Node) -> bool:
        return sum(self.roles.get(child.type) in _DEFINING for child in node.named_children) > 1


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


def _is_prototype(node: Node) -> bool:
    declarator = node.child_by_field_name("declarator")
    while declarator is not None and declarator.type != "function_declarator":
        declarator = declarator.child_by_field_name("declarator")
    return declarator is not None


def _default(outermost: Node) -> str:
    return "default" if outermost.type == "export_statement" else ""
