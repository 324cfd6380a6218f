"""What the chunker must know about a programming language: which nodes of its grammar define things.

To add a language, find its node types (``Parser(get_language(NAME)).parse(code).root_node`` prints them), write a
``Grammar`` in ``GRAMMARS`` and give its file names in ``detection.py``. Node types a grammar does not have are ignored,
so a line that several languages share does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass

Types = frozenset[str]
NONE: Types = frozenset()


def _types(names: str) -> Types:
    return frozenset(names.split())


@dataclass(frozen=True, slots=True)
class Grammar:
    """Node types of one tree-sitter grammar, by the part they play.

    - ``functions`` and ``classes`` define something with a name. ``bodies_only``: a class without a body is only mentioned.
    - ``roomy`` ones count as functions if they take four lines or more with their comment: properties, prototypes.
    - ``namespaces`` hold definitions but give them no part of their symbol.
    - ``wrappers`` stand around a definition and belong to it: decorators, ``export``, ``template<>``.
    - ``transparent`` nodes are looked through: bodies, ``if``, ``#ifdef``.
    - ``bindings`` (type, name field, value field) name a value; it is a definition if its type is in ``function_values``,
      ``class_values`` or ``object_values``.
    - ``heritage`` nodes among a class's children, nodes in its ``heritage_fields``, and ``embedded`` fields without a name
      are its parents.
    - ``attached`` nodes belong to the definition below them: comments, and attributes that the grammar sets apart.
    - ``trailed`` nodes swallow the comment that follows them, which belongs to the next definition.
    - ``docstrings``: documentation is the first string of a body. ``indented``: nothing closes a body, so comments below
      its last statement are not part of it.
    - ``calls`` is a tree-sitter query whose captures are the called expressions.
    """

    name: str
    functions: Types
    classes: Types = NONE
    roomy: Types = NONE
    namespaces: Types = NONE
    wrappers: Types = NONE
    transparent: Types = NONE
    bindings: tuple[tuple[str, str, str], ...] = ()
    function_values: Types = NONE
    class_values: Types = NONE
    object_values: Types = NONE
    heritage: Types = NONE
    heritage_fields: tuple[str, ...] = ()
    embedded: Types = NONE
    attached: Types = frozenset({"comment", "line_comment", "block_comment"})
    trailed: Types = NONE
    docstrings: bool = False
    indented: bool = False
    bodies_only: bool = False
    calls: str = ""


PYTHON = Grammar(
    name="python",
    functions=_types("function_definition"),
    classes=_types("class_definition"),
    wrappers=_types("decorated_definition"),
    transparent=_types(
        "block if_statement elif_clause else_clause try_statement except_clause finally_clause with_statement "
        "for_statement while_statement match_statement case_clause"
    ),
    heritage_fields=("superclasses",),
    attached=NONE,
    docstrings=True,
    indented=True,
    calls="(call function: [(identifier) (attribute)] @callee)",
)

GO = Grammar(
    name="go",
    functions=_types("function_declaration method_declaration"),
    classes=_types("type_spec type_alias"),
    wrappers=_types("type_declaration"),
    embedded=_types("field_declaration type_elem"),
    calls="(call_expression function: [(identifier) (selector_expression)] @callee)",
)

JAVA = Grammar(
    name="java",
    functions=_types("method_declaration constructor_declaration compact_constructor_declaration"),
    classes=_types("class_declaration interface_declaration enum_declaration record_declaration annotation_type_declaration"),
    transparent=_types("enum_body_declarations class_body interface_body enum_body"),
    heritage=_types("superclass super_interfaces extends_interfaces"),
    calls="(method_invocation name: (_) @callee) (object_creation_expression type: (_) @callee)",
)

_JAVASCRIPT_BINDINGS = (
    ("variable_declarator", "name", "value"),
    ("assignment_expression", "left", "right"),
    ("pair", "key", "value"),
    ("field_definition", "property", "value"),
    ("public_field_definition", "name", "value"),
)
_JAVASCRIPT_CALLS = (
    "(call_expression function: [(identifier) (member_expression)] @callee) (new_expression constructor: (_) @callee)"
)

JAVASCRIPT = Grammar(
    name="javascript",
    functions=_types("function_declaration generator_function_declaration method_definition"),
    classes=_types("class_declaration"),
    wrappers=_types("export_statement lexical_declaration variable_declaration expression_statement"),
    transparent=_types("class_body statement_block if_statement else_clause try_statement"),
    bindings=_JAVASCRIPT_BINDINGS,
    function_values=_types("arrow_function function_expression function generator_function"),
    class_values=_types("class"),
    object_values=_types("object"),
    heritage=_types("class_heritage"),
    calls=_JAVASCRIPT_CALLS,
)

TYPESCRIPT = Grammar(
    name="typescript",
    functions=_types(
        "function_declaration generator_function_declaration method_definition function_signature abstract_method_signature"
    ),
    classes=_types(
        "class_declaration abstract_class_declaration interface_declaration enum_declaration type_alias_declaration "
        "internal_module module"
    ),
    wrappers=_types("export_statement ambient_declaration lexical_declaration variable_declaration expression_statement"),
    transparent=_types("class_body statement_block if_statement else_clause try_statement"),
    bindings=_JAVASCRIPT_BINDINGS,
    function_values=_types("arrow_function function_expression function generator_function"),
    class_values=_types("class"),
    object_values=_types("object"),
    heritage=_types("class_heritage extends_type_clause extends_clause"),
    attached=_types("comment decorator"),
    calls=_JAVASCRIPT_CALLS,
)

RUST = Grammar(
    name="rust",
    functions=_types("function_item function_signature_item macro_definition"),
    classes=_types("struct_item enum_item union_item trait_item impl_item mod_item"),
    transparent=_types("declaration_list foreign_mod_item extern_block"),
    heritage_fields=("trait", "bounds"),
    attached=_types("line_comment block_comment attribute_item"),
    calls="(call_expression function: (_) @callee) (macro_invocation macro: (_) @callee)",
)

_C_TRANSPARENT = (
    "declaration_list field_declaration_list preproc_ifdef preproc_if preproc_else preproc_elif linkage_specification"
)
_C_CALLS = "(call_expression function: (_) @callee)"

C = Grammar(
    name="c",
    functions=_types("function_definition"),
    classes=_types("struct_specifier union_specifier enum_specifier"),
    roomy=_types("declaration preproc_function_def"),
    wrappers=_types("type_definition"),
    transparent=_types(_C_TRANSPARENT),
    bodies_only=True,
    calls=_C_CALLS,
)

CPP = Grammar(
    name="cpp",
    functions=_types("function_definition"),
    classes=_types("class_specifier struct_specifier union_specifier enum_specifier concept_definition"),
    roomy=_types("declaration field_declaration preproc_function_def"),
    namespaces=_types("namespace_definition"),
    wrappers=_types("template_declaration type_definition"),
    transparent=_types(_C_TRANSPARENT),
    bodies_only=True,
    heritage=_types("base_class_clause"),
    calls=_C_CALLS,
)

CSHARP = Grammar(
    name="csharp",
    functions=_types(
        "method_declaration constructor_declaration destructor_declaration operator_declaration "
        "conversion_operator_declaration local_function_statement"
    ),
    classes=_types(
        "class_declaration struct_declaration interface_declaration enum_declaration record_declaration "
        "record_struct_declaration delegate_declaration"
    ),
    roomy=_types("property_declaration indexer_declaration event_declaration"),
    namespaces=_types("namespace_declaration file_scoped_namespace_declaration"),
    transparent=_types("declaration_list preproc_if preproc_region preproc_else global_statement"),
    heritage=_types("base_list"),
    calls=("(invocation_expression function: (_) @callee) (object_creation_expression type: (_) @callee)"),
)

RUBY = Grammar(
    name="ruby",
    functions=_types("method singleton_method"),
    classes=_types("class module"),
    wrappers=_types("call argument_list"),
    transparent=_types("body_statement singleton_class begin if unless then"),
    heritage=_types("superclass"),
    calls="(call method: (_) @callee)",
)

PHP = Grammar(
    name="php",
    functions=_types("function_definition method_declaration"),
    classes=_types("class_declaration interface_declaration trait_declaration enum_declaration"),
    namespaces=_types("namespace_definition"),
    transparent=_types("declaration_list compound_statement if_statement enum_declaration_list"),
    heritage=_types("base_clause class_interface_clause"),
    calls=(
        "(function_call_expression function: (_) @callee) (member_call_expression name: (_) @callee) "
        "(scoped_call_expression name: (_) @callee) (object_creation_expression (name) @callee)"
    ),
)

BASH = Grammar(
    name="bash",
    functions=_types("function_definition"),
    transparent=_types("if_statement else_clause compound_statement"),
    calls="(command name: (command_name) @callee)",
)

KOTLIN = Grammar(
    name="kotlin",
    functions=_types("function_declaration secondary_constructor"),
    classes=_types("class_declaration object_declaration companion_object"),
    roomy=_types("property_declaration"),
    transparent=_types("class_body enum_class_body"),
    heritage=_types("delegation_specifier"),
    attached=_types("line_comment multiline_comment"),
    trailed=_types("import_list package_header"),
    calls="(call_expression . (_) @callee)",
)

SWIFT = Grammar(
    name="swift",
    functions=_types("function_declaration init_declaration deinit_declaration protocol_function_declaration"),
    classes=_types("class_declaration protocol_declaration"),
    roomy=_types("property_declaration subscript_declaration"),
    transparent=_types("class_body protocol_body enum_class_body"),
    heritage=_types("inheritance_specifier"),
    attached=_types("comment multiline_comment"),
    calls="(call_expression . (_) @callee)",
)

SCALA = Grammar(
    name="scala",
    functions=_types("function_definition function_declaration"),
    classes=_types("class_definition object_definition trait_definition enum_definition"),
    transparent=_types("template_body enum_body"),
    namespaces=_types("package_clause"),
    heritage=_types("extends_clause"),
    calls="(call_expression function: (_) @callee)",
)

LUA = Grammar(
    name="lua",
    functions=_types("function_declaration"),
    calls="(function_call name: (_) @callee)",
)

SQL = Grammar(
    name="sql",
    functions=_types("create_function create_procedure create_trigger"),
    classes=_types("create_table create_view create_materialized_view create_type"),
    wrappers=_types("statement"),
    attached=_types("comment marginalia"),
)

PROTO = Grammar(
    name="proto",
    functions=_types("rpc"),
    classes=_types("message service enum"),
    transparent=_types("message_body"),
)

GRAMMARS: dict[str, Grammar] = {
    grammar.name: grammar
    for grammar in (
        PYTHON, GO, JAVA, JAVASCRIPT, TYPESCRIPT, RUST, C, CPP, CSHARP, RUBY, PHP, BASH, KOTLIN, SWIFT, SCALA, LUA, SQL, PROTO
    )
}  # fmt: skip
"""By the name that ``language_of`` gives. ``.tsx`` files are ``typescript`` and parsed with the ``tsx`` grammar."""
