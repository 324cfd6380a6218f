"""Words, identifiers and sentences of an answer: what two texts about code can be compared by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

CITATION = re.compile(r"\[(?:\d+(?:\s*,\s*\d+)*|[^\[\]\s`]+:\d+(?:-\d+)?)\]")
FENCE = re.compile(r"^[ \t]*(?P<ticks>`{3,})[^\n]*\n(?P<code>.*?)(?:\n[ \t]*(?P=ticks)[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
BACKTICKS = re.compile(r"`([^`\n]+)`")
WORD = re.compile(r"[A-Za-z_]\w*")
DOTTED = re.compile(r"[A-Za-z_]\w*(?:(?:\.|::|->)[A-Za-z_]\w*)*")
FILE_PATH = re.compile(r"(?<![\w/])[\w.\-]+(?:/[\w.\-]+)*\.(?:[A-Za-z]{1,5})\b(?![\w(])")
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?!\w)")
CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
SENTENCE_END = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)[\"')]*\s+(?=[A-Z`\"'(_])")
POINTER = re.compile(r"See also\b")
USES = re.compile(r"\b(?:creates|instantiates|tests)(?=\s+`)")
"""Said of something named, these are calls of it."""
BULLET = re.compile(r"^\s*(?:[-*+•]|\d+[.)]|#{1,6}|>)\s+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS = _words(
    """a about after again all also an and any are as at be because been before being both but by can could did do does doing
    done each either else for from further had has have having he her here hers him his how i if in into is it its
    itself just may me might more most must my no nor not of off on once one only onto or other our out over own per
    same shall she should so some such than that the their them then there these they this those through to too under
    until up upon us very via was we were what when where which while who whom whose why will with within without would
    you your never cannot isn doesn don won t s let lets thing things following given uses used using use way first
    second happen happens happened mean means meant work works"""
)
"""English words that carry no claim about code."""

FRAME_WORDS = _words(
    """function method class module file line lines define defined defines definition implement implemented implementation
    located find found code call calls called caller callers return returns returned returning raise raises raised throw
    throws take takes taking accept accepts parameter parameters argument arguments named name signature section passage
    outside definitions inherit inherits extends subclass default defaults live lives declared declare repository source
    package answer question python nothing"""
)
"""Words that only say what kind of fact follows; the fact itself is checked by ``cia.evaluation.relations``."""

SYNONYMS = (
    "create make build construct instantiate",
    "remove delete drop del discard",
    "check verify validate ensure assert",
    "get fetch retrieve obtain read load",
    "convert turn transform cast coerce",
    "combine merge join concatenate",
    "initialise initialize init constructor",
    "dict dictionary mapping",
    "str string",
    "int integer",
    "bool boolean",
    "send transmit dispatch",
    "show display print echo",
    "store save keep write",
    "run execute invoke",
    "set assign",
    "error exception",
    "empty blank",
    "begin start open",
    "end finish close stop",
)


@dataclass(frozen=True, slots=True)
class Wording:
    """What a text says: ``words`` are canonical stems of its content words, ``names`` its identifiers as written,
    ``numbers`` and file ``paths`` likewise."""

    words: frozenset[str]
    names: tuple[str, ...]
    numbers: frozenset[str]
    paths: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing that could be true or false."""
        return not (self.words or self.names or self.numbers or self.paths)


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Return a crude English stem, shared by synonyms: ``raised`` and ``raises`` meet, ``delete`` and ``remove`` too."""
    return _SYNONYM_OF.get(root := _strip_suffix(word.lower()), root)


def _strip_suffix(word: str) -> str:
    for suffix, replacement in (("ies", "y"), ("ization", "iz"), ("isation", "is"), ("ation", ""), ("ing", ""), ("edly", ""),
                                ("ed", ""), ("es", ""), ("s", ""), ("ly", ""), ("er", ""), ("or", "")):  # fmt: skip
        if word.endswith(suffix) and len(word) - len(suffix) >= 3 and not word.endswith("ss"):
            word = word[: -len(suffix)] + replacement
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word


_SYNONYM_OF = {_strip_suffix(word): _strip_suffix(group.split()[0]) for group in SYNONYMS for word in group.split()}


def parts(identifier: str) -> list[str]:
    """Return the words inside an identifier: ``QueryParams.add_all`` gives query, params, add, all."""
    return [part.lower() for part in CAMEL.findall(identifier)]


@lru_cache(maxsize=4096)
def all_words(text: str) -> frozenset[str]:
    """Return the stems of every word and part of an identifier in ``text``."""
    found: set[str] = set()
    for token in WORD.findall(text):
        found.add(stem(token))
        found.update(stem(part) for part in parts(token))
    return frozenset(found)


@lru_cache(maxsize=4096)
def read_wording(sentence: str) -> Wording:
    """Return the content of a sentence without its citations. Identifiers are what stands in backticks or looks like code."""
    text = USES.sub("calls", CITATION.sub(" ", sentence))
    paths = tuple(dict.fromkeys(path for path in FILE_PATH.findall(text) if "/" in path or not _is_attribute(path, text)))
    for path in paths:
        text = text.replace(path, " ")
    names: list[str] = []
    for span in BACKTICKS.findall(text):
        names.extend(name for name in DOTTED.findall(span) if len(name) > 1 or span == name)
    prose = BACKTICKS.sub(" ", text)
    coded = [match.group() for match in DOTTED.finditer(prose) if _looks_like_code(match.group(), prose[match.end() :])]
    words: set[str] = set()
    for token in WORD.findall(prose):
        lowered = token.lower()
        if (
            not any(token in name for name in coded)
            and lowered not in STOP_WORDS
            and lowered not in FRAME_WORDS
            and len(token) > 1
        ):
            words.add(stem(token))
    return Wording(frozenset(words), tuple(dict.fromkeys(names + coded)), frozenset(NUMBER.findall(text)), paths)


def sentences(answer: str) -> list[str]:
    """Cut an answer into what it states: sentences, list items, and each code block as a whole. Citations stay where they stand.

    A lead-in that ends with a colon states nothing by itself, nor does a pointer to other places, nor a line of citations.
    """
    found: list[str] = []
    position = 0
    for fence in FENCE.finditer(answer):
        found.extend(_prose_sentences(answer[position : fence.start()]))
        if fence["code"].strip():
            found.append(f"```\n{fence['code']}\n```")
        position = fence.end()
    found.extend(_prose_sentences(answer[position:]))
    return found


def _prose_sentences(text: str) -> list[str]:
    found: list[str] = []
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*+•]|\d+[.)]|#{1,6}|>)\s)", text):
        flat = " ".join(BULLET.sub("", line).strip() for line in block.splitlines()).strip()
        # "It adds. [2] Then ..." : the citation belongs to the sentence before it.
        flat = re.sub(rf"([.!?])\s+((?:{CITATION.pattern}\s*)+)", r" \2\1 ", flat)
        for sentence in SENTENCE_END.split(flat):
            bare = CITATION.sub("", sentence).strip()
            if WORD.search(bare) and not bare.endswith(":") and not POINTER.match(bare):
                found.append(sentence.strip())
    return found


def _looks_like_code(token: str, rest: str) -> bool:
    inner = token.strip("_")
    return (
        "_" in token
        or bool(re.search(r"\.|::|->", token))
        or bool(re.search(r"[a-z0-9][A-Z]", inner))
        or (rest.startswith("(") and not rest.startswith("(s)") and len(token) > 1)
    )


def _is_attribute(path: str, text: str) -> bool:
    # `client.get` has the shape of a file name; what is called or in backticks without a slash and a known suffix is code.
    return path.rpartition(".")[2] not in _FILE_SUFFIXES or f"{path}(" in text


_FILE_SUFFIXES = _words("py pyi js ts tsx jsx go rs java kt c h cc cpp hpp cs rb php md rst txt toml yaml yml json cfg ini sh")
