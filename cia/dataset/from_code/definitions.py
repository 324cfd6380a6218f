"""The definitions of a repository that questions are asked about, and who calls whom where the code leaves no doubt."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from cia.chunking import Chunk, chunk_file
from cia.corpus import Snapshot
from cia.dataset.draft import place
from cia.settings import ChunkingSettings

_ASIDE = re.compile(
    r"(?:^|/)(?:tests?|testing|docs?|docs_src|examples?|benchmarks?|vendor|_?vendored|third_party|node_modules|scripts)/"
    r"|(?:^|/)(?:test_[^/]*|conftest|setup|noxfile)\.py$|(?:_test|\.test|\.spec|_spec)\.\w+$"
)
_TEST = re.compile(r"(?:^|/)tests?/|(?:^|/)test_[^/]*\.py$|_test\.py$")
_SELF = ("self.", "cls.", "this.")


@dataclass(frozen=True, slots=True)
class CodeBase:
    """One repository at one commit, cut into chunks.

    ``code`` are those that are neither tests, documents nor others' code, ``tests`` those of its test files.
    ``definitions`` are its functions, methods and classes by qualified name, each name with one meaning; ``callers`` gives
    for such a name the chunks that call it, if these are surely all; ``words`` are all words of all files; ``cut`` the
    definitions that are longer than a chunk.
    """

    repo: str
    commit: str
    chunks: tuple[Chunk, ...]
    code: tuple[Chunk, ...]
    tests: tuple[Chunk, ...]
    definitions: dict[str, Chunk]
    callers: dict[str, tuple[Chunk, ...]] = field(default_factory=dict)
    words: frozenset[str] = frozenset()
    cut: frozenset[str] = frozenset()

    def place(self, chunk: Chunk) -> str:
        """Return the citation of ``chunk`` in its full form."""
        return place(self.repo, self.commit, chunk)


def read_code_base(snapshot: Snapshot, settings: ChunkingSettings) -> CodeBase:
    """Return the chunks of ``snapshot`` and what can be said about them for certain."""
    chunks: list[Chunk] = []
    for file in snapshot.files:
        chunks += chunk_file(file.path, snapshot.read_bytes(file.path), settings)
    code = [chunk for chunk in chunks if not _ASIDE.search(chunk.file_path)]
    tests = tuple(chunk for chunk in chunks if _TEST.search(chunk.file_path))
    definitions = _unambiguous(code)
    words = frozenset(word.lower() for chunk in chunks for word in re.findall(r"\w+", f"{chunk.text} {chunk.file_path}"))
    callers = _callers(code, definitions)
    pieces = Counter(chunk.symbol for chunk in code if chunk.kind == "function")
    return CodeBase(
        repo=snapshot.repo,
        commit=snapshot.commit,
        chunks=tuple(chunks),
        code=tuple(code),
        tests=tests,
        definitions=definitions,
        callers=callers,
        words=words,
        cut=frozenset(symbol for symbol, number in pieces.items() if number > 1),
    )


def name_of(symbol: str) -> str:
    """Return the last part of a qualified name."""
    return symbol.rpartition(".")[2]


def _unambiguous(chunks: Iterable[Chunk]) -> dict[str, Chunk]:
    found: defaultdict[str, list[Chunk]] = defaultdict(list)
    for chunk in chunks:
        if chunk.kind in ("function", "class") and chunk.symbol:
            found[chunk.symbol].append(chunk)
    # A long definition is several chunks of one file, the first of which has the signature; two with one are two definitions.
    return {
        symbol: parts[0]
        for symbol, parts in found.items()
        if parts[0].signature
        and len({part.file_path for part in parts}) == 1
        and sum(bool(part.signature) for part in parts) == 1
    }


def _callers(chunks: list[Chunk], definitions: dict[str, Chunk]) -> dict[str, tuple[Chunk, ...]]:
    by_name: defaultdict[str, set[str]] = defaultdict(set)
    for chunk in chunks:
        if chunk.kind in ("function", "class") and chunk.symbol:
            by_name[name_of(chunk.symbol)].add(chunk.symbol)
    outside: defaultdict[str, str] = defaultdict(str)  # a file's code outside definitions, where its imports are
    chunks_of: defaultdict[str, list[Chunk]] = defaultdict(list)
    for chunk in chunks:
        chunks_of[chunk.file_path].append(chunk)
        if chunk.kind == "module":
            outside[chunk.file_path] += f"{chunk.text}\n"
    called: defaultdict[str, dict[str, Chunk]] = defaultdict(dict)
    in_doubt: set[str] = set()  # names that something unknown calls: who calls them cannot be told in full
    for caller in chunks:
        is_function = caller.kind == "function" and caller.symbol in definitions
        for call in set(caller.calls) - _calls_of_members(caller, chunks_of[caller.file_path]):
            if _rebound(call.partition(".")[0], caller):
                continue
            imports = outside[caller.file_path] + caller.text
            target = _target(call, caller, definitions, by_name, imports) if is_function else None
            if target is None:
                in_doubt.add(name_of(call))
            elif target != caller.symbol and not target.startswith(f"{caller.symbol}."):
                called[target].setdefault(caller.symbol, caller)
    return {target: tuple(callers.values()) for target, callers in called.items() if name_of(target) not in in_doubt}


def _calls_of_members(chunk: Chunk, of_file: list[Chunk]) -> set[str]:
    """What the functions inside a class call: the class's own chunk repeats it."""
    if chunk.kind != "class":
        return set()
    return {call for member in of_file if member.symbol.startswith(f"{chunk.symbol}.") for call in member.calls}


def _target(call: str, caller: Chunk, definitions: dict[str, Chunk], by_name: dict[str, set[str]], imports: str) -> str | None:
    """Return the one definition that ``call`` can mean, None when there may be another."""
    for prefix in _SELF:
        if call.startswith(prefix):
            symbol = f"{caller.scope}.{call.removeprefix(prefix)}"
            return symbol if caller.scope and symbol in definitions and _same_file(symbol, caller, definitions) else None
    if call not in definitions or ("." not in call and by_name[call] != {call}):
        return None
    path = definitions[call].file_path
    return call if path == caller.file_path or _imported(call.partition(".")[0], path, imports) else None


def _imported(name: str, path: str, imports: str) -> bool:
    """Whether ``imports`` bring in ``name`` from the package or module that ``path`` is in: there are others' names too."""
    parts = PurePosixPath(path).with_suffix("").parts
    for dots, module, names in re.findall(r"\bfrom\s+(\.*)([\w.]*)\s+import\s+(\([^)]*\)|[^\n]*)", imports):
        if re.search(rf"\b{re.escape(name)}\b", names) and (dots or module.partition(".")[0] in parts):
            return True
    line = rf"\bimport\b[^;\n]*\b{re.escape(name)}\b[^;\n]*[/\"']{re.escape(parts[-1])}\b"
    return re.search(line, imports) is not None


def _same_file(symbol: str, caller: Chunk, definitions: dict[str, Chunk]) -> bool:
    return definitions[symbol].file_path == caller.file_path


def _rebound(name: str, caller: Chunk) -> bool:
    """Whether ``name`` may be a parameter or a variable of the caller's own."""
    own = rf"\b{re.escape(name)}\b\s*(?::[^=\n]*)?=(?!=)|\b(?:for|as|let|const|var)\s+{re.escape(name)}\b"
    return (
        re.search(rf"[(,]\s*\*{{0,2}}{re.escape(name)}\b", caller.signature) is not None
        or re.search(own, caller.text) is not None
    )
