"""What the code itself says about a place, in the sentence that a question asks for. No model writes here.

The asked aspect is read off the question (who calls, what is raised, what it takes, what is set); where the place says nothing
about it, the sentence says what it is and what it is for.
"""

from __future__ import annotations

import re

from cia.answering.citations import check
from cia.answering.definition import definition_in
from cia.answering.docstring import first_sentence
from cia.answering.inert import inert
from cia.chunking import Chunk
from cia.code_facts.english import listed, takes_and_returns
from cia.code_facts.raised_errors import in_words, raised_by
from cia.code_facts.values import constants_in, defaults_in, variables_in
from cia.retrieval.result import SearchResult

_NAME = re.compile(r"[A-Za-z_][\w.]*")


def sentence_about(question: str, result: SearchResult) -> str:
    """Return one or two sentences about ``result`` that answer ``question`` as far as its lines do. Without a citation."""
    chunk = definition_in(result)
    asked = _names_in(question)
    said = (write(chunk, asked) for asks, write in _ASPECTS if asks.search(question))
    # A docstring is data and may hold what looks like a citation.
    return inert(check(next(filter(None, said), "") or what_and_where(chunk), ()).text)


def what_and_where(chunk: Chunk) -> str:
    """Return what ``chunk`` is, in which file, and what its documentation says it is for."""
    name = name_shown(chunk.symbol)
    kind = what_it_is(chunk.kind, name)
    start = f"`{name}` is {kind}" if name else kind.capitalize()
    purpose = check(first_sentence(chunk.docstring), ()).text if chunk.kind in ("function", "class") else ""
    return f"{start} in `{chunk.file_path}`: {purpose}" if purpose else f"{start} in `{chunk.file_path}`."


def what_it_is(kind: str, symbol: str) -> str:
    """Return a chunk's kind in English: ``a method``, ``a class``, ``a section``."""
    if kind == "function":
        return "a method" if "." in symbol else "a function"
    return {"class": "a class", "module": "code outside definitions", "section": "a section"}.get(kind, "a passage")


def name_shown(symbol: str) -> str:
    """Return ``symbol`` if it can stand in Markdown's code quotes, else ""."""
    return symbol if symbol.isprintable() and "`" not in symbol else ""


def is_named(result: SearchResult, question: str) -> bool:
    """Whether ``question`` spells out the name of ``result``, by its last part at least."""
    name = result.symbol.rpartition(".")[2]
    return bool(name) and name in _names_in(question)


def is_spelled_out(result: SearchResult, question: str) -> bool:
    """Whether ``question`` names ``result`` as code, and not by a word that is English as well.

    As code is what has an underscore, a digit or an inner capital, or stands in back quotes, behind a dot or before a bracket.
    """
    if not is_named(result, question):
        return False
    name = result.symbol.rpartition(".")[2]
    looks_like_code = not name.isalpha() or name[1:] != name[1:].lower()
    return looks_like_code or bool(re.search(rf"[`.]{re.escape(name)}\b|\b{re.escape(name)}[`(]", question))


def _names_in(question: str) -> set[str]:
    """Every word of ``question`` that could be a name, of a dotted one the last part."""
    return {name.rpartition(".")[2] for name in _NAME.findall(question)}


def _uses(chunk: Chunk, asked: set[str]) -> str:
    own = chunk.symbol.rpartition(".")[2]
    used = [name for call in chunk.calls if (name := call.rpartition(".")[2]) in asked and name != own]
    if not used or not name_shown(chunk.symbol) or chunk.kind not in ("function", "class"):
        return ""
    verb = "creates" if used[0][:1].isupper() else "calls"
    if own.startswith("test"):
        verb = "tests"
    return f"`{chunk.symbol}` {verb} `{used[0]}`."


def _values(chunk: Chunk, asked: set[str]) -> str:
    if variables := [name for name in variables_in(chunk) if name in asked]:
        who = f"`{chunk.symbol}`" if chunk.kind == "function" and name_shown(chunk.symbol) else f"The code of `{chunk.file_path}`"
        return f"{who} reads the environment variable {listed([f'`{name}`' for name in variables])}."
    if set_here := [(name, value) for name, value in constants_in(chunk) if name in asked]:
        return f"`{set_here[0][0]}` is set to `{set_here[0][1]}` in `{chunk.file_path}`."
    if defaults := [(name, value) for name, value in defaults_in(chunk) if name in asked]:
        return f"`{defaults[0][0]}` of `{chunk.symbol}` is `{defaults[0][1]}` by default."
    return ""


def _raises(chunk: Chunk, _: set[str]) -> str:
    raised = raised_by(chunk) if chunk.kind == "function" and name_shown(chunk.symbol) else {}
    return f"`{chunk.symbol}` raises {in_words(raised)}." if raised else ""


def _takes(chunk: Chunk, _: set[str]) -> str:
    if chunk.kind != "function" or not name_shown(chunk.symbol):
        return ""
    if said := takes_and_returns(chunk):
        return f"`{chunk.symbol}` {said}."
    signature = " ".join(chunk.signature.split())
    return f"The signature of `{chunk.symbol}` is `{signature}`." if "(" in signature and "`" not in signature else ""


_ASPECTS = (
    (
        re.compile(
            r"\b(?:calls?|called|uses?|used|creates?|instantiate[sd]?|instances?|invokes?d?|tests?|tested|covers?)\b", re.I
        ),
        _uses,
    ),
    (re.compile(r"\b(?:default|set|value|environment|variable|constant|given)\b", re.I), _values),
    (re.compile(r"\b(?:raises?|raised|throws?|thrown|errors?|exceptions?|fails?)\b", re.I), _raises),
    (re.compile(r"\b(?:arguments?|parameters?|signature|takes?|pass|returns?|call|comes back)\b", re.I), _takes),
)
"""How a question asks for something, and who writes about it; the first that finds something to say does."""
