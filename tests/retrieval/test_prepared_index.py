"""Several repositories are indexed one after the other and become visible together, in both stores."""

from __future__ import annotations

from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from cia.corpus import Corpus
from cia.errors import OperationError
from cia.retrieval import Indexer, Retriever, store_server
from cia.retrieval.open_store import open_store
from cia.retrieval.pointers import Pointers
from cia.settings import IndexSettings, Settings

Folders = tuple[Path, Path]


@pytest.fixture(params=["embedded", "server"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    if request.param == "embedded":
        return Settings(home=tmp_path / "home")
    client = QdrantClient(":memory:")
    monkeypatch.setattr(store_server, "QdrantClient", lambda **_: client)
    return Settings(home=tmp_path / "home", index=IndexSettings(qdrant_url="http://127.0.0.1:9"))


@pytest.fixture
def folders(tmp_path: Path, settings: Settings) -> Folders:
    """Two repositories that are indexed at version 1."""
    found = (tmp_path / "left", tmp_path / "right")
    for folder in found:
        folder.mkdir()
        (folder / "stays.py").write_text("def staying_function():\n    return 0\n")
    write(found, 1)
    for folder in found:
        Indexer(settings).index(str(folder), name=folder.name)
    return found


def write(folders: Folders, version: int) -> None:
    for folder in folders:
        (folder / "marked.py").write_text(f"def marked_function():\n    return 'version {version}'\n")


def prepare(settings: Settings, folder: Path) -> str:
    return Indexer(settings).prepare(Corpus(settings).add(str(folder), name=folder.name)).state


def versions(settings: Settings) -> list[str]:
    found = Retriever(settings).search("marked_function").results
    return sorted(result.text.split("'")[1] for result in found if result.symbol == "marked_function")


def stored(settings: Settings, repo: str) -> dict[int, object]:
    generation = open_store(settings).open(repo)
    ids = [identifier for _, of_file in generation.manifest().files.values() for identifier in of_file]
    return {point.id: (point.payload, point.sparse.ids.tolist()) for point in generation.points(ids).values()}


def test_what_is_prepared_is_seen_by_nobody_until_all_of_it_is_switched(settings: Settings, folders: Folders) -> None:
    write(folders, 2)
    states = {folder.name: prepare(settings, folder) for folder in folders}
    assert versions(settings) == ["version 1", "version 1"]
    Indexer(settings).switch(states)
    assert versions(settings) == ["version 2", "version 2"]


def test_what_is_switched_to_equals_a_fresh_index(settings: Settings, folders: Folders, tmp_path: Path) -> None:
    before = stored(settings, "left")
    write(folders, 2)
    prepare(settings, folders[0])
    write(folders, 3)
    state = prepare(settings, folders[0])  # goes on from what was prepared
    assert stored(settings, "left") == before
    Indexer(settings).switch({"left": state})
    write(folders, 4)
    Indexer(settings).index(str(folders[0]), name="left")
    fresh = Settings(home=tmp_path / "fresh")
    Indexer(fresh).index(str(folders[0]), name="left")
    assert stored(settings, "left") == stored(fresh, "left")


def test_a_repository_that_is_new_appears_with_the_switch(settings: Settings, folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "third").mkdir()
    write((tmp_path / "third", folders[0]), 2)
    states = {folder.name: prepare(settings, folder) for folder in (tmp_path / "third", folders[0])}
    assert [record.name for record in Retriever(settings).repositories()] == ["left", "right"]
    Indexer(settings).switch(states)
    assert [record.name for record in Retriever(settings).repositories()] == ["left", "right", "third"]
    assert versions(settings) == ["version 1", "version 2", "version 2"]


def test_nothing_is_switched_when_one_was_indexed_again_in_between(settings: Settings, folders: Folders) -> None:
    write(folders, 2)
    states = {folder.name: prepare(settings, folder) for folder in folders}
    write((folders[1], folders[1]), 3)
    Indexer(settings).index(str(folders[1]), name="right")
    with pytest.raises(OperationError, match="right was indexed again"):
        Indexer(settings).switch(states)
    assert versions(settings) == ["version 1", "version 3"]


def test_a_repeated_switch_changes_nothing(settings: Settings, folders: Folders) -> None:
    write(folders, 2)
    states = {folder.name: prepare(settings, folder) for folder in folders}
    Indexer(settings).switch(states)
    before = open_store(settings).version("left")
    Indexer(settings).switch(states)
    assert open_store(settings).version("left") == before


def test_an_unchanged_repository_keeps_its_generation_and_forgets_what_was_prepared(settings: Settings, folders: Folders) -> None:
    now = {record.name: record.state for record in Retriever(settings).repositories()}
    write(folders, 2)
    prepare(settings, folders[0])
    write(folders, 1)
    assert prepare(settings, folders[0]) == now["left"]
    assert open_store(settings).prepared("left") is None
    Indexer(settings).switch({"left": now["left"]})
    assert versions(settings) == ["version 1", "version 1"]


def test_what_was_prepared_and_never_switched_to_is_gone_after_the_next_run(tmp_path: Path) -> None:
    settings, folder = Settings(home=tmp_path / "home"), tmp_path / "left"
    folder.mkdir()
    for version in (1, 2, 3):
        write((folder, folder), version)
        if version == 2:
            prepare(settings, folder)
        else:
            Indexer(settings).index(str(folder), name="left")
    (record,) = Retriever(settings).repositories()
    assert [entry.name for entry in (settings.home / "index" / "left").iterdir() if entry.is_dir()] == [record.generation]


def test_a_switch_that_is_killed_is_whole_and_the_next_writer_finishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, folders = Settings(home=tmp_path / "home"), (tmp_path / "left", tmp_path / "right")
    for folder in folders:
        folder.mkdir()
    write(folders, 1)
    for folder in folders:
        Indexer(settings).index(str(folder), name=folder.name)
    write(folders, 2)
    states = {folder.name: prepare(settings, folder) for folder in folders}
    with monkeypatch.context() as patch:
        patch.setattr(Pointers, "settle", lambda pointers, repo: None if not pointers._switch() else die())
        with pytest.raises(KeyboardInterrupt):
            Indexer(settings).switch(states)
    assert versions(settings) == ["version 2", "version 2"]
    switch = settings.home / "index" / "switch.json"
    whole = switch.read_text()
    switch.write_text(whole[:20])
    assert versions(settings) == ["version 1", "version 1"]
    switch.write_text(whole)
    for folder in folders:
        Indexer(settings).index(str(folder), name=folder.name)
    assert versions(settings) == ["version 2", "version 2"]
    assert not (settings.home / "index" / "switch.json").exists()


def test_a_switch_on_the_server_that_is_killed_after_its_moment_leaves_nothing_that_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = QdrantClient(":memory:")
    monkeypatch.setattr(store_server, "QdrantClient", lambda **_: client)
    settings = Settings(home=tmp_path / "home", index=IndexSettings(qdrant_url="http://127.0.0.1:9"))
    folder = tmp_path / "left"
    folder.mkdir()
    for version in (1, 2):
        write((folder, folder), version)
        state = prepare(settings, folder)
        with monkeypatch.context() as patch:
            patch.setattr(client, "delete", lambda *_, **__: die())
            with pytest.raises(KeyboardInterrupt):
                Indexer(settings).switch({"left": state})
        assert versions(settings) == [f"version {version}"]
    write((folder, folder), 3)
    Indexer(settings).switch({"left": prepare(settings, folder)})
    fresh = Settings(home=tmp_path / "fresh")
    Indexer(fresh).index(str(folder), name="left")
    assert stored(settings, "left") == stored(fresh, "left")


def die() -> None:
    raise KeyboardInterrupt
