"""Terms, BM25F as a dot product, word vectors and intents."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from cia.chunking.chunk import Chunk
from cia.retrieval.document import document_of
from cia.retrieval.embedding.static import StaticEmbedder
from cia.retrieval.filters import matching_paths
from cia.retrieval.intent import intent_of
from cia.retrieval.question import take_apart
from cia.retrieval.sparse import BODY_B, BODY_LENGTH, K1, InverseFrequency, Lexicon, document_vectors, query_vector
from cia.retrieval.tokens import stem, term_id, terms, words


def chunk(text: str, symbol: str = "", path: str = "a.py") -> Chunk:
    return Chunk(path, 1, text.count("\n") + 1, "python", "function", symbol, text)


def test_an_identifier_gives_its_words_and_itself() -> None:
    assert terms("parseHTTPHeader_v2") == [stem("parse"), "http", "header", "v", "2", "parsehttpheader_v2"]
    assert words("to_dict") == ("to", "dict")
    assert terms("the x of a") == ["x"]


@pytest.mark.parametrize(("one", "other"), [("parses", "parsing"), ("properties", "property"), ("creating", "created")])
def test_forms_of_a_word_meet(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_term_ids_are_the_same_everywhere() -> None:
    assert term_id("cart") == 195266743


def test_the_dot_product_is_bm25() -> None:
    texts = ["cart total price", "cart cart item", "user password password password"]
    documents = [document_of(chunk(text, path="x")) for text in texts]
    vectors = document_vectors(documents)
    lexicon = Lexicon.empty().changed([vector.ids for vector in vectors], [])
    idf = InverseFrequency([lexicon]).of(["cart"])
    asked = query_vector(Counter(["cart"]), idf)
    expected_idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    assert idf["cart"] == pytest.approx(expected_idf)
    for vector, count in zip(vectors, (1, 2, 0), strict=True):
        length = 4 if count == 0 else 3
        frequency = count / (1 - BODY_B + BODY_B * length / BODY_LENGTH)
        shared = np.isin(vector.ids, asked.ids)
        score = float(vector.weights[shared].sum() * asked.weights[0])
        assert score == pytest.approx(expected_idf * frequency * (K1 + 1) / (frequency + K1), rel=1e-5)


def test_a_lexicon_forgets_exactly_what_is_taken_out() -> None:
    texts = ("cart total", "cart item", "user")
    vectors = [vector.ids for vector in document_vectors([document_of(chunk(text, path="x")) for text in texts])]
    whole = Lexicon.empty().changed(vectors, [])
    fewer, fresh = whole.changed([], vectors[1:]), Lexicon.empty().changed(vectors[:1], [])
    assert fewer.ids.tolist() == fresh.ids.tolist()
    assert fewer.counts.tolist() == fresh.counts.tolist()
    assert fewer.documents == 1


def test_word_vectors_bring_a_sentence_to_the_code_that_does_it() -> None:
    embedder = StaticEmbedder()
    codes = [
        chunk("def rmtree(path):\n    for name in os.listdir(path):\n        os.unlink(name)\n    os.rmdir(path)", "rmtree"),
        chunk("def dumps(value):\n    return encoder.encode(value)", "dumps"),
        chunk("def connect(host, port):\n    sock = socket.socket()\n    sock.connect((host, port))", "connect"),
    ]
    vectors = embedder.embed_chunks([document_of(code) for code in codes], ())
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    for number, question in enumerate(
        ["Delete a directory and its contents.", "Serialize an object to JSON", "open a TCP connection"]
    ):
        assert int(np.argmax(vectors @ embedder.embed_question(question))) == number


def test_a_question_without_known_words_has_no_vector() -> None:
    assert not StaticEmbedder().embed_question("qqqqzzzzxxxx").any()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Return the merged query parameters of a URL.", "definition"),
        ("Raised when a session is used after it was closed", "definition"),
        ("Fix timeout of streamed uploads", "change"),
        ("feat(client): support zstd", "change"),
        ("how is authorisation done in the processing subsystem", "place"),
        ("connection pooling", "place"),
        ("QueryParams.add", "place"),
    ],
)
def test_the_wanted_kind_of_answer_is_read_off_the_question(text: str, wanted: str) -> None:
    intent = intent_of(take_apart(text))
    assert max(intent._fields, key=lambda kind: getattr(intent, kind)) == wanted
    assert sum(intent) == pytest.approx(1)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("src/", ["src/a.py", "src/b/c.py"]),
        ("c.py", ["src/b/c.py"]),
        ("src/**/*.py", ["src/a.py", "src/b/c.py"]),
        ("*.js", ["web/d.js"]),
        ("nothing", []),
    ],
)
def test_a_path_filter_is_a_folder_a_file_or_a_glob(pattern: str, found: list[str]) -> None:
    assert matching_paths(pattern, ["src/a.py", "src/b/c.py", "web/d.js"]) == found
