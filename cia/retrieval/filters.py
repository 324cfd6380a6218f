"""``repo:``, ``lang:`` and ``path:`` inside a question, and the limits they put on a search."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from cia.errors import InputError, NotIndexedError

MAX_QUERY_CHARACTERS = 20_000
"""Longer questions are files pasted by mistake; nobody waits for their every term to be looked up."""

_FILTER = re.compile(r"(?<!\S)(repo|lang|language|path|file):(\"[^\"]*\"|\S+)")
_LANGUAGE_NAMES = {
    "py": "python",
    "js": "javascript",
    "ts": "typescript",
    "rs": "rust",
    "golang": "go",
    "c++": "cpp",
    "cs": "csharp",
    "c#": "csharp",
    "rb": "ruby",
    "sh": "bash",
    "md": "markdown",
    "yml": "yaml",
    "kt": "kotlin",
}


@dataclass(frozen=True, slots=True)
class Query:
    """A question without its filters, and the filters. ``repos`` None means all that may be read."""

    text: str
    repos: tuple[str, ...] | None
    languages: tuple[str, ...]
    path: str | None


def parse_query(query: str, repos: Sequence[str] | None, languages: Sequence[str], path: str | None) -> Query:
    """Return the question and its filters. A ``repo:`` inside it can only narrow ``repos``, never widen it.

    Raises InputError for an empty or over-long question, NotIndexedError when ``repo:`` names one outside ``repos``.
    """
    if len(query) > MAX_QUERY_CHARACTERS:
        raise InputError(f"the question has {len(query)} characters; ask with at most {MAX_QUERY_CHARACTERS}")
    cleaned = "".join(character if character.isprintable() or character in "\n\t" else " " for character in query)
    found = Query(cleaned, None if repos is None else tuple(dict.fromkeys(repos)), _languages(languages), path or None)
    named: list[str] = []
    for key, quoted in _FILTER.findall(cleaned):
        value = quoted.strip('"')
        if not value:
            continue
        if key == "repo":
            named.append(value)
        elif key in ("lang", "language"):
            found = replace(found, languages=(*found.languages, *_languages([value])))
        else:
            found = replace(found, path=value)
    if named:
        outside = [name for name in named if found.repos is not None and name not in found.repos]
        if outside:
            raise NotIndexedError(
                f"no repository {outside[0]!r} is indexed among those searched; leave out repo: or name another"
            )
        found = replace(found, repos=tuple(dict.fromkeys(named)))
    text = " ".join(_FILTER.sub(" ", cleaned).split())
    if not text:
        raise InputError("the question is empty; ask for a name, a file or in a sentence")
    return replace(found, text=text)


def matching_paths(pattern: str, paths: Iterable[str]) -> list[str]:
    """Return the paths that ``pattern`` means: a glob (``src/**/*.py``), a folder, a file, or the end of a path."""
    wanted = pattern.strip().strip("/")
    if any(character in wanted for character in "*?["):
        flat = wanted.replace("**/", "*").replace("**", "*")
        return [path for path in paths if fnmatchcase(path, flat) or fnmatchcase(path, f"*/{flat}")]
    return [path for path in paths if f"/{wanted}/" in f"/{path}/"]


def _languages(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(_LANGUAGE_NAMES.get(name.lower(), name.lower()) for name in names)
