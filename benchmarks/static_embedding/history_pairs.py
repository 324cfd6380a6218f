"""Pairs out of git histories, in any language: a commit's subject with a definition that it changed, and the comment above a
definition with the code below it."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.retrieval.questions_commit import commits, git, question_of, source_paths
from benchmarks.retrieval.source_files import MAX_BYTES, is_test
from benchmarks.static_embedding.docstring_pairs import MAX_LINES, lengths
from benchmarks.static_embedding.pair import Pair
from cia.chunking import chunk_file
from cia.chunking.chunk import Chunk
from cia.errors import SourceError
from cia.settings import ChunkingSettings

COMMITS = 2500
"""The newest commits of a history that are read."""
PAIRS_A_HISTORY = 2500
CHUNKS_A_COMMIT = 2
_COMMENT = re.compile(r"\s*(?://|/\*|\*|#(?!include|define|if|\[))")
_HUNK = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


def commit_pairs(history: Path, repo: str, skipped: frozenset[str] = frozenset()) -> list[Pair]:
    """Return pairs of a subject and a definition as the commit left it. Commits whose subject is in ``skipped`` make none."""
    pairs: list[Pair] = []
    with _Blobs(history) as blobs:
        for commit in commits(history, f"-{COMMITS}"):
            question = question_of(commit, frozenset(commit.files))
            if question is None or question.text.lower() in skipped:
                continue
            try:
                hunks = _changed_lines(history, commit.id)
            except SourceError:
                continue  # a partial clone does not have every file
            changed = [
                (overlap, chunk)
                for place in question.relevant
                if not is_test(place.path)
                for overlap, chunk in _changed_chunks(place.path, blobs.read(commit.id, place.path), hunks.get(place.path, []))
            ]
            changed.sort(key=lambda pair: -pair[0])
            pairs += [_pair(repo, chunk, chunk.text, (question.text,)) for _, chunk in changed[:CHUNKS_A_COMMIT]]
    return random.sample(pairs, min(len(pairs), PAIRS_A_HISTORY))


def comment_pairs(history: Path, repo: str) -> list[Pair]:
    """Return pairs of the comment that documents a definition and the definition without it, from the newest commit.

    Python's docstrings are left to ``docstring_pairs``: they stand inside the code.
    """
    pairs: list[Pair] = []
    with _Blobs(history) as blobs:
        for path in sorted(source_paths(history, "HEAD")):
            if is_test(path) or path.endswith((".py", ".pyi")):
                continue
            for chunk in _chunks(path, blobs.read("HEAD", path)):
                lines = chunk.text.split("\n")
                below = next((number for number, line in enumerate(lines) if not _COMMENT.match(line)), 0)
                if chunk.kind in ("function", "class") and len(chunk.docstring.split()) >= 4 and 0 < below < len(lines) - 1:
                    pairs.append(_pair(repo, chunk, "\n".join(lines[below:]), lengths(chunk.docstring)))
    return random.sample(pairs, min(len(pairs), PAIRS_A_HISTORY))


def _pair(repo: str, chunk: Chunk, code: str, sentences: tuple[str, ...]) -> Pair:
    scope, _, name = chunk.symbol.rpartition(".")
    code = "\n".join(code.split("\n")[:MAX_LINES])
    return Pair(repo, chunk.file_path, scope, name, chunk.signature, code, sentences)


def _changed_lines(history: Path, commit: str) -> dict[str, list[tuple[int, int]]]:
    """Return the ranges of lines that a commit left changed, by file."""
    changed: dict[str, list[tuple[int, int]]] = {}
    shown = git(history, "show", "--format=", "--unified=0", "--no-renames", "--no-color", commit)
    for part in re.split(r"^diff --git ", shown, flags=re.MULTILINE)[1:]:
        if named := re.search(r"^\+\+\+ b/(.*)$", part, re.MULTILINE):
            changed[named[1]] = [(int(first), int(first) + int(count or 1) - 1) for first, count in _HUNK.findall(part)]
    return changed


def _changed_chunks(path: str, data: bytes, hunks: list[tuple[int, int]]) -> Iterator[tuple[int, Chunk]]:
    for chunk in _chunks(path, data) if hunks else ():
        overlap = sum(max(0, min(chunk.line_end, last) - max(chunk.line_start, first) + 1) for first, last in hunks)
        if overlap and chunk.kind in ("function", "class", "module"):
            yield overlap, chunk


def _chunks(path: str, data: bytes) -> list[Chunk]:
    return chunk_file(path, data, ChunkingSettings()) if 0 < len(data) <= MAX_BYTES // 4 and b"\0" not in data else []


class _Blobs:
    """Reads files of any commit through one ``git cat-file``."""

    def __init__(self, history: Path) -> None:
        command = ["git", "-C", str(history), "cat-file", "--batch"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> _Blobs:
        return self

    def __exit__(self, *failure: object) -> None:
        self._process.communicate()

    def read(self, commit: str, path: str) -> bytes:
        """Return the file's content, empty when the commit does not have it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{commit}:{path}\n".encode())
        self._process.stdin.flush()
        header = self._process.stdout.readline().split()
        if len(header) != 3:
            return b""
        data = self._process.stdout.read(int(header[2]))
        self._process.stdout.read(1)
        return data
