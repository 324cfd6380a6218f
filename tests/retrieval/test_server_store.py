"""The server's store, through qdrant-client's local mode, which speaks the same API."""

from __future__ import annotations

from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from cia.errors import NotIndexedError, UnavailableError
from cia.retrieval import Indexer, Retriever, store_server
from cia.retrieval.store_edge import EdgeStore
from cia.retrieval.store_server import ServerStore, ServerWriter
from cia.settings import IndexSettings, Settings

SERVER = IndexSettings(qdrant_url="http://127.0.0.1:9")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> QdrantClient:
    client = QdrantClient(":memory:")
    monkeypatch.setattr(store_server, "QdrantClient", lambda **_: client)
    return client


@pytest.fixture
def on_server(tmp_path: Path, client: QdrantClient) -> Settings:
    return Settings(home=tmp_path / "home", index=SERVER)


def stored(settings: Settings) -> dict[int, tuple[object, object]]:
    generation = (ServerStore(settings) if settings.index.qdrant_url else EdgeStore(settings.home / "index")).open("shop")
    ids = [identifier for _, of_file in generation.manifest().files.values() for identifier in of_file]
    return {point.id: (point.payload, point.sparse.ids.tolist()) for point in generation.points(ids).values()}


def test_both_stores_give_the_same_answers(on_server: Settings, shop: Path, tmp_path: Path) -> None:
    embedded = Settings(home=tmp_path / "embedded")
    for settings in (on_server, embedded):
        Indexer(settings).index(str(shop), name="shop")
    for query in ("Cart.add", "how is the total of the cart calculated", "prices.py", "discount path:shop/"):
        answers = [Retriever(settings).search(query).results for settings in (on_server, embedded)]
        assert [(r.file_path, r.symbol) for r in answers[0][:3]] == [(r.file_path, r.symbol) for r in answers[1][:3]]


def test_an_update_on_the_server_equals_a_fresh_index(on_server: Settings, shop: Path, tmp_path: Path) -> None:
    Indexer(on_server).index(str(shop), name="shop")
    (shop / "shop" / "cart.py").write_text("# moved\n\n" + (shop / "shop" / "cart.py").read_text())
    (shop / "shop" / "users.py").unlink()
    (shop / "new.py").write_text("def new_function():\n    return 1\n")
    Indexer(on_server).index(str(shop), name="shop")
    fresh = Settings(home=tmp_path / "fresh")
    Indexer(fresh).index(str(shop), name="shop")
    assert stored(on_server) == stored(fresh)


def test_a_run_that_finds_nothing_new_makes_the_index_young_again(
    on_server: Settings, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for now in (1000.0, 2000.0):
        monkeypatch.setattr(store_server.time, "time", lambda now=now: now)
        Indexer(on_server).index(str(shop), name="shop")
        (record,) = Retriever(on_server).repositories()
        assert (record.indexed_at, record.generation) == (now, "1")


def test_a_reader_keeps_its_generation_until_the_switch(on_server: Settings, shop: Path) -> None:
    Indexer(on_server).index(str(shop), name="shop")
    before = ServerStore(on_server).open("shop")
    ids = [identifier for _, of_file in before.manifest().files.values() for identifier in of_file]
    (shop / "shop" / "cart.py").write_text("class Other:\n    pass\n")
    Indexer(on_server).index(str(shop), name="shop")
    assert len(before.points(ids)) == len(ids)


def test_a_writer_that_died_is_undone_by_the_next(
    on_server: Settings, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Indexer(on_server).index(str(shop), name="shop")
    whole = stored(on_server)
    (shop / "shop" / "cart.py").write_text("class Other:\n    pass\n")
    with monkeypatch.context() as patch:
        patch.setattr(ServerWriter, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            Indexer(on_server).index(str(shop), name="shop")
    assert stored(on_server) == whole
    (shop / "shop" / "users.py").unlink()
    Indexer(on_server).index(str(shop), name="shop")
    fresh = Settings(home=tmp_path / "fresh")
    Indexer(fresh).index(str(shop), name="shop")
    assert stored(on_server) == stored(fresh)


def test_one_repository_is_never_read_with_another(on_server: Settings, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cart.py").write_text("def add_to_cart(item):\n    return item\n")
    Indexer(on_server).index(str(shop), name="shop")
    Indexer(on_server).index(str(tmp_path / "other"), name="other")
    retriever = Retriever(on_server)
    assert {result.repo for result in retriever.search("cart", repos=["other"]).results} == {"other"}
    Indexer(on_server).remove("other")
    assert [record.name for record in retriever.repositories()] == ["shop"]
    with pytest.raises(NotIndexedError):
        retriever.search("cart", repos=["other"])


def test_a_server_that_is_away_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9"):
        Retriever(Settings(home=tmp_path, index=SERVER)).search("cart")
