"""An embeddings endpoint over real HTTP: what it gives, what it refuses, and searching while it works."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cia.errors import CiaError, OperationError, SettingsError, UnavailableError
from cia.retrieval import Indexer, Retriever
from cia.retrieval.embedding import open_embedder
from cia.settings import IndexSettings, Settings


class Endpoint(ThreadingHTTPServer):
    """Gives each text the vector of its letters, and the replies of ``instead`` before that."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.instead: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.length = 8
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self.server.keys.append(self.headers["Authorization"])
        if len(body["input"]) > 1:
            self.server.may_answer.wait(30)
        status, headers, content = 200, {}, self._vectors(body["input"])
        if self.server.instead:
            status, headers, content = self.server.instead.pop(0)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _vectors(self, texts: list[str]) -> bytes:
        letters = "acdeilpt"[: self.server.length]
        data = [{"index": n, "embedding": [1 + text.count(letter) for letter in letters]} for n, text in enumerate(texts)]
        return json.dumps({"data": list(reversed(data))}).encode()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.may_answer.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def at_endpoint(settings: Settings, endpoint: Endpoint) -> Settings:
    index = IndexSettings(embedding_model="openai:letters", embedding_url=endpoint.url)
    return settings.model_copy(update={"index": index})


def test_an_index_is_made_and_searched_with_the_vectors_of_an_endpoint(
    at_endpoint: Settings, shop: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDDING_API_KEY", "sesame")
    stages: list[tuple[str, int, int]] = []
    Indexer(at_endpoint).index(str(shop), name="shop", progress=lambda *stage: stages.append(stage))
    (record,) = Retriever(at_endpoint).repositories()
    assert record.embedded == record.chunks > 5
    assert ("embedding", record.chunks, record.chunks) in stages
    assert Retriever(at_endpoint).search("Cart.add").results[0].symbol == "Cart.add"
    assert {body["model"] for body in endpoint.asked} == {"letters"}
    assert set(endpoint.keys) == {"Bearer sesame"}


def test_search_works_while_the_vectors_are_still_being_made(at_endpoint: Settings, shop: Path, endpoint: Endpoint) -> None:
    endpoint.may_answer.clear()
    begun = threading.Event()
    indexing = threading.Thread(target=lambda: Indexer(at_endpoint).index(str(shop), "shop", lambda *_: begun.set()))
    indexing.start()
    while not any(len(body["input"]) > 1 for body in endpoint.asked):
        assert indexing.is_alive()
        indexing.join(0.02)
    retriever = Retriever(at_endpoint)
    (record,) = retriever.repositories()
    assert record.embedded < record.chunks
    assert retriever.search("Cart.add").results[0].symbol == "Cart.add"
    before = retriever.fingerprint()
    endpoint.may_answer.set()
    indexing.join()
    (record,) = retriever.repositories()
    assert record.embedded == record.chunks
    assert retriever.fingerprint() != before
    assert retriever.search("Cart.add").results[0].symbol == "Cart.add"


def test_a_run_that_died_while_embedding_goes_on_where_it_was(at_endpoint: Settings, shop: Path, endpoint: Endpoint) -> None:
    endpoint.instead = [(200, {}, json.dumps({"data": [{"index": 0, "embedding": [1.0] * 8}]}).encode()), (500, {}, b"broken")]
    with pytest.raises(OperationError, match="status 500, broken"):
        Indexer(at_endpoint).index(str(shop), name="shop")
    assert Retriever(at_endpoint).search("Cart.add").results[0].symbol == "Cart.add"
    report = Indexer(at_endpoint).index(str(shop), name="shop")
    assert (report.added, report.updated) == (0, 0)
    (record,) = Retriever(at_endpoint).repositories()
    assert record.embedded == record.chunks


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        ((401, {}, b"no"), OperationError, "refuses the key .*EMBEDDING_API_KEY"),
        ((404, {}, b"no such\nmodel"), OperationError, "status 404, no such model"),
        ((429, {"Retry-After": "3600"}, b""), UnavailableError, "busy .*try again in 3600 s"),
        ((200, {}, b"<html>"), OperationError, "no vectors of letters"),
        ((200, {}, b'{"data": []}'), OperationError, "0 of them for 1 texts"),
        ((200, {}, b'{"data": [{"index": 0, "embedding": ["a"]}]}'), OperationError, "no vectors of letters"),
        ((200, {}, b'{"data": [{"index": 0, "embedding": [NaN, 1]}]}'), OperationError, "not all numbers"),
        ((200, {}, b"[]"), OperationError, "no vectors of letters"),
    ],
)
def test_a_reply_without_vectors_is_one_sentence(
    at_endpoint: Settings, endpoint: Endpoint, reply: tuple[int, dict[str, str], bytes], error: type[CiaError], words: str
) -> None:
    endpoint.instead = [reply]
    with pytest.raises(error, match=words) as failed:
        open_embedder(at_endpoint.index).embed_question("cart")
    assert endpoint.url in str(failed.value)
    assert "\n" not in str(failed.value)


