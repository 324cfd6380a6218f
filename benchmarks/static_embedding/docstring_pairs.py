"""Pairs of a docstring and the Python code below it, docstring cut out, from installed or unpacked packages."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.static_embedding.pair import Pair

EXCLUDED = frozenset(
    re.findall(
        r"\w+",
        """
        httpx httpx2 httpcore httpcore2 click flask requests celery kombu billiard vine amqp starlette fastapi pydantic
        pydantic_settings pydantic_core django rich typer jinja2 werkzeug aiohttp sqlalchemy _pytest pytest tornado attr attrs
        urllib3 black scrapy semble model2vec itsdangerous markupsafe sqlmodel pluggy tqdm marshmallow pylint pip debugpy
        """,
    )
)
"""Packages that the benchmarks ask about, and their copies and kin."""
PAIRS_A_PACKAGE = 9000
BYTES_A_PACKAGE = 30_000_000
MAX_LINES = 120


def docstring_pairs(folders: Sequence[Path]) -> list[Pair]:
    """Return the pairs of all packages below ``folders``, each first sentence once."""
    pairs: list[Pair] = []
    seen: set[str] = set()
    packages = {package.name: package for folder in folders for package in sorted(folder.iterdir()) if package.is_dir()}
    for name, package in packages.items():
        if name in EXCLUDED or name.endswith(("-info", ".data", ".libs")):
            continue
        found, budget = [], BYTES_A_PACKAGE
        files = sorted(package.rglob("*.py"))
        random.shuffle(files)
        for file in files:
            budget -= file.stat().st_size
            if budget < 0:
                break
            for pair in _pairs_of(file, file.relative_to(package.parent).as_posix(), name):
                if pair.sentences[0].lower() not in seen:
                    seen.add(pair.sentences[0].lower())
                    found.append(pair)
        pairs += random.sample(found, min(len(found), PAIRS_A_PACKAGE))
    return pairs


def lengths(docstring: str) -> tuple[str, str, str]:
    """Return the first sentence of ``docstring``, its first paragraph, and all of it, each cut to what a question may be."""
    paragraph = " ".join(re.split(r"\n\s*\n", docstring)[0].split())
    return re.split(r"(?<=[.!?])\s", paragraph)[0][:300], paragraph[:600], docstring[:1500]


def _pairs_of(file: Path, path: str, package: str) -> Iterator[Pair]:
    try:
        source = file.read_text(encoding="utf-8")
        tree = ast.parse(source)
    except (SyntaxError, ValueError, UnicodeDecodeError, RecursionError):
        return
    lines = source.split("\n")
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        parent, scope = waiting.pop()
        for node in ast.iter_child_nodes(parent):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                waiting.append((node, scope))
                continue
            waiting.append((node, f"{scope}.{node.name}".strip(".")))
            docstring = ast.get_docstring(node)
            if docstring and len(docstring.split()) >= 4 and len(node.body) > 1:
                first, last = node.body[0].lineno - 1, node.body[0].end_lineno or 0
                code = "\n".join((lines[node.lineno - 1 : first] + lines[last : node.end_lineno])[:MAX_LINES])
                yield Pair(package, path, scope, node.name, code.split(":\n", 1)[0][:400], code, lengths(docstring))
