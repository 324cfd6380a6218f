"""Long definitions, outlines of classes, and code outside definitions."""

from __future__ import annotations

from cia.chunking import Chunk, chunk_file
from cia.settings import ChunkingSettings

SETTINGS = ChunkingSettings(max_lines=10, class_outline_lines=8)


def chunks_of(source: str, path: str = "a.py", settings: ChunkingSettings = SETTINGS) -> list[Chunk]:
    return chunk_file(path, source.encode(), settings)


def rows(chunks: list[Chunk]) -> list[tuple[int, int, str, str]]:
    return [(chunk.line_start, chunk.line_end, chunk.kind, chunk.symbol) for chunk in chunks]


def test_a_long_function_is_cut_between_statements_and_keeps_its_symbol() -> None:
    loop = "    for item in items:\n        use(item)\n        done(item)\n"
    parts = chunks_of('def run(items):\n    """Runs."""\n' + loop * 6)
    assert rows(parts) == [(1, 8, "function", "run"), (9, 17, "function", "run"), (18, 20, "function", "run")]
    assert [part.signature for part in parts] == ["def run(items)", "", ""]
    assert [part.docstring for part in parts] == ["Runs.", "", ""]
    assert all(part.text.startswith(("def", "    for")) for part in parts)


def test_a_function_inside_a_short_function_stays_in_it() -> None:
    source = "def outer():\n    def inner():\n        return 1\n\n    return inner\n"
    assert rows(chunks_of(source)) == [(1, 5, "function", "outer")]


def test_a_function_inside_a_long_function_is_a_chunk_too() -> None:
    inner = "    def inner():\n        a = 1\n        b = 2\n        return a + b\n\n"
    source = "def outer():\n" + "    x = 1\n" * 8 + inner + "    return inner\n"
    assert rows(chunks_of(source)) == [
        (1, 9, "function", "outer"),
        (10, 13, "function", "outer.inner"),
        (15, 15, "function", "outer"),
    ]


def test_a_short_class_is_whole_and_its_methods_are_chunks() -> None:
    source = "class A:\n    x = 1\n\n    def f(self):\n        pass\n"
    assert rows(chunks_of(source)) == [(1, 5, "class", "A"), (4, 5, "function", "A.f")]


def test_a_long_class_becomes_an_outline_and_its_members() -> None:
    method = "    def {0}(self):\n        a = 1\n        return a\n\n"
    source = 'class A(Base):\n    """Doc."""\n\n    x = 1\n\n' + method.format("f") + "    y = 2\n\n" + method.format("g")
    chunks = chunks_of(source)
    assert rows(chunks) == [
        (1, 5, "class", "A"),
        (6, 8, "function", "A.f"),
        (10, 11, "class", "A"),
        (12, 14, "function", "A.g"),
    ]
    assert (chunks[0].docstring, chunks[0].parents, chunks[0].signature) == ("Doc.", ("Base",), "class A(Base)")
    assert (chunks[2].docstring, chunks[2].parents, chunks[2].signature) == ("", (), "")


def test_what_closes_a_long_class_goes_to_the_chunk_before() -> None:
    method = "    void {0}() {{\n        a();\n        b();\n    }}\n"
    source = "class A {\n" + method.format("f") + method.format("g") + method.format("h") + "}\n"
    assert rows(chunks_of(source, "A.java")) == [
        (1, 1, "class", "A"),
        (2, 5, "function", "A.f"),
        (6, 9, "function", "A.g"),
        (10, 14, "function", "A.h"),
    ]


def test_a_list_longer_than_allowed_is_cut_between_its_items() -> None:
    source = "NUMBERS = [\n" + "    (\n        1,\n    ),\n" * 6 + "]\n"
    parts = chunks_of(source)
    assert all(part.line_end - part.line_start < SETTINGS.max_lines for part in parts)
    assert {part.symbol for part in parts} == {"NUMBERS"}
    assert all(part.text.startswith(("NUMBERS", "    (")) for part in parts)


def test_imports_are_kept_from_other_code() -> None:
    source = '"""Doc."""\nimport os\nimport re\n\nA = 1\nB = 2\n\ntry:\n    import json\nexcept ImportError:\n    json = None\n'
    chunks = chunks_of(source)
    assert rows(chunks) == [(1, 1, "module", ""), (2, 4, "module", ""), (5, 11, "module", "")]
    assert chunks[0].docstring == "Doc."


def test_a_lone_assignment_is_found_by_its_name() -> None:
    source = "import os\n\nDEFAULT_TIMEOUT: float = Timeout(\n    5.0\n)\n\n\ndef f():\n    pass\n"
    assert [chunk.symbol for chunk in chunks_of(source)] == ["", "DEFAULT_TIMEOUT", "f"]


def test_a_call_or_comparison_is_no_assignment() -> None:
    source = "import os\n\nsetup(name='a')\n\n\ndef f():\n    pass\n\n\na == b\n"
    assert [chunk.symbol for chunk in chunks_of(source)] == ["", "", "f", ""]


def test_definitions_inside_conditions_and_wrapping_functions_are_found() -> None:
    assert [chunk.symbol for chunk in chunks_of("try:\n    import a\nexcept E:\n    def f():\n        pass\n")][-1] == "f"
    body = "  function f() {\n    one();\n    two();\n  }\n"
    source = "(function (root) {\n" + "  use(root);\n" * 8 + body + "})(this);\n"
    assert (10, 13, "function", "f") in rows(chunks_of(source, "a.js"))


def test_overloads_share_a_symbol() -> None:
    source = "@overload\ndef f(a: int) -> int: ...\n@overload\ndef f(a: str) -> str: ...\ndef f(a):\n    return a\n"
    assert rows(chunks_of(source)) == [(1, 2, "function", "f"), (3, 4, "function", "f"), (5, 6, "function", "f")]


def test_a_comment_below_a_function_is_not_part_of_it() -> None:
    source = "def f():\n    pass\n    # old\n\n# also old\n\ndef g():\n    pass\n"
    assert (1, 2, "function", "f") in rows(chunks_of(source))


def test_the_method_of_the_contract_is_found_with_its_lines() -> None:
    import importlib.util
    from pathlib import Path

    package = importlib.util.find_spec("httpx")
    assert package is not None
    assert package.origin is not None
    data = Path(package.origin).with_name("_urls.py").read_bytes()
    found = {chunk.symbol: chunk for chunk in chunk_file("httpx/_urls.py", data, ChunkingSettings())}
    add = found["QueryParams.add"]
    assert (add.kind, add.language, add.scope) == ("function", "python", "QueryParams")
    assert add.text.startswith("    def add(self, key: str, value: typing.Any = None) -> QueryParams:")
    assert add.text.endswith("return q")
    assert add.docstring.startswith("Return a new QueryParams instance, setting or appending the value of a key.")
