"""``repo:``, ``lang:`` and ``path:`` inside a question, and the limits they put on a search."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from cia.chunking import LANGUAGES, language_of
from cia.errors import InputError, NotIndexedError
from cia.retrieval.store import Condition, Generation

MAX_QUERY_CHARACTERS = 20_000
"""Longer questions are files pasted by mistake; nobody waits for their every term to be looked up."""

_FILTER = re.compile(r"(?<!\S)(repo|lang|language|path|file):(\"[^\"]*\"|\S+)")
_OF_OTHER_TOOLS = re.compile(
    r"(?<!\S)(author|branch|commit|content|ext|extension|filename|folder|dir|kind|org|owner|rev|symbol|sym|user):(?=[^\s:/])"
)
"""Filters that people know from elsewhere. Searched for as words they would find something, and not what was meant."""
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`")
_LANGUAGE_NAMES = {"golang": "go", "c#": "csharp", "shell": "bash", "node": "javascript", "makefile": "make", "terraform": "hcl"}
MAX_NAME_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Query:
    """A question without its filters, and the filters. ``repos`` None means all that may be read."""

    text: str
    repos: tuple[str, ...] | None
    languages: tuple[str, ...]
    path: str | None


def parse_query(query: str, repos: Sequence[str] | None, languages: Sequence[str], path: str | None) -> Query:
    """Return the question and its filters. A ``repo:`` inside it can only narrow ``repos``, never widen it.

    Raises InputError for an empty or over-long question and for a filter there is not, NotIndexedError when ``repo:`` names
    one outside ``repos``.
    """
    if len(query) > MAX_QUERY_CHARACTERS:
        raise InputError(f"the question has {len(query)} characters; ask with at most {MAX_QUERY_CHARACTERS}")
    cleaned = _printable(query)
    if unknown := _OF_OTHER_TOOLS.search(_QUOTED.sub("", cleaned)):
        raise InputError(f"there is no filter {unknown[1]}:, only repo:, lang: and path:; put text to search for in quotes")
    if path is not None and path != _printable(path):
        raise InputError("the path to search has characters that no path has; give a folder, a file or a pattern")
    for name in repos or ():
        if name != _printable(name) or len(name) > MAX_NAME_CHARACTERS:
            raise NotIndexedError(f"no repository {name[:MAX_NAME_CHARACTERS]!r} is indexed; `cia index SOURCE` adds one")
    found = Query(cleaned, None if repos is None else tuple(dict.fromkeys(repos)), _languages(languages), path or None)
    named: list[str] = []
    for key, quoted in _FILTER.findall(cleaned):
        value = quoted.strip('"')
        if not value:
            raise InputError(f"the filter {key}: has no value; give one or leave it out")
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


def check_languages(languages: Sequence[str], generations: Sequence[Generation]) -> tuple[str, ...]:
    """Return a sentence for each language in which nothing is indexed.

    Raises InputError for what no language is called: languages are a closed list, so that is a slip and no search.
    """
    absent = [name for name in languages if not any(one.matching(Condition({"language": [name]}), 1) for one in generations)]
    if not absent:
        return ()
    indexed = ", ".join(sorted({language_of(path, b"") for one in generations for path in one.manifest().files}))
    for name in absent:
        if name not in LANGUAGES:
            raise InputError(f"no language is called {name!r}; indexed here are {indexed}")
    return tuple(f"nothing is indexed in {name}; indexed here are {indexed}" for name in absent)


def condition_of(asked: Query, generation: Generation) -> Condition | None:
    """Return what limits a look-up in ``generation``; None when no file of it matches the path."""
    matches: dict[str, Sequence[str]] = {}
    if asked.languages:
        matches["language"] = asked.languages
    if asked.path:
        paths = matching_paths(asked.path, generation.manifest().files)
        if not paths:
            return None
        matches["file_path"] = paths
    return Condition(matches)


def _languages(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(_language(_printable(name).strip().lower()) for name in names)


def _language(name: str) -> str:
    """The language of a name, of another name for it, or of an extension."""
    if name in LANGUAGES:
        return name
    by_extension = language_of(f"file.{name.removeprefix('.')}", b"")
    return _LANGUAGE_NAMES.get(name, name if by_extension == "text" else by_extension)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() or character in "\n\t" else " " for character in text)
