"""Which files of a tree are source code: what a commit question may ask for, and what the simpler peers index."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

LANGUAGES = {
    ".py": "python", ".pyi": "python", ".go": "go", ".java": "java", ".kt": "kotlin", ".scala": "scala", ".js": "js",
    ".jsx": "js", ".mjs": "js", ".ts": "ts", ".tsx": "ts", ".rs": "rust", ".rb": "ruby", ".php": "php", ".c": "c",
    ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".hpp": "cpp", ".cs": "csharp", ".swift": "swift", ".lua": "lua", ".proto": "proto",
}  # fmt: skip
"""By suffix, under the names that LangChain's splitter knows."""

MAX_BYTES = 1_000_000


def is_source(path: str) -> bool:
    """Tell whether ``path`` names source code. The settings of a documentation build are none."""
    parts = PurePosixPath(path).parts
    return PurePosixPath(path).suffix in LANGUAGES and not {"doc", "docs"} & set(parts[:-1])


def is_test(path: str) -> bool:
    """Tell whether ``path`` is a test, by the customs of Python, Go and Java."""
    *folders, name = PurePosixPath(path).parts
    stem = PurePosixPath(name).stem
    named = stem.startswith("test_") or stem.endswith(("_test", "Test", "Tests")) or stem == "conftest"
    return named or bool({"test", "tests", "t", "testdata"} & set(folders))


def read_sources(tree: Path) -> list[tuple[str, str]]:
    """Return the path and text of every source file below ``tree``, sorted by path; binary and huge files are left out."""
    sources = []
    for file in sorted(tree.rglob("*")):
        path = file.relative_to(tree).as_posix()
        if is_source(path) and file.is_file() and file.stat().st_size <= MAX_BYTES:
            data = file.read_bytes()
            if b"\0" not in data:
                sources.append((path, data.decode("utf-8", errors="replace")))
    return sources
