"""What a question asks for, worked out from its words: names of code, files, quoted text, tests."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from cia.retrieval.tokens import terms

_PATH = re.compile(r"(?<![\w/.:-])/?(?:[\w.@+-]+/)*[\w-][\w.-]*\.[A-Za-z][A-Za-z0-9]{0,7}(?![\w/(])")
_LINES = re.compile(
    r":(?P<a>\d+)(?::\d+)?(?:\s*[-–]\s*(?P<b>\d+))?|#L(?P<c>\d+)(?:-L?(?P<d>\d+))?"
    r"|[\"']?,?\s+(?:at\s+|on\s+)?lines?\s+(?P<e>\d+)(?:\s*(?:-|–|to|and)\s*(?P<f>\d+))?"
)
_QUALIFIED = re.compile(r"(?<![\w$])[A-Za-z_$][\w$]*(?:(?:\.|::|#|->|\\)[A-Za-z_$][\w$]*)+")
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")
_SEPARATOR = re.compile(r"::|->|[.#\\]")
_QUOTED = re.compile(r"`([^`\n]{2,200})`|\"([^\"\n]{3,200})\"|(?<!\w)'([^'\n]{3,200})'(?!\w)")
_TESTS = re.compile(r"\b(?:tests?|tested|testing|unittests?|fixtures?|specs?|test_\w+|conftest)\b", re.IGNORECASE)
_DOCUMENTATION = re.compile(r"\b(?:docs?|documentation|readme|changelog|tutorial|guide|release notes)\b", re.IGNORECASE)
_EXAMPLES = re.compile(r"\b(?:examples?|demos?|samples?|benchmarks?)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A file that a question spells out, and the lines it names of it: 1-based, inclusive, both 0 when it names none."""

    path: str
    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """A question taken apart.

    ``names`` are identifiers that look like code (qualified ones as written, with dots); ``paths`` look like files, and
    ``places`` are those with their lines; ``quoted`` is text in quotes. ``bare`` says that the question is nothing but one
    name or path, ``one_place`` that it is nothing but a path, with or without lines.
    """

    text: str
    terms: Counter[str]
    names: tuple[str, ...]
    paths: tuple[str, ...]
    places: tuple[Place, ...]
    one_place: bool
    quoted: tuple[str, ...]
    bare: bool
    about_tests: bool
    about_documentation: bool
    about_examples: bool


def take_apart(text: str) -> Question:
    """Return what ``text`` asks for. Never fails: what is not recognised stays words."""
    quoted = tuple(next(group for group in found if group) for found in _QUOTED.findall(text))
    places, rest = _places(text)
    paths = tuple(dict.fromkeys(place.path for place in places))
    names = dict.fromkeys(_SEPARATOR.sub(".", found) for found in _QUALIFIED.findall(text))
    names |= dict.fromkeys(word for word in _IDENTIFIER.findall(text) if looks_like_code(word))
    names |= dict.fromkeys(part for part in quoted if _IDENTIFIER.fullmatch(part))
    names |= dict.fromkeys(found[:-1] for found in re.findall(r"\b[A-Za-z_]\w+\(", text))
    stripped = text.strip().rstrip("()?")
    one_name = bool(_QUALIFIED.fullmatch(stripped) or _IDENTIFIER.fullmatch(stripped))
    if one_name:
        names[_SEPARATOR.sub(".", stripped)] = None
    return Question(
        text=text,
        terms=Counter(terms(text)),
        names=tuple(name for name in names if name not in paths),
        paths=paths,
        places=places,
        one_place=len(places) == 1 and not rest.strip(" \t`'\"()<>"),
        quoted=quoted,
        bare=one_name or (len(paths) == 1 and paths[0] == text.strip()),
        about_tests=_TESTS.search(text) is not None,
        about_documentation=_DOCUMENTATION.search(text) is not None,
        about_examples=_EXAMPLES.search(text) is not None,
    )


def _places(text: str) -> tuple[tuple[Place, ...], str]:
    """The files that ``text`` spells out, with their lines, and what is left of it without them."""
    places: dict[Place, None] = {}
    rest, end = [], 0
    for found in _PATH.finditer(text):
        if found.start() < end or not looks_like_a_file(found[0]):
            continue
        rest.append(text[end : found.start()])
        end = found.end()
        first = last = 0
        if lines := _LINES.match(text, end):
            named = [int(number[:9]) for number in lines.groups() if number]
            first, last = named[0], max(named)
            end = lines.end()
        places[Place(found[0].removeprefix("./").lstrip("/"), first, last)] = None
    return tuple(places), "".join([*rest, text[end:]])


def looks_like_code(word: str) -> bool:
    """Return whether a word is written as programmers write names, not as prose: ``to_dict``, ``QueryParams``, ``_urls``."""
    inner = word.strip("_")
    return "_" in word or any(before.islower() and after.isupper() for before, after in pairwise(inner))


def looks_like_a_file(path: str) -> bool:
    """Return whether ``path`` has an extension that files have: ``_urls.py`` is one, ``QueryParams.add`` is not."""
    return "/" in path or path.rpartition(".")[2].lower() in _EXTENSIONS


_EXTENSIONS = frozenset(
    re.findall(
        r"\S+",
        """
        py pyi pyx js jsx mjs cjs ts tsx go rs java kt kts scala rb php c h cc cpp cxx hpp hh cs swift m mm lua pl sh bash zsh
        sql r ex exs erl hs ml clj zig dart vue svelte html css scss less json yaml yml toml ini cfg conf xml md rst txt ipynb
        proto tf gradle cmake dockerfile lock env
        """,
    )
)
