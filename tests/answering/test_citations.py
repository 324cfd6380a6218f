import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cia.answering.citations import check, line_count_in
from cia.retrieval.result import SearchResult


def chunk(path: str, start: int, end: int, repo: str = "httpx", symbol: str = "f") -> SearchResult:
    text = "\n".join(f"line {number}" for number in range(start, end + 1))
    return SearchResult(repo, "c" * 40, path, start, end, "python", symbol, "function", 1.0, text)


CONTEXT = [chunk("httpx/_urls.py", 10, 20), chunk("httpx/_client.py", 5, 9), chunk("app/[id]/page.tsx", 1, 9, repo="shop")]
URLS, CLIENT, PAGE = "[httpx/httpx/_urls.py:10-20]", "[httpx/httpx/_client.py:5-9]", "[shop/app/[id]/page.tsx:1-9]"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("It adds [1].", f"It adds {URLS}."),
        ("It adds [ 1 ].", f"It adds {URLS}."),
        ("Both do [1, 2].", f"Both do {URLS} {CLIENT}."),
        ("Both do [1][2].", f"Both do {URLS} {CLIENT}."),
        ("`add`[3] does", f"`add`{PAGE} does"),
        ("[httpx/httpx/_urls.py:12-15] says", "[httpx/httpx/_urls.py:12-15] says"),
        ("[httpx/httpx/_urls.py:12] says", "[httpx/httpx/_urls.py:12-12] says"),
        ("[shop/app/[id]/page.tsx:3-4] says", "[shop/app/[id]/page.tsx:3-4] says"),
        ("关于[1]", f"关于{URLS}"),
    ],
)
def test_a_true_citation_is_spelled_out(written, read):
    checked = check(written, CONTEXT)
    assert checked.text == read
    assert checked.dropped == 0
    assert len(checked.citations) >= 1


@pytest.mark.parametrize(
    "hostile",
    [
        "[0]", "[4]", "[99999]", "[-1]", "[١]", "[１]", "[²]", "[[1]]", "[[[1]]]", "[2:15-17]", "[1](http://evil.example)",
        "[1](//evil.example)", "[1](javascript:alert(1))", "[https://evil.example/x.py:1-2]", "[other/httpx/_urls.py:12-15]",
        "[httpx/httpx/_urls.py:0-15]", "[httpx/httpx/_urls.py:-1-15]", "[httpx/httpx/_urls.py:15-12]",
        "[httpx/httpx/_urls.py:9-12]", "[httpx/httpx/_urls.py:12-21]", "[httpx/httpx/_urls.py:12-99999999999999999999]",
        "[httpx/httpx/_urls.py:１２-15]", "[httpx/httpx/../httpx/_urls.py:12-15]", "[httpx/../../etc/passwd:12-15]",
        "[httpx/httpx/_URLS.py:12-15]", "[shop/httpx/_urls.py:12-15]", "[shop/app/[no]/page.tsx:3-4]", "[passwd:1-2]",
        "&#91;other/x.py:1-2&#93;", "&amp;#91;other/x.py:1-2]", "\\[other/x.py:1-2\\]", "[&#57;9]",
    ],
)  # fmt: skip
def test_a_citation_that_is_not_true_is_dropped_with_its_space(hostile):
    checked = check(f"It adds {hostile}.", CONTEXT)
    assert checked.text == "It adds."
    assert checked.citations == ()
    assert checked.dropped == 1


def test_a_link_definition_is_dropped_and_a_link_to_elsewhere_keeps_only_its_words():
    assert check("[1]: http://evil.example\nYes [2]", CONTEXT).text == f"Yes {CLIENT}"
    assert check("See [the docs](https://evil.example/?q=1) and ![x](http://evil.example)", CONTEXT).text == "See the docs and x"


@pytest.mark.parametrize(
    "text", ["x[0] and args[1], client[2] or rows[1][2]", "`[1]` is a list", "```py\na = [1]\n```", "the slice [1:3]"]
)
def test_indexing_and_quoted_code_are_not_citations(text):
    checked = check(text, CONTEXT)
    assert (checked.text, checked.citations, checked.dropped) == (text, (), 0)


def test_a_false_place_in_quoted_code_is_dropped_and_a_slice_there_is_kept():
    assert check("`[evil/x.py:1-2]` and `rows[a/b:1-2]`", CONTEXT).text == "and `rows[a/b:1-2]`"


def test_a_place_cited_twice_is_named_once():
    assert [str(citation) for citation in check("[1] then [2] then [1]", CONTEXT).citations] == [URLS, CLIENT]


def test_a_citation_outside_the_file_is_dropped():
    files = {"httpx/_urls.py": b"\n" * 15, "httpx/_client.py": b"\n" * 9}
    checked = check("[1] [2] [3]", CONTEXT, line_count_in(lambda _repo, _commit, path: files.get(path)))
    assert [str(citation) for citation in checked.citations] == [CLIENT]
    assert checked.dropped == 2


def test_a_file_whose_name_would_break_out_of_the_citation_is_not_cited():
    assert check("[1]", [chunk("a](http://evil.example)/x.py", 1, 2)]).citations == ()
    assert check("[1]", [chunk("a\nb.py", 1, 2)]).citations == ()


PIECES = st.sampled_from(
    ["[", "]", "(", ")", "1", "2", "3", "0", "-", ":", ",", " ", "\n", "`", "```", "!", "http://e", "httpx/httpx/_urls.py",
     "shop/", "app/[id]/page.tsx", ":12-15", ":5-9", "x", "١", "【", "】", "../", "\ue000", "[1]", "[httpx/httpx/_client.py:6-7]"]
)  # fmt: skip


def test_a_false_citation_does_not_shield_the_one_behind_it():
    assert check("It adds [9][99].", CONTEXT).text == "It adds."
    assert check("It adds [9][1].", CONTEXT).text == f"It adds {URLS}."


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=80))
def test_whatever_the_text_no_citation_points_outside_the_context(text):
    checked = check(text, CONTEXT)
    assert all(
        any(
            (c.repo, c.file_path) == (shown.repo, shown.file_path)
            and shown.line_start <= c.line_start <= c.line_end <= shown.line_end
            for shown in CONTEXT
        )
        for c in checked.citations
    )
    named = {str(citation) for citation in checked.citations}
    for place in re.findall(r"(?<![\w)\]])\[[^\[\]\s]+/[^\[\]\s]*:[0-9]+-[0-9]+\]", checked.text):
        assert place in named


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_a_citation_that_was_let_through_is_let_through_again(text):
    citations = check(text, CONTEXT).citations
    assert check(" and ".join(map(str, citations)), CONTEXT).citations == citations
