"""What holds for any input: lines are exact, none with a word is lost, nothing raises."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cia.chunking import Chunk, chunk_file
from cia.corpus.text import decode, split_lines
from cia.settings import ChunkingSettings

CODE = ("py", "go", "java", "js", "ts", "tsx", "rs", "c", "h", "cpp", "cs", "rb", "php", "sh", "kt", "swift", "scala", "lua")
EXTENSIONS = (*CODE, "sql", "proto", "md", "rst", "yaml", "json", "toml", "ini", "txt", "html")
FRAGMENTS = st.sampled_from(
    [
        *("class A", "def f(x)", "func g()", "function h()", "fn i()", "{", "}", "(", ")", ":", ";", "\n", "\n\n", "    ", "\t"),
        *("end", "if x", "# c", "// c", "/** d */", '"""', "'", "`", "=", "=>", "import a", "namespace n", "@a", "a.b", "---"),
        *("# T", "key: v", "[s]", "\r\n", "\r", "\f", " ", "é", "\0", "#endif", "template<T>", "private", "x = 1", ",", "```"),
    ]
)
SMALL = ChunkingSettings(max_lines=6, class_outline_lines=4)


def check(chunks: list[Chunk], data: bytes) -> None:
    lines = split_lines(decode(data))
    covered = set()
    for chunk in chunks:
        assert 1 <= chunk.line_start <= chunk.line_end <= len(lines)
        assert chunk.text == "\n".join(lines[chunk.line_start - 1 : chunk.line_end])
        assert chunk.text.strip()
        covered.update(range(chunk.line_start, chunk.line_end + 1))
    code = any(chunk.kind in ("function", "class", "module") for chunk in chunks)
    expected = [row for row, line in enumerate(lines, 1) if not code or line.strip()]
    assert not chunks or [row for row in expected if row not in covered] == []
    assert chunks or not "".join(lines).strip()
    assert [chunk.line_start for chunk in chunks] == sorted(chunk.line_start for chunk in chunks)


@pytest.mark.parametrize("extension", EXTENSIONS)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.one_of(st.binary(max_size=300), st.lists(FRAGMENTS, max_size=60).map(lambda parts: " ".join(parts).encode())))
def test_any_bytes_become_chunks_that_hold_their_lines(extension: str, data: bytes) -> None:
    check(chunk_file(f"a.{extension}", data, SMALL), data)


def test_rows_that_go_to_a_later_chunk_keep_the_order() -> None:
    data = b"\x00\n$ $()\n$="
    check(chunk_file("a.java", data, SMALL), data)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_line_endings_change_nothing(ending: bytes) -> None:
    source = b'class A:\n    """Doc.\n\n    More.\n    """\n\n    def f(self):\n        return g()\n'
    chunks = chunk_file("a.py", source.replace(b"\n", ending), ChunkingSettings())
    assert chunks == chunk_file("a.py", source, ChunkingSettings())
    assert chunks[0].docstring == "Doc.\n\nMore."


def test_a_byte_order_mark_is_not_part_of_the_first_line() -> None:
    (chunk,) = chunk_file("a.py", b"\xef\xbb\xbfdef f():\n    pass\n", ChunkingSettings())
    assert (chunk.symbol, chunk.line_start, chunk.text) == ("f", 1, "def f():\n    pass")


@pytest.mark.parametrize("not_a_line_end", ["\f", "\v", "\u2028", "\x85", "\r"])
def test_only_line_feeds_end_lines(not_a_line_end: str) -> None:
    source = f"x = 1  # a{not_a_line_end}b\n{not_a_line_end if not_a_line_end == chr(12) else ''}\ndef f():\n    pass\n"
    found = {chunk.symbol: chunk for chunk in chunk_file("a.py", source.encode(), ChunkingSettings())}
    assert (found["f"].line_start, found["f"].line_end) == (3, 4)
    check(list(found.values()), source.encode())


def test_a_latin_1_file_keeps_its_lines() -> None:
    source = "# Größe in Zoll\ndef größe():\n    return 'ä' * 3\n\n\ndef f():\n    return größe()\n".encode("latin-1")
    found = {chunk.symbol: chunk for chunk in chunk_file("a.py", source, ChunkingSettings())}
    assert (found["größe"].line_start, found["größe"].line_end) == (2, 3)
    assert found["f"].calls == ("größe",)


@pytest.mark.parametrize("extension", ["py", "js", "json", "md", "txt"])
def test_a_line_of_a_megabyte_is_not_parsed(extension: str) -> None:
    data = b"x = [" + b"(1," * 350_000 + b"\n\nend\n"
    chunks = chunk_file(f"a.{extension}", data, ChunkingSettings())
    check(chunks, data)
    assert {chunk.kind for chunk in chunks} <= {"text", "section"}


@pytest.mark.parametrize("opening", ["(\n", "{\n", "if (a) {\n", "a(\n", "[\n", "class A {\n"])
@pytest.mark.parametrize("extension", ["py", "js", "cpp", "rs", "java"])
def test_nesting_has_no_limit(opening: str, extension: str) -> None:
    data = (opening * 3000).encode()
    check(chunk_file(f"a.{extension}", data, ChunkingSettings()), data)


def test_a_parse_that_takes_too_long_falls_back_to_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cia.chunking.parsing.SECONDS", -100.0)
    data = b"def f():\n    return [1, 2, 3]\n" * 500
    chunks = chunk_file("a.py", data, ChunkingSettings())
    assert {chunk.kind for chunk in chunks} == {"text"}
    check(chunks, data)


def test_intact_definitions_of_a_broken_file_are_found() -> None:
    data = b"def before():\n    return 1\n\n\ndef broken():\n    x = = 2\n\n\ndef after(a):\n    return before()\n"
    chunks = chunk_file("a.py", data, ChunkingSettings())
    check(chunks, data)
    found = {chunk.symbol: chunk for chunk in chunks}
    assert (found["before"].line_start, found["before"].line_end) == (1, 2)
    assert (found["after"].line_start, found["after"].line_end) == (9, 10)


@pytest.mark.parametrize("data", [b"", b"\n", b" \n\t\n\r\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_visible_character_has_no_chunks(data: bytes) -> None:
    assert [chunk_file(f"a.{extension}", data, ChunkingSettings()) for extension in EXTENSIONS] == [[]] * len(EXTENSIONS)


def test_a_chunk_begins_where_its_definition_does() -> None:
    data = b"\n\nx = 1\n\n\ndef f():\n    pass\n\n\n\ndef g():\n    pass\n\n"
    rows = [(chunk.line_start, chunk.line_end) for chunk in chunk_file("a.py", data, ChunkingSettings())]
    assert rows == [(1, 5), (6, 7), (11, 12)]


def test_identical_bytes_give_identical_chunks() -> None:
    data = b"def f():\n    return g()\n"
    first, again = (chunk_file("a.py", data, ChunkingSettings()) for _ in range(2))
    assert first == again
    assert re.fullmatch(r"[0-9a-f]{64}", first[0].content_hash)
    assert first[0].content_hash == again[0].content_hash
