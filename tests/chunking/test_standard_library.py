"""Python's own parser as the judge: every definition it sees is a chunk of exactly its lines."""

from __future__ import annotations

import ast
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from cia.chunking import chunk_file
from cia.settings import ChunkingSettings

SETTINGS = ChunkingSettings()
SAMPLE = 120
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, int, int, bool]]:
    """Yield symbol, first and last line, and whether it is long, of all definitions that are not inside a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Definition):
            symbol = f"{prefix}.{child.name}" if prefix else child.name
            first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
            last = child.end_lineno or first
            is_class = isinstance(child, ast.ClassDef)
            yield symbol, first, last, last - first >= (SETTINGS.class_outline_lines if is_class else SETTINGS.max_lines)
            if is_class:
                yield from definitions(child, symbol)
        elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from definitions(child, prefix)


def test_every_definition_of_the_standard_library_is_a_chunk() -> None:
    paths = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")) + sorted(
        Path(sysconfig.get_path("stdlib")).glob("[a-j]*/*.py")
    )
    checked = 0
    for path in random.Random(3).sample(paths, SAMPLE):
        data = path.read_bytes()
        try:
            tree = ast.parse(data)
        except (SyntaxError, ValueError):
            continue
        chunks = chunk_file(path.name, data, SETTINGS)
        whole = {(chunk.symbol, chunk.line_start, chunk.line_end) for chunk in chunks}
        begun = {(chunk.symbol, chunk.line_start) for chunk in chunks}
        for symbol, first, last, is_long in definitions(tree):
            assert (symbol, first, last) in whole or (is_long and (symbol, first) in begun), f"{path}:{first} {symbol}"
            checked += 1
    assert checked > 1000
