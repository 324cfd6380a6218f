"""Terms: what code and questions are broken into before anything is counted or compared.

An identifier gives its words and itself: ``parseHTTPHeader_v2`` gives ``parse``, ``http``, ``header``, ``v``, ``2`` and
``parsehttpheader_v2``, so that a question in words and a question by name both meet it. Words are cut down to a stem by a few
suffix rules. A term's id is the CRC-32 of its text: the same on every machine and in every release, with no vocabulary to keep.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain

_WORD = re.compile(r"\w+")
_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W\d_a-zA-Z]+")
_WORDS_KEPT = 1 << 18
_MAX_WORD = 80
"""A longer run of word characters is data (a hash, a base64 blob), not a name."""

STOP_WORDS = frozenset(
    _WORD.findall(
        """
        a an and are as at be been being but by can could did do does doing for from had has have having he her his how i if in
        into is it its itself just may me might must my no nor not of off on onto or our own shall she should so some such than
        that the their them then there these they this those to too us via was we were what when where whether which while who
        whom why will with would you your self cls def e g etc ie eg
        """
    )
)


def terms(text: str) -> list[str]:
    """Return the terms of ``text`` in order, stop words left out. Identifiers give their words, then themselves."""
    found: list[str] = []
    for word in _WORD.findall(text):
        found += _word_terms(word)
    return found


@lru_cache(maxsize=1 << 17)
def words(identifier: str) -> tuple[str, ...]:
    """Return the stems of the words in a name or path, stop words kept: ``to_dict`` is ``to``, ``dict``."""
    return tuple(stem(part.lower()) for part in _PARTS.findall(identifier))


def ids_in(text: str) -> Iterator[int]:
    """Return the ids of the terms of ``text``, as ``terms`` orders them."""
    return chain.from_iterable(map(_IDS_OF_WORD.__getitem__, _WORD.findall(text)))


def term_id(term: str) -> int:
    """Return the 32-bit id of ``term`` (CRC-32 of its UTF-8 text)."""
    return zlib.crc32(term.encode())


def term_ids(found: Iterable[str]) -> list[int]:
    """Return the ids of several terms."""
    return [_cached_id(term) for term in found]


_cached_id = lru_cache(maxsize=1 << 18)(term_id)


@lru_cache(maxsize=1 << 18)
def _word_terms(word: str) -> tuple[str, ...]:
    if len(word) > _MAX_WORD:
        return ()
    parts = _PARTS.findall(word)
    lowered = [part.lower() for part in parts]
    if len(parts) == 1:
        return () if lowered[0] in STOP_WORDS else (stem(lowered[0]),)
    kept = [stem(part) for part in lowered if part not in STOP_WORDS]
    return (*kept, word.lower()) if parts else ()


class _IdsOfWord(dict[str, tuple[int, ...]]):
    """The ids of a word's terms. A plain dictionary: it answers within the loops of C that ``ids_in`` consists of."""

    def __missing__(self, word: str) -> tuple[int, ...]:
        if len(self) >= _WORDS_KEPT:
            self.clear()
        ids = self[word] = tuple(map(term_id, _word_terms(word)))
        return ids


_IDS_OF_WORD = _IdsOfWord()


@lru_cache(maxsize=1 << 17)
def stem(word: str) -> str:
    """Return a lower-case English word without its commonest endings: ``parses``, ``parsed``, ``parsing`` give ``pars``.

    The first steps of M. F. Porter, "An algorithm for suffix stripping" (1980), which are those that pay on code.
    """
    if len(word) <= 3 or not word.isascii():
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "shes", "ches", "xes", "zes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        base = word[: -len(ending)]
        if word.endswith(ending) and len(base) >= 3 and any(vowel in base for vowel in "aeiouy"):
            word = base
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    if len(word) > 4 and word.endswith("e"):
        word = word[:-1]
    elif len(word) > 3 and word.endswith("y") and word[-2] not in "aeiou":
        word = word[:-1] + "i"
    return word
