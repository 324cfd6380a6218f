"""A small shop as the indexed repository: its code, its chunks, and questions about it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from cia.retrieval.result import SearchResult

SHOP = Path(__file__).parent / "shop"


def _chunk(path: Path, symbol: str, kind: str, start: int, end: int) -> SearchResult:
    text = "\n".join(path.read_text().split("\n")[start - 1 : end])
    return SearchResult("shop", "c" * 40, f"shop/{path.name}", start, end, "python", symbol, kind, 1.0, text)


@pytest.fixture(scope="session")
def shop() -> dict[str, SearchResult]:
    """The chunks of the shop by symbol; what stands outside definitions under the name of its module."""
    chunks: dict[str, SearchResult] = {}
    for path in sorted(SHOP.glob("*.py")):
        tree = ast.parse(path.read_text())
        definitions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        chunks[path.stem] = _chunk(path, "", "module", 1, definitions[0].lineno - 1)
        for node in definitions:
            methods = [member for member in ast.iter_child_nodes(node) if isinstance(member, ast.FunctionDef)]
            end = methods[0].lineno - 1 if isinstance(node, ast.ClassDef) and methods else node.end_lineno
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            chunks[node.name] = _chunk(path, node.name, kind, node.lineno, end or node.lineno)
            for method in methods if kind == "class" else []:
                symbol = f"{node.name}.{method.name}"
                chunks[symbol] = _chunk(path, symbol, "function", method.lineno, method.end_lineno or method.lineno)
    return chunks
