"""Plain English about code: what a docstring says, what a signature takes, and lists with an "and"."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from cia.chunking import Chunk

_VERBS = """
abort accept access acquire add adjust align allow append apply ask assert assign attach attempt augment authenticate begin
bind build cache calculate call cancel cast change check choose clean clear clone close coerce collect combine compare compile
compose compute configure connect construct consume convert copy count create decide declare decode decorate define delete
depend describe deserialise deserialize detach detect determine disable discard dispatch display divide download draw drop
dump echo emit enable encode end enforce ensure enter erase escape evaluate execute exit expand expose extend extract fetch
fill filter finalize find finish fire fix flush follow force format forward gather generate get give go group guess handle
hash hide highlight hold ignore implement import include increase increment indent index inform initialise initialize insert
inspect install instantiate instruct intercept invoke iterate join keep launch limit list listen load locate lock log look
make manage map mark match measure merge modify mount move negotiate normalise normalize notify obtain open order output
override overwrite pad parse partition pass perform pick place play pop populate prepare prepend present prevent print process
produce prompt propagate protect provide publish pull push put query quote raise read rebuild receive record redirect reduce
refresh register reinitialize reject relabel release reload remove rename render repeat replace report represent request reset
resolve restore restrict retrieve return reverse rewrite rotate round run sample save scan schedule search select send
serialise serialize set setup shift show shut shutdown simulate skip sleep sort specify split start stop store stream strip
submit subscribe support suspend swap switch take tell terminate test throw toggle tokenise tokenize track transform translate
traverse trigger trim truncate try turn unescape unregister unwind unwrap update upload use validate verify visit wait walk
warn work wrap write yield
"""
"""Verbs that open a docstring in the imperative. One that is missing costs a question, not a wrong answer."""

_IMPERATIVES = frozenset(_VERBS.split())


_PARTICIPLES = frozenset({"called", "emitted", "raised", "returned", "thrown", "used"})
_KINDS = frozenset(
    {"base", "class", "container", "decorator", "exception", "factory", "generator", "helper", "iterator", "wrapper"}
)
# "close the response and release the connection": an object after it shows the second word to be a verb too.
_SECOND_VERB = re.compile(
    r"(?P<link>(?:,|,? (?:and|or|then)|, (?:and|or) then) )(?P<verb>[a-z]+)(?= (?:the|a|an|it|its|this|that|all|any|them)\b)"
)
# "The path is similar to": a sentence of its own, unlike "The path that is given".
_FINITE = re.compile(
    r"^(?:(?!\b(?:that|which|who|whose|where|when|what|if|how|while|as|to)\b).)*?\b(?:is|are|was|were|has|had|have|can|cannot|will|must|should|may|does|do)\b",
    re.IGNORECASE,
)


def third_person(sentence: str) -> str:
    """Return what follows the name of a thing that ``sentence``, of its docstring, is about.

    ``Return the path.`` gives ``returns the path.``, ``A parsed URL.`` gives ``is a parsed URL.``; "" when it is neither.
    """
    first, _, rest = sentence.partition(" ")
    word = first.lower()
    if word in _IMPERATIVES:
        second = _SECOND_VERB.sub(lambda v: f"{v['link']}{_with_s(v['verb']) if v['verb'] in _IMPERATIVES else v['verb']}", rest)
        return f"{_with_s(word)} {second}"
    if word.endswith("s") and _is_third_person(word):
        return f"{word} {rest}"
    if word in _PARTICIPLES:
        return f"is {word} {rest}"
    if word in _KINDS and rest[:1].islower() and not _FINITE.match(rest):
        return f"is {'an' if word[0] in 'aeiou' else 'a'} {word} {rest}"
    if word in ("a", "an", "the") and not _FINITE.match(rest):
        return f"is {word} {rest}"
    return ""


def parameters(chunk: Chunk) -> tuple[list[str], str] | None:
    """Return a Python function's parameters (without ``self``), as written, and what it returns ("" if it does not say).

    None when the signature is not Python or was cut.
    """
    if chunk.language != "python":
        return None
    try:
        tree = ast.parse(f"{chunk.signature}: ...")
    except (SyntaxError, ValueError):
        return None
    function = tree.body[0] if len(tree.body) == 1 else None
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    named = [_parameter(argument, default) for argument, default in zip(plain, defaults, strict=True)]
    if named and plain[0].arg in ("self", "cls", "mcs"):
        named = named[1:]
    if arguments.vararg:
        named.append(f"*{_parameter(arguments.vararg, None)}")
    named += [_parameter(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if arguments.kwarg:
        named.append(f"**{_parameter(arguments.kwarg, None)}")
    return named, ast.unparse(function.returns) if function.returns else ""


def takes_and_returns(chunk: Chunk) -> str:
    """Return what follows a function's name: ``takes `url` and `timeout` and returns `Response` ``; "" if it does not say."""
    read = parameters(chunk)
    if read is None:
        return ""
    taken, returned = read
    takes = f"takes {listed([f'`{parameter}`' for parameter in taken])}" if taken else "takes no arguments"
    returns = "" if not returned else " and returns nothing" if returned == "None" else f" and returns `{returned}`"
    return f"{takes}{returns}"


def listed(items: Sequence[str]) -> str:
    """Return ``a``, ``a and b``, or ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    annotation = f": {ast.unparse(argument.annotation)}" if argument.annotation else ""
    value = f" = {ast.unparse(default)}" if default is not None and annotation else ""
    return f"{argument.arg}{annotation}{value}" if annotation or default is None else f"{argument.arg}={ast.unparse(default)}"


def _with_s(verb: str) -> str:
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return f"{verb[:-1]}ies"
    return f"{verb}es" if verb.endswith(("s", "x", "z", "ch", "sh", "o")) else f"{verb}s"


def _is_third_person(word: str) -> bool:
    return any(_with_s(verb) == word for verb in (word[:-1], word[:-2], f"{word[:-3]}y") if verb in _IMPERATIVES)
