"""The definitions of a repository that questions are asked about, and who calls whom where the code leaves no doubt."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from cia.chunking import Chunk, chunk_file
from cia.corpus import Snapshot
from cia.settings import ChunkingSettings

_ASIDE = re.compile(
    r"(?:^|/)(?:tests?|testing|docs?|docs_src|examples?|benchmarks?|vendor|_?vendored|third_party|node_modules|scripts)/"
    r"|(?:^|/)(?:test_[^/]*|conftest|setup|noxfile)\.py$|(?:_test|\.test|\.spec|_spec)\.\w+$"
)
_SELF = ("self.", "cls.", "this.", "super().")


@dataclass(frozen=True, slots=True)
class CodeBase:
    """One repository at one commit, cut into chunks.

    ``definitions`` are its functions, methods and classes by qualified name, each name with one meaning; ``callers`` gives
    for such a name the chunks that surely call it; ``words`` are all words of all files.
    """

    repo: str
    commit: str
    chunks: tuple[Chunk, ...]
    definitions: dict[str, Chunk]
    callers: dict[str, tuple[Chunk, ...]] = field(default_factory=dict)
    words: frozenset[str] = frozenset()


def read_code_base(snapshot: Snapshot, settings: ChunkingSettings) -> CodeBase:
    """Return the chunks of ``snapshot`` and what can be said about them for certain."""
    chunks: list[Chunk] = []
    for file in snapshot.files:
        chunks += chunk_file(file.path, snapshot.read_bytes(file.path), settings)
    code = [chunk for chunk in chunks if not _ASIDE.search(chunk.file_path)]
    definitions = _unambiguous(code)
    words = frozenset(word.lower() for chunk in chunks for word in re.findall(r"\w+", f"{chunk.text} {chunk.file_path}"))
    return CodeBase(snapshot.repo, snapshot.commit, tuple(chunks), definitions, _callers(code, definitions), words)


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
    for chunk in chunks:
        if chunk.kind == "module":
            outside[chunk.file_path] += f"{chunk.text}\n"
    called: defaultdict[str, dict[str, Chunk]] = defaultdict(dict)
    for caller in chunks:
        if caller.kind != "function" or caller.symbol not in definitions:
            continue
        for call in caller.calls:
            target = _target(call, caller, definitions, by_name, outside[caller.file_path])
            if target and target != caller.symbol and not target.startswith(f"{caller.symbol}."):
                called[target].setdefault(caller.symbol, caller)
    return {target: tuple(callers.values()) for target, callers in called.items()}


def _target(call: str, caller: Chunk, definitions: dict[str, Chunk], by_name: dict[str, set[str]], imports: str) -> str | None:
    """Return the one definition that ``call`` can mean, None when there may be another."""
    for prefix in _SELF[:3]:
        if call.startswith(prefix):
            symbol = f"{caller.scope}.{call.removeprefix(prefix)}"
            return symbol if caller.scope and symbol in definitions and _same_file(symbol, caller, definitions) else None
    first = call.partition(".")[0]
    if call not in definitions or (("." not in call) and by_name[call] != {call}) or _rebound(first, caller):
        return None
    imported = re.search(rf"\bimport\b[^;]*\b{re.escape(first)}\b", imports) is not None
    return call if _same_file(call, caller, definitions) or imported else None


def _same_file(symbol: str, caller: Chunk, definitions: dict[str, Chunk]) -> bool:
    return definitions[symbol].file_path == caller.file_path


def _rebound(name: str, caller: Chunk) -> bool:
    """Whether ``name`` may be a parameter or a variable of the caller's own."""
    own = rf"\b{re.escape(name)}\b\s*(?::[^=\n]*)?=(?!=)|\b(?:for|as|let|const|var)\s+{re.escape(name)}\b"
    return (
        re.search(rf"[(,]\s*\*{{0,2}}{re.escape(name)}\b", caller.signature) is not None
        or re.search(own, caller.text) is not None
    )
