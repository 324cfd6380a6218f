"""Whatever a model writes, an independent Markdown parser finds nothing in it to fetch, run or follow."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cia.answering.citations import check
from cia.answering.inert import inert

ACTIVE = {"link_open", "image", "html_block", "html_inline"}
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
PARSER.validateLink = lambda _: True  # a client may be less careful than this parser

PIECES = st.sampled_from(
    ["<img src=x>", "`", "``", "```", "````", "~~~", "\n", "\n\n", " ", "  ", "    ", "\t", "\r", "- ", "> ", "1. ", "# ", "***",
     "=", "|", "|-|", "\\", "a", "[a]", "[99]", "[", "]", "(http://e)", "(", ")", "](http://e)", "]: http://e", "]:\nhttp://e",
     "!", "[x/y.py:1-2]", "<!--", "-->", "<http://e>", "&#58;", "\x0b", "\u2028", "\ue000"]
)  # fmt: skip


def active_parts(text: str) -> set[str]:
    return {part.type for token in PARSER.parse(text) for part in (token, *(token.children or ())) if part.type in ACTIVE}


@settings(max_examples=600, deadline=None)
@given(st.lists(PIECES, max_size=24).map("".join))
def test_nothing_is_active_also_when_citations_were_taken_out(text: str) -> None:
    assert not active_parts(inert(text))
    assert not active_parts(check(text, ()).text)
    assert inert(inert(text)) == inert(text)


@pytest.mark.parametrize(
    "text",
    [
        "`Foo<T>` and `a|b`",
        "```py\nif a <b> c: [x](y)\n```\n\nand on",
        "- one\n- two `<T>`",
        "a < b, rows[1] (or 2)",
        "~~~\n<p>\n~~~",
    ],
)
def test_what_does_nothing_is_left_as_it_is(text: str) -> None:
    assert inert(text) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("<b>", "\\<b>"),
        ("[a](x.html)", "[a]\\(x.html)"),
        ("[a]: x.html", "[a]\\: x.html"),
        ("- ```py\n  x\n  ```", "```py\n  x\n```"),
        ("| `<T>` |\n|-|", "| `\\<T>` |\n|-|"),
    ],
)
def test_what_would_do_something_reads_as_it_was_written(text: str, seen: str) -> None:
    assert inert(text) == seen
