"""A chunk under consideration: what the store knows of it, its scores, and what ranking reads off its path and name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import log1p
from typing import Any

from cia.retrieval.tokens import words

_TESTS = re.compile(
    r"(?:^|/)(?:tests?|testing|__tests__|specs?|e2e)/|(?:^|/)(?:test_[^/]*|[^/]*[_.](?:test|spec)|conftest|[^/]*Tests?)\.\w+$"
)
_EXAMPLES = re.compile(r"(?:^|/)(?:examples?|samples?|demos?|benchmarks?|bench|tutorials?|docs_src)/")
_DOCUMENTATION = re.compile(
    r"(?:^|/)(?:docs?|documentation)/|\.(?:md|rst|txt|adoc)$|(?:^|/)(?:README|CHANGE|HISTORY|AUTHORS)", re.IGNORECASE
)
_VENDORED = re.compile(
    r"(?:^|/)(?:_?vendor(?:ed)?|third_party|node_modules|extern(?:al)?|_compat|compat|legacy|dist|generated)/"
    r"|\.min\.js$|_pb2(?:_grpc)?\.pyi?$|\.generated\.\w+$"
)


@dataclass(frozen=True, slots=True)
class PathTraits:
    """What a path says about a file."""

    folder_words: tuple[str, ...]
    stem_words: tuple[str, ...]
    is_test: bool
    is_example: bool
    is_documentation: bool
    is_vendored: bool


@lru_cache(maxsize=1 << 15)
def path_traits(path: str) -> PathTraits:
    """Return what ``path`` says."""
    stem = path.rpartition("/")[2].partition(".")[0] or path.rpartition("/")[2]
    if stem in ("__init__", "index", "mod", "main", "lib") and "/" in path:
        stem = path.split("/")[-2]
    return PathTraits(
        folder_words=words(path.rpartition("/")[0]),
        stem_words=words(stem),
        is_test=_TESTS.search(path) is not None,
        is_example=_EXAMPLES.search(path) is not None,
        is_documentation=_DOCUMENTATION.search(path) is not None,
        is_vendored=_VENDORED.search(path) is not None,
    )


def file_stem(path: str) -> str:
    """Return the lower-case name of a file without any extension."""
    return path.rpartition("/")[2].partition(".")[0].lower()


def module_of(path: str) -> str:
    """Return a path as an import names it: ``shop/cart.py`` is ``shop.cart``, ``shop/__init__.py`` is ``shop``."""
    return (path.rpartition(".")[0] or path).replace("/", ".").removesuffix(".__init__")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is read off a chunk itself. ``called`` are the last parts of the names that it calls, in lower case; ``lines`` is
    the logarithm of one more than it has."""

    name_words: tuple[str, ...]
    called: tuple[str, ...]
    is_function: bool
    is_class: bool
    is_module: bool
    is_section: bool
    is_text: bool
    is_private: bool
    is_dunder: bool
    lines: float


FACTS_KEPT = 1 << 16
_FACTS: dict[int, Facts] = {}
"""By the id of a chunk, which is a hash of all that they are read off."""


def _facts_of(payload: Mapping[str, Any]) -> Facts:
    name, kind = payload["name"], payload["kind"]
    return Facts(
        name_words=words(payload["symbol"].rpartition(".")[2]),
        called=tuple(call.rpartition(".")[2].lower() for call in payload["calls"]),
        is_function=kind == "function",
        is_class=kind == "class",
        is_module=kind == "module",
        is_section=kind == "section",
        is_text=kind == "text",
        is_private=name.startswith("_") and not name.endswith("__"),
        is_dunder=name.startswith("__") and name.endswith("__"),
        lines=log1p(payload["line_end"] - payload["line_start"] + 1),
    )


@dataclass(slots=True)
class Candidate:
    """A chunk that may answer. ``dense`` is a cosine, ``sparse`` a BM25F score, 0 where it has none; ``file_dense`` and
    ``file_sparse`` are those of its whole file, which has ``file_chunks``. ``name_count`` and ``stem_count`` say how many
    chunks of the repository have the chunk's name or the file's among their terms."""

    repo: str
    commit: str
    id: int
    payload: dict[str, Any]
    dense: float = 0.0
    sparse: float = 0.0
    file_dense: float = 0.0
    file_sparse: float = 0.0
    file_chunks: int = 1
    name_count: int = 0
    stem_count: int = 0
    score: float = 0.0

    @property
    def file_path(self) -> str:
        """The path inside the repository."""
        return str(self.payload["file_path"])

    @property
    def facts(self) -> Facts:
        """What the chunk says whatever is asked, remembered from one question to the next."""
        known = _FACTS.get(self.id)
        if known is None:
            if len(_FACTS) >= FACTS_KEPT:
                _FACTS.clear()
            known = _FACTS[self.id] = _facts_of(self.payload)
        return known

    @property
    def symbol(self) -> str:
        """The qualified name, or ""."""
        return str(self.payload["symbol"])
