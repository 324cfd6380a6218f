"""Citations: read from a model's text, checked against what it was shown, written in one form.

A citation stays only if it points into lines of the context, the file exists at the indexed commit, and the lines are
in its range. Whatever else looks like one (``[0]``, ``[99]``, ``[other/file.py:1-2]``, a Markdown link in its place) is
taken out together with the space before it. Indexing such as ``args[1]``, and numbers in quoted code, are left alone.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cia.answering.answer import Citation
from cia.answering.inert import code_parts, inert, plain_fences
from cia.corpus.text import decode, split_lines
from cia.retrieval.result import SearchResult

LineCount = Callable[[SearchResult], int | None]
"""How many lines the chunk's file has at the chunk's commit; None when there is no such file."""

FILES_REMEMBERED = 8192

_REMOVED = "\ue000"
"""Stands where something was taken out until the gap is closed. A private-use character, never part of a reply."""

_OPENING = re.compile(r"!?(?P<bracket>[\[【［])")
# The text inside brackets; one level of brackets may be nested in it.
_BRACKETS = re.compile(r"[\[【［](?:[^\[\]【】［］\n]|\[[^\[\]\n]{0,200}\]){1,400}[\]】］]")
_IDENTIFIER_END = re.compile(r"[A-Za-z0-9_)\]]")
_NUMBERS = re.compile(r"[1-9][0-9]{0,2}(?: ?[,;] ?[1-9][0-9]{0,2})*")
_LINES = re.compile(r"(?P<start>[1-9][0-9]{0,8})(?:-(?P<end>[1-9][0-9]{0,8}))?")
# What a model writes when it means an excerpt: 0, -1, #2, ١, ², [1], 2:15-17, 1†source.
_NUMBER_LIKE = re.compile(r"\W*[\d²³¹⁰⁴-⁹₀-₉①-⑳]+\W*|\W*\d+:\W*\d+\W+\d+\W*|\d+†.*")
# And when it means lines of a file: a path and a line, or anything and a range of lines.
_PLACE_LIKE = re.compile(r".*[/\\%.].*:\s*[L+−–—-]*\d+\s*|.*:\s*[L+−–—-]*\d+\s*[-−–—]+\s*[L+−-]*\d+\s*")
_PLACE_LIKE_IN_CODE = re.compile(r"[^\s\"']+:\d+-\d+")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_LINK_TARGET = re.compile(r"\((?:[^()\n]|\([^()\n]{0,200}\)){0,2000}\)")
_LEADS_AWAY = re.compile(r"\(\s*<?(?:[a-z][a-z0-9+.-]*:|//|www\.|/|#|\.)", re.IGNORECASE)
_LINK_DEFINITION = re.compile(r"^ {0,3}\[[^\[\]\n]{1,400}\]:[ \t]*<?(?:[a-z][a-z0-9+.-]*:|//)[^\n]*", re.MULTILINE | re.I)


@dataclass(frozen=True, slots=True)
class CheckedText:
    """A text in which every citation is verified and spelled ``[repo/path:start-end]``.

    ``citations`` names each place once, in the order of the text; ``dropped`` counts those that were taken out.
    """

    text: str
    citations: tuple[Citation, ...]
    dropped: int


def check(text: str, context: Sequence[SearchResult], line_count: LineCount | None = None) -> CheckedText:
    """Return ``text`` with none but true citations of ``context``, the chunks exactly as the model was shown them, and inert.

    ``[2]`` and ``[1, 2]`` mean whole shown chunks, ``[repo/path:5-9]`` lines inside one. ``line_count`` looks at the file
    itself (see ``line_count_in``); without it only the context is compared, which suits text that nobody is shown.
    """
    reader = _Reader(context, line_count)
    text = plain_fences(text.replace(_REMOVED, ""))
    written = "".join(reader.code(part) if is_code else reader.prose(part) for is_code, part in code_parts(text))
    return CheckedText(inert(_close_gaps(written)), tuple(dict.fromkeys(reader.found)), reader.dropped)


def line_count_in(read_bytes: Callable[[str, str, str], bytes | None]) -> LineCount:
    """Return a LineCount over ``read_bytes(repo, commit, path)``, which gives None for a file that is not there.

    What a commit holds never changes, so that a file that was there is read once.
    """
    known: dict[tuple[str, str, str], int] = {}

    def line_count(chunk: SearchResult) -> int | None:
        place = (chunk.repo, chunk.commit, chunk.file_path)
        if place not in known:
            data = read_bytes(*place)
            if data is None:
                return None
            if len(known) >= FILES_REMEMBERED:
                known.clear()
            known[place] = len(split_lines(decode(data)))
        return known.get(place)

    return line_count


class _Reader:
    """One reading of a text against a context: what was found, and how much was dropped."""

    def __init__(self, context: Sequence[SearchResult], line_count: LineCount | None) -> None:
        self.context = context
        self.line_count = line_count
        self.found: list[Citation] = []
        self.dropped = 0
        files = sorted({f"{chunk.repo}/{chunk.file_path}" for chunk in context}, key=len, reverse=True)
        # Spelled out, because a path may itself hold brackets: [shop/app/[id]/page.tsx:3-9].
        self._place = re.compile(rf"\[(?P<file>{'|'.join(map(re.escape, files)) or '(?!)'}):(?P<lines>[^\[\]\n]{{0,60}})\]")

    def prose(self, text: str) -> str:
        text = _LINK_DEFINITION.sub(lambda _: self._drop(), _undisguised(text))
        written: list[str] = []
        at = cited_until = 0
        while opening := _OPENING.search(text, at):
            start = opening.start("bracket")
            written.append(text[at:start])
            # In client[1] the number is an index, in [1][2] it is another citation.
            indexed = start > cited_until and _IDENTIFIER_END.match(text, start - 1) is not None
            replacement, at, cited = self._bracket(text, start, indexed)
            if at > start + 1 and not cited:
                written[-1] = written[-1].removesuffix("!")  # of an image
            if cited or replacement == _REMOVED:
                cited_until = at
            if cited:
                # A citation glued to what follows would be a Markdown link or its definition.
                line_starts = not written[-1].rpartition("\n")[2].strip()
                replacement += " " if text[at : at + 1] in ("(", "[") or (line_starts and text[at : at + 1] == ":") else ""
            written.append(replacement)
        return "".join([*written, text[at:]])

    def code(self, text: str) -> str:
        written: list[str] = []
        at = 0
        for brackets in re.finditer(r"\[[^\[\]\n]{3,400}\]", text):
            indexed = brackets.start() > 0 and _IDENTIFIER_END.match(text, brackets.start() - 1)
            if _PLACE_LIKE_IN_CODE.fullmatch(brackets.group()[1:-1]) and not indexed:
                place = self._place.fullmatch(brackets.group())
                citation = self._lines_of(place) if place else None
                written += [text[at : brackets.start()], self._emit([citation] if citation else [])]
                at = brackets.end()
        rest = "".join([*written, text[at:]])
        return rest if rest.strip(f"`{_REMOVED} ") else _REMOVED

    def _bracket(self, text: str, start: int, indexed: bool) -> tuple[str, int, bool]:
        """Return what replaces the bracket at ``start``, where reading goes on, and whether that was a citation."""
        place = self._place.match(text, start)
        brackets = place or _BRACKETS.match(text, start)
        if brackets is None:
            return text[start], start + 1, False
        content = brackets.group()[1:-1]
        meant = bool(place) or bool(_PLACE_LIKE.fullmatch(content)) or (not indexed and bool(_NUMBER_LIKE.fullmatch(content)))
        target = _LINK_TARGET.match(text, brackets.end())
        if target and _LEADS_AWAY.match(target.group()):
            return (self._drop() if meant else self.prose(content)), target.end(), False
        if place:
            citation = self._lines_of(place)
            return self._emit([citation] if citation else []), place.end(), citation is not None
        if not indexed and _NUMBERS.fullmatch(content.strip()):
            cited = self._numbered([int(number) for number in re.findall(r"[0-9]+", content)])
            if cited or meant:
                return self._emit(cited), brackets.end(), bool(cited)
        if meant or _nested(content):
            return self._drop(), brackets.end(), False
        return text[start], start + 1, False

    def _numbered(self, numbers: list[int]) -> list[Citation]:
        if max(numbers) > len(self.context):
            return []
        chunks = [self.context[number - 1] for number in numbers]
        cited = [self._verified(chunk, chunk.line_start, chunk.line_end) for chunk in chunks]
        return [citation for citation in cited if citation is not None]

    def _lines_of(self, place: re.Match[str]) -> Citation | None:
        lines = _LINES.fullmatch(place["lines"])
        if lines is None:
            return None
        start = int(lines["start"])
        end = int(lines["end"] or start)
        chunks = (chunk for chunk in self.context if f"{chunk.repo}/{chunk.file_path}" == place["file"])
        return next((cited for chunk in chunks if (cited := self._verified(chunk, start, end))), None)

    def _verified(self, chunk: SearchResult, start: int, end: int) -> Citation | None:
        if not chunk.line_start <= start <= end <= chunk.line_end or not _can_be_written(chunk):
            return None
        if self.line_count is not None and (self.line_count(chunk) or 0) < end:
            return None
        return Citation(chunk.repo, chunk.commit, chunk.file_path, start, end, chunk.symbol)

    def _emit(self, citations: list[Citation]) -> str:
        self.found += citations
        return " ".join(map(str, citations)) or self._drop()

    def _drop(self) -> str:
        self.dropped += 1
        return _REMOVED


def _undisguised(text: str) -> str:
    """Return ``text`` with what a renderer would make of its entities and escaped brackets: a reader must not see more."""
    while (plain := _ENTITY.sub(lambda entity: html.unescape(entity.group()), text)) != text:
        text = plain
    return re.sub(r"\\+(?=[\[\]])", "", text)


def _nested(content: str) -> bool:
    inner = content.strip()
    return (
        inner[:1] == "[" and inner[-1:] == "]" and bool(_PLACE_LIKE.fullmatch(inner[1:-1]) or _NUMBER_LIKE.fullmatch(inner[1:-1]))
    )


def _can_be_written(chunk: SearchResult) -> bool:
    """Whether a citation of the chunk would read as one: a file may be named ``](http:`` or hold a line feed."""
    name = f"{chunk.repo}/{chunk.file_path}"
    return name.isprintable() and "](" not in name and "`" not in name


def _close_gaps(text: str) -> str:
    for _ in range(2):
        text = re.sub(rf"\[\s*{_REMOVED}\s*\]|\(\s*{_REMOVED}(?:\s*[,;]?\s*{_REMOVED})*\s*\)", _REMOVED, text)
    text = re.sub(rf"(?m)^(?:{_REMOVED}[ \t]*)+[.,;:]?[ \t]*", "", text)
    text = re.sub(rf"[ \t]+{_REMOVED}(?=\[)", " ", text)
    return re.sub(rf"[ \t]*{_REMOVED}", "", text).strip()
