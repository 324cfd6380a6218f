"""A retrieved place as evidence: where it is, what it defines, and what its lines say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from cia.evaluation.wording import DOTTED, NUMBER, all_words
from cia.retrieval.result import SearchResult

HEADER = re.compile(r"^(?P<path>\S+):(?P<start>\d+)-(?P<end>\d+)(?: (?P<symbol>.+))?$")
DEFINITION = re.compile(
    r"\b(?:def|class|func|function|fn|type|interface|struct|enum|trait|const|let|var|module)\s+(?:\([^)]*\)\s*)?(\w+)"
)
ASSIGNMENT = re.compile(r"^\s*(\w+)\s*(?::[^=]+)?=(?!=)", re.MULTILINE)
NEGATION = re.compile(
    r"\b(?i:not|never|no|cannot|without|neither|nor|isnt|unless)\b|\bnone\b|(?i:n't)\b|!(?==|\w)"  # None is a value, no denial
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """``path``, ``start``, ``end`` and ``symbol`` are empty or 0 for plain text without a header line."""

    text: str
    path: str
    start: int
    end: int
    symbol: str
    lines: tuple[str, ...]
    words: frozenset[str]
    names: frozenset[str]
    lowered: frozenset[str]
    numbers: frozenset[str]
    defined: frozenset[str]

    def has_name(self, name: str) -> bool:
        """Whether this identifier stands here: as written, or its last part and the scope that it names.

        A scope may be spelled as a variable is: ``self.stock.release()`` speaks of ``Stock.release``.
        """
        *scope, last = re.split(r"\.|::|->", name)
        return name in self.names or (last in self.names and all(part.lower() in self.lowered for part in scope))

    def defines(self, name: str) -> bool:
        """Whether the definition of ``name`` (its last dotted part) is among these lines, in the scope that it names."""
        *scope, last = re.split(r"\.|::|->", name)
        return last in self.defined and all(segment in self.names for segment in scope)

    def is_at(self, path: str) -> bool:
        """Whether this place is in the file that ``path`` ends in or is the end of."""
        return bool(self.path) and (f"/{self.path}".endswith(f"/{path}") or f"/{path}".endswith(f"/{self.path}"))

    def has_number(self, number: str) -> bool:
        """Whether the number stands here, or is the number of one of these lines."""
        return number in self.numbers or (number.isdigit() and self.start <= int(number) <= self.end and self.end > 0)


def describe(result: SearchResult) -> str:
    """Return a search result as the text that judges see: a line that says where it is, then its lines, blank ones left out.

    DeepEval joins such texts with blank lines, so a text must hold none for ``read_evidence`` to tell them apart.
    """
    place = f"{result.repo}/{result.file_path}:{result.line_start}-{result.line_end} {result.symbol}".rstrip()
    return "\n".join([place, *(line for line in result.text.split("\n") if line.strip())])


def split_evidence(context: str) -> list[Evidence]:
    """Return the pieces of evidence of a context that DeepEval joined."""
    return [read_evidence(piece) for piece in re.split(r"\n\s*\n", context) if piece.strip()]


@lru_cache(maxsize=2048)
def read_evidence(piece: str) -> Evidence:
    """Return one piece of evidence from its text."""
    first, _, rest = piece.partition("\n")
    header = HEADER.match(first.strip())
    body = rest if header else piece
    symbol = (header["symbol"] or "") if header else ""
    names: set[str] = set()
    for dotted in DOTTED.findall(f"{symbol}\n{body}"):
        names.add(dotted)
        names.update(re.split(r"\.|::|->", dotted))
    defined = set(DEFINITION.findall(body)) | set(ASSIGNMENT.findall(body))
    if symbol:
        defined.add(re.split(r"\.|::|->", symbol)[-1])
    return Evidence(
        text=body,
        path=header["path"] if header else "",
        start=int(header["start"]) if header else 0,
        end=int(header["end"]) if header else 0,
        symbol=symbol,
        lines=tuple(line for line in body.split("\n") if line.strip()),
        words=all_words(piece),
        names=frozenset(names),
        lowered=frozenset(name.lower() for name in names),
        numbers=frozenset(NUMBER.findall(piece)),
        defined=frozenset(defined),
    )