def test_a_busy_endpoint_is_asked_again_after_the_time_it_names(at_endpoint: Settings, endpoint: Endpoint) -> None:
    endpoint.instead = [(429, {"Retry-After": "0.01"}, b"")]
    assert open_embedder(at_endpoint.index).embed_question("cart").shape == (8,)
    assert len(endpoint.asked) == 2


def test_vectors_of_another_length_than_before_are_refused(at_endpoint: Settings, shop: Path, endpoint: Endpoint) -> None:
    embedder = open_embedder(at_endpoint.index)
    assert embedder.dimensions == 8
    endpoint.length = 5
    with pytest.raises(OperationError, match="unequal lengths"):
        embedder.embed_chunks((), ["cart", "item"])
    endpoint.length = 8
    Indexer(at_endpoint).index(str(shop), name="shop")
    endpoint.length = 5
    with pytest.raises(OperationError, match="run `cia index` on it again"):
        Retriever(at_endpoint).search("cart")
    Indexer(at_endpoint).index(str(shop), name="shop")
    assert Retriever(at_endpoint).search("Cart.add").results[0].symbol == "Cart.add"


def test_words_still_find_code_while_the_endpoint_is_away(at_endpoint: Settings, shop: Path, endpoint: Endpoint) -> None:
    Indexer(at_endpoint).index(str(shop), name="shop")
    gone = at_endpoint.model_copy(
        update={"index": at_endpoint.index.model_copy(update={"embedding_url": "http://127.0.0.1:9/v1"})}
    )
    found = Retriever(gone).search("Cart.add")
    assert found.results[0].symbol == "Cart.add"
    assert found.notices == (
        "searched by words alone: no embeddings endpoint answers at http://127.0.0.1:9/v1 (ConnectError); start it, or try again",
    )
    (shop / "new.py").write_text("x = 1\n")
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9"):
        Indexer(gone).index(str(shop), name="shop")
    assert Retriever(at_endpoint).search("Cart.add").results[0].symbol == "Cart.add"
    assert endpoint.asked


@pytest.mark.parametrize("url", [None, "http://[", "nonsense"])
def test_an_address_that_is_none_is_refused(settings: Settings, url: str | None) -> None:
    with pytest.raises((SettingsError, UnavailableError), match=r"embedding|endpoint"):
        open_embedder(IndexSettings(embedding_model="openai:letters", embedding_url=url)).embed_question("x")
    assert settings


def test_an_index_of_another_model_says_how_to_go_on(at_endpoint: Settings, settings: Settings, shop: Path) -> None:
    Indexer(settings).index(str(shop), name="shop")
    with pytest.raises(
        OperationError, match=r"made with static-.*run `cia index` on it again, or set index.embedding_model back"
    ):
        Retriever(at_endpoint).search("cart")
