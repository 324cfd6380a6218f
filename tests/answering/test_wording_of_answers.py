import pytest
from hypothesis import given
from hypothesis import strategies as st

from cia.answering.citations import check
from cia.answering.docstring import first_sentence
from cia.answering.extractive import OPENING, closest_places, quote_places
from cia.answering.inert import inert
from cia.answering.live_text import LiveText
from cia.answering.nonsense import nonsense
from cia.answering.secrets import mask
from cia.retrieval.result import SearchResult


def place(text: str, symbol: str = "Box.open", path: str = "pkg/box.py", kind: str = "function") -> SearchResult:
    return SearchResult("repo", "c" * 40, path, 3, 3 + text.count("\n"), "python", symbol, kind, 1.0, text)


METHOD = '    def open(self) -> None:\n        """Open the box. It stays open."""\n        return None'


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Return it.\n\nMore.", "Return it."),
        ("Return the value,\nor nothing (e.g. at the end). Then stop.", "Return the value, or nothing (e.g. at the end)."),
        ("Pass a key from\n:attr:`Context.meta` on", "Pass a key from `Context.meta` on."),
        ("Use ``a`` and :class:`~pkg.B` and `the docs <http://x>`_ now.", "Use `a` and `pkg.B` and the docs now."),
        ("* Closes the {@link Stream}.\n* @param x", "Closes the `Stream`."),
        (":param x: the thing", ""),
        (">>> f(1)", ""),
        ("Deprecated", ""),
        ("One of these...", ""),
    ],
)
def test_the_first_sentence_of_a_docstring_is_plain_english(docstring, sentence):
    assert first_sentence(docstring) == sentence


def test_a_quoted_place_is_introduced_cited_and_shown():
    text, citations = quote_places([place(METHOD)], None)
    assert text == (
        f"{OPENING}\n\n`Box.open` is a method in `pkg/box.py`: Open the box. [repo/pkg/box.py:3-5]\n\n"
        '```python\ndef open(self) -> None:\n    """Open the box. It stays open."""\n    return None\n```'
    )
    assert [str(citation) for citation in citations] == ["[repo/pkg/box.py:3-5]"]


def test_a_long_place_is_quoted_in_part_and_cited_whole():
    text, citations = quote_places([place("\n".join(f"x{n} = 1" for n in range(40)), "", kind="module")], None)
    assert text.endswith("x11 = 1\n...\n```")
    assert citations[0].line_end == 42


def test_a_docstring_cannot_smuggle_in_a_citation_or_a_link():
    smuggling = METHOD.replace("Open the box.", "Open [evil/x.py:1-2] the [box](http://evil.example) here.")
    text, citations = quote_places([place(smuggling)], None)
    introduction = text.split("\n\n")[1]
    assert introduction == "`Box.open` is a method in `pkg/box.py`: Open the box here. [repo/pkg/box.py:3-5]"
    assert len(citations) == 1


def test_a_place_whose_file_is_gone_is_not_quoted():
    assert quote_places([place(METHOD)], lambda _: None) == (OPENING, ())
    assert closest_places([place(METHOD)], (), lambda _: None)[1] == ()


@pytest.mark.parametrize("text", ["", "  \n", "1 2 3 --- !!!", "yes no " * 20, "_mode_mode_mode_mode_mode_mode_mode_mode"])
def test_nonsense_is_told(text):
    assert nonsense(text)


@pytest.mark.parametrize(
    "text",
    [
        "It returns the discount [1].",
        "Yes.",
        "| a | b |\n| --- | --- |\n" + "| x | y |\n| q | z |",
        "```python\n" + "\n".join(f"value_{n} = {n}" for n in range(20)) + "\n```",
    ],
)
def test_sense_is_not_taken_for_nonsense(text):
    assert nonsense(text) == ""


def test_live_text_comes_at_once_and_never_shows_a_half_citation():
    reading = LiveText([place(METHOD)], None)
    pieces = (
        "It",
        " opens",
        " the box",
        " and then some",
        " [",
        "1",
        "]",
        ". ",
        "And it stays open all day [7",
        "] long. ",
        "End",
    )
    shown = [reading.add(piece) for piece in pieces]
    assert shown[0] == "It"
    assert not any(shown[5:8])
    assert (
        "".join(shown) + reading.end()[1]
        == "It opens the box and then some [repo/pkg/box.py:3-5]. And it stays open all day long. End"
    )


@given(
    st.lists(
        st.sampled_from(
            ["It opens", " ", "[1]", "[2]", "[", "]", "[repo/pkg/box.py:4-5]", "(http://evil) ", "`", "```\n", "\n", "\n\n",
             "<img ", ">", "![x]", "[a]: http://evil", ". ", "password = 'hunter2x'", "[repo/other.py:1-2]"]
        ),
        max_size=30,
    )
)  # fmt: skip
def test_what_was_shown_live_is_checked_text_however_it_was_cut(pieces):
    context = [place(METHOD)]
    reading = LiveText(context, None)
    shown = "".join(reading.add(piece) for piece in pieces)
    whole, rest = reading.end()
    assert whole == check(mask("".join(pieces)), context)
    assert not rest or shown + rest == whole.text
    assert "hunter2x" not in shown
    assert inert(shown) == shown
