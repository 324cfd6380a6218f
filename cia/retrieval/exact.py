"""Look-ups that spell out what they want: a name, a file, lines of it, a text in quotes, a message with its values filled in.

Ranking weighs likelihoods; here there is nothing to weigh. ``spelled_out`` finds in one generation the chunks that a question
spells out, whatever the vectors make of them, and ``answered_first`` puts before all others those that leave no doubt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile

import numpy as np

from cia.retrieval.candidate import Candidate, module_of, path_traits
from cia.retrieval.messages import fills_in, fixed_parts, holds, messages, quotes_most_of
from cia.retrieval.question import Place, Question
from cia.retrieval.sparse import SparseTerms
from cia.retrieval.store import Condition, Generation, file_point_id
from cia.retrieval.tokens import term_ids, terms

NAMED = 50
"""Chunks of one name that are looked at; of a qualified name ``QUALIFIED``, since most of its last parts belong elsewhere."""
QUALIFIED = 1000
FILES = 20
CHUNKS_OF_FILES = 300
MOST_CHUNKS_OF_FILES = 5000
RAREST = 3
POSTINGS = 5000
QUOTING = 100

_OVERLOAD = re.compile(r"\s*@(?:\w+\.)*overload\b")


def spelled_out(generation: Generation, question: Question, condition: Condition) -> set[int]:
    """Return the ids of chunks that have a name, a file or a quoted text which ``question`` spells out."""
    found = _named(generation, question, condition)
    stored = generation.manifest().files if question.places or (question.bare and not found) else {}
    for place in question.places:
        found |= _in_files(generation, files_meant(place.path, stored, generation.record.name), condition, place)
    if question.bare and not found:
        modules = [path for path in stored if _is_module(path, question.names)][:FILES]
        found |= _in_files(generation, modules, condition, Place(""))
    for text in (*question.quoted, *fixed_parts(question)):
        found |= _quoting(generation, text, condition)
    return found


def files_meant(path: str, stored: Iterable[str], repo: str) -> list[str]:
    """Return which of the ``stored`` files ``path`` may mean, best first: those that it ends, or else the one that ends it.

    ``_urls.py`` is any file of that name; ``/usr/lib/site-packages/httpx/_urls.py`` is ``httpx/_urls.py``.
    """
    wanted = path.lower().split("/")
    shared: dict[str, int] = {}
    for file in stored:
        if file.lower().endswith(wanted[-1]):
            parts = zip(reversed(wanted), reversed(file.lower().split("/")), strict=False)
            shared[file] = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], parts))
    most = max(shared.values(), default=0)
    if most < len(wanted) and most < 2 and wanted[:-1] != [repo.lower()]:
        return []
    meant = [file for file, count in shared.items() if count == most > 0]
    return sorted(meant, key=lambda file: (not file.endswith(path), file.count("/"), file))[:FILES]


def answered_first(question: Question, ranked: Sequence[Candidate]) -> list[Candidate]:
    """Return ``ranked`` with the chunks first that ``question`` spells out beyond doubt, its scores handed on in order."""
    order = _order_of_places(question, ranked) or _order_of_names(question, ranked) or _order_of_texts(question, ranked)
    if not order:
        return list(ranked)
    first = sorted(order, key=order.__getitem__)
    ordered = [ranked[number] for number in first] + [one for number, one in enumerate(ranked) if number not in order]
    for candidate, score in zip(ordered, sorted((one.score for one in ranked), reverse=True), strict=True):
        candidate.score = score
    return ordered


Order = dict[int, tuple[float, ...]]
"""For the numbers of some candidates, what sorts them."""


def _order_of_places(question: Question, ranked: Sequence[Candidate]) -> Order:
    order: Order = {}
    asked = [place for place in question.places if place.first or question.one_place]
    for repo in {candidate.repo for candidate in ranked} if asked else ():
        paths = {candidate.file_path for candidate in ranked if candidate.repo == repo}
        for turn, place in enumerate(asked):
            rank = {path: number for number, path in enumerate(files_meant(place.path, paths, repo))}
            for number, candidate in enumerate(ranked):
                if candidate.repo == repo and candidate.file_path in rank:
                    missed = _missed(place, candidate)
                    if missed < 1 or question.one_place:
                        order.setdefault(number, (turn, rank[candidate.file_path], missed, *_standing(candidate)))
    return order


def _missed(place: Place, candidate: Candidate) -> float:
    """0 for the chunk that is exactly the lines named, towards 1 the more it has besides, 1 when it has none of them."""
    if not place.first:
        return 0.0
    start, end = candidate.payload["line_start"], candidate.payload["line_end"]
    shared = min(end, place.last) - max(start, place.first) + 1
    either = max(end, place.last) - min(start, place.first) + 1
    return 1.0 - max(shared, 0) / either


def _standing(candidate: Candidate) -> tuple[float, ...]:
    """How well a chunk stands for its file: what it defines at its top level, then the rest, as the file has them."""
    payload = candidate.payload
    defines = payload["kind"] in ("function", "class", "section")
    level = candidate.symbol.count(".") + 2 * payload["name"].startswith("_") if payload["kind"] != "section" else 0
    return (0 if defines and not level else 1 if defines else 2), payload["line_start"], -payload["line_end"]


def _order_of_names(question: Question, ranked: Sequence[Candidate]) -> Order:
    if not question.bare or not question.names:
        return {}
    wanted = max(question.names, key=len)
    order: Order = {}
    for number, candidate in enumerate(ranked):
        doubt = _doubt(wanted, candidate)
        if doubt is not None:
            aside = path_traits(candidate.file_path).is_test and not question.about_tests
            order[number] = (doubt, aside, _OVERLOAD.match(candidate.payload["text"]) is not None, number)
    if order:
        return order
    modules = {path for path in {one.file_path for one in ranked} if _is_module(path, [wanted])}
    return {
        number: (path_traits(candidate.file_path).is_test, *_standing(candidate))
        for number, candidate in enumerate(ranked)
        if candidate.file_path in modules
    }


def _doubt(wanted: str, candidate: Candidate) -> int | None:
    """0 when ``wanted`` is this very definition, more the less it spells out of it, None when it is another."""
    scope, _, name = wanted.rpartition(".")
    payload = candidate.payload
    if payload["name"] != name.lower() or not payload["name"] or payload["kind"] == "section":
        return None
    full = f".{module_of(candidate.file_path)}.{candidate.symbol}"
    if full.endswith(f".{wanted}"):
        return 0 if scope or payload["kind"] in ("function", "class") else 1
    if full.lower().endswith(f".{wanted.lower()}"):
        return 1
    around = full.lower().split(".")[:-1]
    if _in_order(scope.lower().split("."), around):
        return 2
    holder = candidate.symbol.rpartition(".")[0].rpartition(".")[2].lower()
    return 3 if holder and _in_order(scope.lower().rpartition(".")[2].strip("_"), holder) else 4


def _in_order(parts: Sequence[str], whole: Sequence[str]) -> bool:
    rest = iter(whole)
    return all(part in rest for part in parts)


def _order_of_texts(question: Question, ranked: Sequence[Candidate]) -> Order:
    if question.bare or question.places:
        return {}
    order: Order = {}
    if quotes_most_of(question):
        order = _order_of_holders(question, ranked, lambda text: all(holds(text, quoted) for quoted in question.quoted))
    asked = list(messages(question))
    if order or not asked:
        return order
    return _order_of_holders(question, ranked, lambda text: fills_in(text, asked))


def _order_of_holders(question: Question, ranked: Sequence[Candidate], test: Callable[[str], bool]) -> Order:
    holders = {number: candidate for number, candidate in enumerate(ranked) if test(candidate.payload["text"])}
    order: Order = {}
    for number, candidate in holders.items():
        traits = path_traits(candidate.file_path)
        aside = (traits.is_test and not question.about_tests) or (traits.is_documentation and not question.about_documentation)
        order[number] = (aside, any(_is_around(candidate, other) for other in holders.values()), number)
    return order


def _is_around(outer: Candidate, inner: Candidate) -> bool:
    if outer is inner or (outer.repo, outer.file_path) != (inner.repo, inner.file_path):
        return False
    return bool(
        outer.payload["line_start"] <= inner.payload["line_start"] and inner.payload["line_end"] <= outer.payload["line_end"]
    )


def _named(generation: Generation, question: Question, condition: Condition) -> set[int]:
    names = sorted({name.rpartition(".")[2].lower() for name in question.names})
    if not names:
        return set()
    within = Condition({**condition.matches, "name": names})
    ids = generation.matching(within, QUALIFIED if any("." in name for name in question.names) else NAMED)
    if len(ids) <= NAMED:
        return set(ids)
    scopes = {name.rpartition(".")[0].rpartition(".")[2].lower() for name in question.names}

    def is_elsewhere(identifier: int, payloads: Mapping[int, dict[str, object]]) -> bool:
        payload = payloads[identifier]
        return not scopes & set(f"{module_of(str(payload['file_path']))}.{payload['symbol']}".lower().split("."))

    payloads = generation.payloads(ids)
    return set(sorted(payloads, key=lambda identifier: (is_elsewhere(identifier, payloads), identifier))[:NAMED])


def _in_files(generation: Generation, paths: Sequence[str], condition: Condition, place: Place) -> set[int]:
    """The chunks of files, or of so large a file those that have lines of ``place``."""
    allowed = condition.matches.get("file_path")
    kept = [path for path in paths if allowed is None or path in allowed]
    if not kept:
        return set()
    ids = generation.matching(Condition({**condition.matches, "file_path": kept}), MOST_CHUNKS_OF_FILES)
    found = set(ids) - set(map(file_point_id, kept))
    if len(found) <= CHUNKS_OF_FILES or not place.first:
        return set(sorted(found)[:CHUNKS_OF_FILES])
    payloads = generation.payloads(sorted(found))
    return {
        identifier
        for identifier, payload in payloads.items()
        if payload["line_start"] <= place.last and payload["line_end"] >= place.first
    }


def _is_module(path: str, names: Sequence[str]) -> bool:
    return f".{module_of(path)}".lower().endswith(tuple(f".{name.lower()}" for name in names))


def _quoting(generation: Generation, quoted: str, condition: Condition) -> set[int]:
    """The chunks that hold ``quoted``: those that hold each of its rarest terms, read through for the text itself.

    The words at its ends may be cut off in the middle; they count only when there are no others.
    """
    inner = terms(re.sub(r"^\w+|\w+$", " ", quoted)) or terms(quoted)
    ids = np.asarray(sorted(set(term_ids(inner))), np.uint32)
    counts = generation.lexicon.frequencies(ids)
    if not len(ids) or not counts.any():
        return set()
    rarest = [int(place) for place in np.argsort(counts, kind="stable") if counts[place]][:RAREST]
    holders: set[int] | None = None
    for place in rarest:
        if holders is None or counts[place] <= POSTINGS:
            one = SparseTerms(ids[place : place + 1], np.ones(1, np.float32))
            postings = {found for found, _ in generation.nearest("chunk", one, min(int(counts[place]), POSTINGS), condition)}
            holders = postings if holders is None else holders & postings
    payloads = generation.payloads(sorted(holders or ())[: 10 * QUOTING])
    return set([identifier for identifier, payload in payloads.items() if holds(payload["text"], quoted)][:QUOTING])
