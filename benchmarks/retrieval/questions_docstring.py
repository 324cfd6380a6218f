"""Questions made of docstrings: does a search find the definition that a sentence describes?

The question is the first sentence of a docstring. Every docstring of a function or class is cut out of the tree that is
indexed, so that the words of the question are not there to be matched. Where a docstring was the whole body, ``...``
stands in its place; otherwise its lines go. The places are read from the source after the cut, so they are lines of
the file that the systems see. Two definitions with the same sentence (a client and its async twin) both answer it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from benchmarks.retrieval.question import Place, Question

MIN_WORDS = 5
"""Of a question: with fewer ("Return the name.") no search could know which of many definitions is meant."""
MAX_WORDS = 40
OUTSIDE_THE_PACKAGE = frozenset(
    {"test", "tests", "testing", "doc", "docs", "example", "examples", "benchmarks", "scripts", "tools", "t"}
)
TRIVIAL = re.compile(
    r"^(see|alias|same as|like|deprecated|shortcut|todo|implements?|overrid|inherit|internal|\W*:|https?:)", re.I
)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def strip_files(files: Iterable[tuple[str, bytes]], target: Path) -> tuple[Question, ...]:
    """Write ``files`` (path, content) below ``target`` without docstrings; return the questions that they were."""
    places: dict[str, list[Place]] = {}
    for path, content in files:
        stripped, described = strip_docstrings(content) if path.endswith(".py") else (content, [])
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(stripped)
        if not is_outside_the_package(path):
            for question, start, end in described:
                places.setdefault(question, []).append(Place(path, start, end))
    return tuple(Question(f"docstring-{number}", text, tuple(where)) for number, (text, where) in enumerate(places.items()))


def strip_docstrings(source: bytes) -> tuple[bytes, list[tuple[str, int, int]]]:
    """Return the source without docstrings, and for each public definition its question, first and last line there.

    A source that does not parse comes back unchanged, with no questions.
    """
    try:
        before = ast.parse(source)
    except (SyntaxError, ValueError):
        return source, []
    lines = source.split(b"\n")
    documented = [node for node in ast.walk(before) if _docstring(node) is not None]
    for node in sorted(documented, key=lambda node: node.body[0].lineno, reverse=True):  # type: ignore[attr-defined]
        _cut(lines, node)  # type: ignore[arg-type]
    stripped = b"\n".join(lines)
    after = ast.parse(stripped)
    described = []
    for (name, old), (_, new) in zip(_definitions(before), _definitions(after), strict=True):
        docstring = _docstring(old)
        question = question_from(docstring) if docstring and not _is_private(name) else None
        if question:
            described.append((question, min([new.lineno, *(d.lineno for d in new.decorator_list)]), new.end_lineno or new.lineno))
    return stripped, described


def question_from(docstring: str) -> str | None:
    """Return the first sentence of a docstring without its markup, or None when it says too little to ask."""
    paragraph = " ".join(re.split(r"\n\s*\n", docstring.strip(), maxsplit=1)[0].split())
    paragraph = re.sub(r":[a-zA-Z:]+:`~?([^`<]+?)(?: <[^`]*>)?`", r"\1", paragraph)
    paragraph = re.sub(r"[`*|]+", "", paragraph)
    paragraph = re.sub(r"^[A-Za-z\[\], .]{2,40}: (?=[A-Z])", "", paragraph)
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z])|(?<=:)\s*$|\s+(?=:param|:return|Args:|Returns:|>>>)", paragraph, maxsplit=1)[
        0
    ].strip()
    words = re.findall(r"[A-Za-z][\w'.-]*", sentence)
    if not MIN_WORDS <= len(words) <= MAX_WORDS or TRIVIAL.match(sentence) or "(" in sentence.split(" ", 1)[0]:
        return None
    return sentence


def is_outside_the_package(path: str) -> bool:
    """Tell whether a file is a test, documentation or an example rather than the library itself."""
    parts = PurePosixPath(path).parts
    return bool(OUTSIDE_THE_PACKAGE & set(parts[:-1])) or parts[-1].startswith(("test_", "conftest", "setup"))


def _docstring(node: ast.AST) -> str | None:
    return ast.get_docstring(node) if isinstance(node, Definition) else None


def _definitions(tree: ast.AST, scope: str = "") -> Iterator[tuple[str, Definition]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition):
            name = f"{scope}.{node.name}" if scope else node.name
            yield name, node
            yield from _definitions(node, name)
        else:
            yield from _definitions(node, scope)


def _cut(lines: list[bytes], node: Definition) -> None:
    docstring = node.body[0]
    first, last = docstring.lineno - 1, (docstring.end_lineno or docstring.lineno) - 1
    before = lines[first][: docstring.col_offset]
    after = lines[last][docstring.end_col_offset :]
    if len(node.body) == 1 or after.split(b"#")[0].strip():
        lines[first : last + 1] = [before + b"..." + after]
    else:
        del lines[first : last + 1]


def _is_private(name: str) -> bool:
    return any(part.startswith("_") for part in name.split("."))
