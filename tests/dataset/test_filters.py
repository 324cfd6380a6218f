import dataclasses
import itertools
import random

import pytest

from cia.chunking import chunk_file
from cia.dataset.draft import Draft
from cia.dataset.filters import Filter, holds_secret
from cia.dataset.filters.personal_data import personal_data
from cia.dataset.filters.similarity import NearDuplicates, words_of
from cia.dataset.filters.toxic_text import is_toxic
from cia.settings import ChunkingSettings

SOURCE = b'def connect(host: str, password: str = "hunter2hunter2") -> None:\n    """Connect to the host."""\n    dial(host)\n'
CHUNK = next(chunk for chunk in chunk_file("a.py", SOURCE, ChunkingSettings()) if chunk.symbol == "connect")
PLACE = "[shop/a.py:1-3]"


def draft(answer: str = f"`connect` connects to the host. {PLACE}", question: str = "What does `connect` do?") -> Draft:
    return Draft("what", question, answer, "connect", (CHUNK,), answer)


@pytest.mark.parametrize(
    ("offered", "objection"),
    [
        (draft(), ""),
        (draft("`connect` connects to the host."), "citation does not hold"),
        (draft("`connect` connects to the host. [shop/a.py:1-4]"), "citation does not hold"),
        (draft("`connect` connects to the host. [shop/b.py:1-3]"), "citation does not hold"),
        (draft(f"`connect` connects to the host. {PLACE} [1]"), "citation does not hold"),
        (draft(f"`connect` connects to the host. {PLACE} [7]"), "citation does not hold"),
        (draft(f"{'It connects. ' * 50}{PLACE}"), "too long"),
        (draft(question=f"What does {'really ' * 50}`connect` do?"), "too long"),
        (draft(f"The key is ghp_0123456789abcdefghijABCDEFGHIJ012345. {PLACE}"), "secret"),
        (draft(f"`connect` uses hunter2hunter2 when no password is given. {PLACE}"), "secret"),
        (draft(f"Ask jane.doe@corporation.com about `connect`. {PLACE}"), "personal data"),
        (draft(f"`connect` is a piece of shit. {PLACE}"), "toxic text"),
    ],
)
def test_a_draft_passes_or_is_told_why_not(offered, objection):
    assert Filter("shop", "c0ffee").objection(offered) == objection


def test_an_answer_that_declines_cites_nothing():
    declined = Draft("unanswerable", "Where is the moon?", "The indexed code does not answer this.", "moon", (), "moon")
    assert Filter("shop", "c0ffee").objection(declined) == ""
    assert Filter("shop", "c0ffee").objection(dataclasses.replace(declined, evidence=(CHUNK,))) == "citation does not hold"


def test_personal_data_in_the_cited_code_counts_too():
    text = CHUNK.text.replace("Connect to the host.", "Written by jane.doe@corporation.com.")
    assert Filter("shop", "c0ffee").objection(
        dataclasses.replace(draft(), evidence=(dataclasses.replace(CHUNK, text=text),))
    ) == ("personal data")


def test_what_was_passed_is_not_passed_again_in_nearly_the_same_words():
    filter_ = Filter("shop", "c0ffee")
    assert filter_.objection(draft()) == ""
    assert filter_.objection(draft(question="What is `connect` for?")) == "near-duplicate"
    assert filter_.objection(draft(f"It dials, and waits for nobody. {PLACE}", "what  DOES `connect` do?")) == "near-duplicate"
    assert filter_.objection(draft(f"It dials, and waits for nobody. {PLACE}", "Does `connect` wait?")) == ""


def test_a_value_that_is_masked_in_the_code_is_a_secret_anywhere():
    assert not holds_secret("The default is hunter2hunter2.")
    assert holds_secret("The default is hunter2hunter2.", [CHUNK])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to jane.doe+news@mail.corporation.co.uk!", "e-mail"),
        ("user@example.com, admin@shop.test and root@localhost are nobody", ""),
        ("@app.route, @pytest.mark.parametrize, git@host, a@b", ""),
        ("pay to DE89 3704 0044 0532 0130 00 please", "IBAN"),
        ("pay to GB82WEST12345698765432", "IBAN"),
        ("DE88 3704 0044 0532 0130 00 has a wrong check digit", ""),
        ("charge 4111 1111 1111 1111 now", "card"),
        ("charge 5500-0000-0000-0004 now", "card"),
        ("charge 4111 1111 1111 1112 now", ""),
        ("0000000000000000 and 1111111111111111 are fillers", ""),
        ("call +49 170 1234567", "telephone"),
        ("call +1 (650) 253-0000", "telephone"),
        ("x = a +1234567890", ""),
        ("a timestamp 1700000000000 and a hash 4111111111111111abc", ""),
    ],
)
def test_personal_data_is_found_where_its_check_digits_hold(text, kind):
    assert personal_data(text) == kind


@pytest.mark.parametrize("text", ["what the fuck", "def fix_this_shit():", "5h1t happens", "FUCKING slow", "a b1tch to use"])
def test_toxic_text_is_found_in_names_and_behind_digits(text):
    assert is_toxic(text)


@pytest.mark.parametrize("text", ["Scunthorpe", "kill the process, abort, dumb terminal", "shiitake", "class Assassin", "mishit"])
def test_words_of_the_trade_are_not_toxic(text):
    assert not is_toxic(text)


def test_near_duplicates_are_just_those_that_comparing_all_would_find():
    random_ = random.Random(3)
    colours = ["red", "green", "blue", "cyan", "pink", "grey", "black", "white", "gold"]
    texts = [" ".join(random_.choices(colours, k=6)) for _ in range(120)]
    sets = [words_of(text) for text in texts]
    index = NearDuplicates(0.75)
    for number, words in enumerate(sets):
        index.add(words, str(number))
    pairs = {
        (str(a), str(b))
        for a, b in itertools.product(range(120), repeat=2)
        if len(sets[a] & sets[b]) >= 0.75 * len(sets[a] | sets[b])
    }
    assert {(str(a), b) for a in range(120) for b in index.like(sets[a])} == pairs
    assert 120 < len(pairs) < 120 * 120
    assert list(index.like(frozenset())) == []
