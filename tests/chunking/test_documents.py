"""Markdown and reStructuredText by headings, data files by keys, the rest by lines."""

from __future__ import annotations

import pytest

from cia.chunking import Chunk, chunk_file, language_of
from cia.settings import ChunkingSettings


def chunks_of(path: str, source: str) -> list[Chunk]:
    return chunk_file(path, source.encode(), ChunkingSettings())


def rows(chunks: list[Chunk]) -> list[tuple[int, int, str, str]]:
    return [(chunk.line_start, chunk.line_end, chunk.kind, chunk.symbol) for chunk in chunks]


def test_markdown_is_cut_at_headings_and_named_by_their_path() -> None:
    source = "Hello.\n\n# Usage\n\nText.\n\n## [Timeouts](#t) ##\n\nMore.\n\nSetext *title*\n------\n\nEnd.\n\nTop\n===\nx\n"
    assert rows(chunks_of("README.md", source)) == [
        (1, 2, "section", ""),
        (3, 6, "section", "Usage"),
        (7, 10, "section", "Usage > Timeouts"),
        (11, 15, "section", "Usage > Setext title"),
        (16, 18, "section", "Top"),
    ]


def test_fences_front_matter_rules_and_tables_are_no_headings() -> None:
    source = (
        "---\ntitle: x\n---\n# A\n\n```sh\n# not\n~~~\n# not\n```\n\n"
        "~~~\n```\n# not\n~~~\n\n---\n\n    # code\n\n- item\n---\n#hash\n"
    )
    assert {chunk.symbol for chunk in chunks_of("a.md", source)} == {"", "A"}


def test_a_heading_with_nothing_under_it_goes_to_its_first_subsection() -> None:
    assert rows(chunks_of("a.md", "# A\n\n## B\n\nText.\n\n## C\n")) == [(1, 6, "section", "A > B"), (7, 7, "section", "A > C")]


def test_rst_is_cut_at_underlined_titles() -> None:
    source = (
        "=====\nTitle\n=====\n\nIntro.\n\nUsage\n=====\n\n::\n\n    Code\n    ====\n\nTimeouts\n--------\n\nText.\n\n"
        ".. note::\n   x\n\nMore\n====\n\n=====  =====\na      b\n=====  =====\n"
    )
    assert rows(chunks_of("a.rst", source)) == [
        (1, 6, "section", "Title"),
        (7, 14, "section", "Title > Usage"),
        (15, 22, "section", "Title > Usage > Timeouts"),
        (23, 28, "section", "Title > More"),
    ]


def test_a_long_section_is_cut_at_blank_lines() -> None:
    source = "# A\n" + "\n".join(f"word {n}\n" for n in range(100))
    parts = chunks_of("a.md", source)
    assert len(parts) > 1
    assert {part.symbol for part in parts} == {"A"}
    assert all(part.text.endswith("\n") for part in parts[:-1])


def test_yaml_is_cut_at_its_keys() -> None:
    steps = "".join(f"      - run: step {n}\n" for n in range(30))
    source = f"name: ci\non: push\njobs:\n  lint:\n    steps:\n{steps}  # the tests\n  test:\n    steps:\n{steps}"
    assert rows(chunks_of("ci.yml", source)) == [
        (1, 2, "section", ""),
        (3, 35, "section", "jobs.lint"),
        (36, 68, "section", "jobs.test"),
    ]


def test_json_is_cut_at_its_keys() -> None:
    values = ",\n".join(f'    "k{n}": {n}' for n in range(40))
    source = f'{{\n  "name": "x",\n  "scripts": {{\n{values}\n  }},\n  "dependencies": {{\n{values}\n  }}\n}}\n'
    assert [chunk.symbol for chunk in chunks_of("package.json", source)] == ["name", "scripts", "dependencies"]


@pytest.mark.parametrize("path", ["pyproject.toml", "setup.cfg"])
def test_tables_of_toml_and_ini_are_sections(path: str) -> None:
    table = "".join(f"k{n} = {n}\n" for n in range(30))
    source = f"[project]\n{table}\n# how to lint\n[tool.ruff]\n{table}"
    assert rows(chunks_of(path, source)) == [(1, 32, "section", "project"), (33, 64, "section", "tool.ruff")]


def test_a_short_data_file_is_one_chunk() -> None:
    assert rows(chunks_of("a.yaml", "a: 1\n\nb: 2\n")) == [(1, 3, "section", "")]


def test_other_text_is_cut_at_blank_lines() -> None:
    source = "".join(f"line {n}\n" + ("\n" if n % 10 == 9 else "") for n in range(100))
    parts = chunks_of("a.txt", source)
    assert {part.kind for part in parts} == {"text"}
    assert [part.text.split("\n")[0] for part in parts] == ["line 0", "line 40", "line 80"]


@pytest.mark.parametrize(
    ("path", "data", "language"),
    [
        ("a/b.py", b"", "python"),
        ("A.CS", b"", "csharp"),
        ("a.tsx", b"", "typescript"),
        ("a.h", b"int f(void);", "c"),
        ("a.h", b"#pragma once\nnamespace a {}", "cpp"),
        ("Dockerfile", b"", "dockerfile"),
        ("Dockerfile.prod", b"", "dockerfile"),
        ("Makefile", b"", "make"),
        ("bin/run", b"#!/usr/bin/env python3\n", "python"),
        ("bin/run", b"#!/bin/sh -e\n", "bash"),
        ("LICENSE", b"MIT", "text"),
        (".gitignore", b"", "text"),
        ("a.unknown", b"", "text"),
    ],
)
def test_the_language_comes_from_the_name_or_the_first_line(path: str, data: bytes, language: str) -> None:
    assert language_of(path, data) == language
