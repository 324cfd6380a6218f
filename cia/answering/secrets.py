"""Secrets in code are masked before a model, a reader or a trace sees the code.

What counts as one is detect-secrets' judgement: the formats of some twenty services, strings of high entropy, and what is
assigned to a name such as ``password``. Lines stay lines, so that citations still hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from cia.retrieval.result import SearchResult

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

MASK = "[MASKED]"

CHUNKS_REMEMBERED = 16_384
"""Looking through a chunk takes about a millisecond, and the same ones come again and again."""

_KEY_BLOCK = re.compile(r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)(.*?)(-----END |\Z)", re.DOTALL)
# What is left of a key block that was cut in two, and keys kept without their first and last lines.
_KEY_LINE = re.compile(r"^(\W*)[A-Za-z0-9+/]{60,}={0,2}(\W*)$", re.MULTILINE)
_TEXT = re.compile(r"[^\s\"'#]+")
_KEYWORDS = re.compile(r"key|pass|pw|secret|token|auth|cred|contrase", re.IGNORECASE)

# What every service's token, every hash and every password in an address has: looked for first, as most lines have neither.
_TOKEN_LIKE = re.compile(r"://|(?=[\w+/=.~-]*\d)[\w+/=.~-]{12}")
_ANNOTATED = re.compile(r"(\w+)\s*:\s*[\w.\[\], |\"']{1,60}?\s*=(?!=)")
"""``password: str =``, which detect-secrets does not take for an assignment."""

_COMMENT = re.compile(r"\s*(?:#|//|\*|--|;)")
PROSE = frozenset({".md", ".rst", ".txt", ".adoc"})

SHORTEST = 4
"""Shorter strings are flags and separators; as passwords they would protect nothing."""

PLACEHOLDERS = frozenset({"password", "passwd", "secret", "token", "bearer", "basic", "none", "null", "true", "false", "string"})
"""Values that only repeat what they are assigned to, or a type."""


def masked(chunk: SearchResult) -> SearchResult:
    """Return ``chunk`` without the secrets in its text."""
    text = _mask_chunk(chunk.text, chunk.file_path)
    return chunk if text == chunk.text else replace(chunk, text=text)


def mask(text: str, path: str = "") -> str:
    """Return ``text`` with every secret replaced by ``[MASKED]``, line for line. ``path`` tells how assignments are written."""
    text = _KEY_BLOCK.sub(lambda block: block[1] + _TEXT.sub(MASK, block[2]) + block[3], text)
    text = _KEY_LINE.sub(rf"\1{MASK}\2", text)
    return "\n".join(_masked_line(line, path) for line in text.split("\n"))


@lru_cache(maxsize=CHUNKS_REMEMBERED)
def _mask_chunk(text: str, path: str) -> str:
    return mask(text, path)


def _masked_line(line: str, path: str) -> str:
    if len(line) < 2 * SHORTEST or line.isspace():
        return line
    for pattern in _patterns(line, path):
        line = pattern.sub(MASK, line)
    return line


def _patterns(line: str, path: str) -> Iterator[re.Pattern[str]]:
    """What to mask: of a service's token the whole run of characters, for some detectors name no more than its start."""
    for plugin in _format_detectors() if _TOKEN_LIKE.search(line) else ():
        for secret in _found(plugin, line, path):
            yield re.compile(rf"[\w+/=.~-]*{re.escape(secret)}[\w+/=.~-]*")
    if not _KEYWORDS.search(line):
        return
    unquoted = PurePosixPath(path).suffix in PROSE or _COMMENT.match(line) is not None
    values = set(_found(_keyword_detector(), _ANNOTATED.sub(r"\1 =", line), path))
    if unquoted or PurePosixPath(path).name.startswith(".env"):
        values.update(_found(_keyword_detector(), line, "unquoted.ini"))
    for value in sorted(filter(_may_be_a_secret, values), key=len, reverse=True):
        # In prose "token: optional" is no secret; a digit or a mark inside tells one from a word.
        if len(value) >= SHORTEST and (not unquoted or re.search(r"[\d!$%&*@~^]", value)):
            yield re.compile(rf"(?<!\w){re.escape(value)}(?!\w)")


def _found(plugin: BasePlugin, line: str, path: str) -> list[str]:
    return [found.secret_value for found in plugin.analyze_line(filename=path, line=line) if found.secret_value]


def _may_be_a_secret(value: str) -> bool:
    """Whether what is assigned to a telling name is a value of its own and not a reference, a type or a sentence."""
    from detect_secrets.filters import heuristic

    references = (heuristic.is_templated_secret, heuristic.is_prefixed_with_dollar_sign, heuristic.is_not_alphanumeric_string)
    is_code = re.search(r"[()\s\[\]{}<>]|^[\w.]+\.[a-z_]+$|^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$", value)
    return not is_code and value.lower() not in PLACEHOLDERS and not any(refers(value) for refers in references)


@cache
def _format_detectors() -> tuple[BasePlugin, ...]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    # Keywords and key blocks are looked for above; an address on the internet is none.
    others = ("KeywordDetector", "PrivateKeyDetector", "IPPublicDetector")
    classes: Iterable[Any] = get_mapping_from_secret_type_to_class().values()
    return tuple(detector() for detector in classes if detector.__name__ not in others)


@cache
def _keyword_detector() -> BasePlugin:
    from detect_secrets.plugins.keyword import KeywordDetector

    return KeywordDetector()
