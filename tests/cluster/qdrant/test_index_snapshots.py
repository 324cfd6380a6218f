"""The index is saved whole or not at all, and comes back as it was."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient

from cia.errors import AccessError, BusyError, InputError, OperationError, UnavailableError
from cia.retrieval.store_server import ServerStore
from cia.settings import Settings, load_settings
from cluster.qdrant import node as node_module
from cluster.qdrant import restore as restore_module
from cluster.qdrant import saved as saved_module
from cluster.qdrant import snapshot as snapshot_module
from cluster.qdrant.node import QdrantNode
from cluster.qdrant.objects import FOLDER, cluster_objects, node_urls, restore_job
from cluster.qdrant.restore import restore
from cluster.qdrant.saved import keep_newest, saved_snapshots
from cluster.qdrant.snapshot import catalogs, take
from inference_services.cluster_objects import as_kubernetes_reads_it
from tests.cluster.qdrant.stand_in_qdrant import StandInQdrant

KEY = "made-up-for-this-test"
INDEX = {
    "code_chunks-MiniLM": b"points" * 20_000,
    "code_chunks-catalog": b"catalog",
    "code_chunks-prepared": b"prepared",
    "somebody-elses": b"theirs",
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInQdrant]:
    monkeypatch.setenv("QDRANT_API_KEY", KEY)
    server = StandInQdrant(KEY, INDEX)
    yield server
    server.close()


@pytest.fixture
def node(server: StandInQdrant, settings: Settings) -> QdrantNode:
    return QdrantNode(server.url, settings)


def test_the_index_comes_back_as_it_was(server: StandInQdrant, node: QdrantNode, settings: Settings, tmp_path: Path) -> None:
    saved = take(settings, [node], tmp_path)
    assert saved
    assert [file.collection for file in saved.files] == ["code_chunks-catalog", "code_chunks-prepared", "code_chunks-MiniLM"]
    server.collections = dict.fromkeys(INDEX, b"later")
    assert restore([node], tmp_path).name == saved.name
    assert server.collections == {**INDEX, "somebody-elses": b"later"}
    uploads = [asked for asked in server.asked if "/upload" in asked]
    assert "code_chunks-MiniLM" in uploads[0]
    assert "code_chunks-catalog" in uploads[-1]
    # Neither what was taken nor what was sent stays on the server's disk.
    assert not any(server.snapshots.values())


def test_each_node_of_a_cluster_gets_its_own_part_back(server: StandInQdrant, settings: Settings, tmp_path: Path) -> None:
    other = StandInQdrant(
        KEY, {"code_chunks-MiniLM": b"the other shard", "code_chunks-catalog": b"", "code_chunks-prepared": b""}
    )
    nodes = [QdrantNode(url, settings) for url in (server.url, other.url)]
    assert take(settings, nodes, tmp_path)
    server.collections["code_chunks-MiniLM"] = other.collections["code_chunks-MiniLM"] = b""
    restore(nodes, tmp_path)
    assert server.collections["code_chunks-MiniLM"] == INDEX["code_chunks-MiniLM"]
    assert other.collections["code_chunks-MiniLM"] == b"the other shard"
    with pytest.raises(InputError, match=r"of 2 nodes, not 1; set cluster\.qdrant\.replicas"):
        restore(nodes[:1], tmp_path)
    other.close()


def test_the_catalogs_are_those_that_the_store_reads(settings: Settings) -> None:
    client = QdrantClient(":memory:")
    store = ServerStore(settings, client)
    with store.writing("httpx"), store.writer("httpx", None, "static-1", 2):
        pass
    assert set(catalogs(settings)) <= {collection.name for collection in client.get_collections().collections}


def test_what_was_published_meanwhile_is_saved_again(
    server: StandInQdrant, node: QdrantNode, settings: Settings, tmp_path: Path
) -> None:
    def publish(collection: str) -> None:
        if collection == "code_chunks-MiniLM" and server.generation == "1":
            server.generation = "2"
            server.collections["code_chunks-catalog"] = b"second catalog"

    server.before_snapshot = publish
    saved = take(settings, [node], tmp_path)
    assert saved
    assert (saved.folder / "node-0" / "code_chunks-catalog.snapshot").read_bytes() == b"second catalog"
    assert saved_snapshots(tmp_path) == [saved]

    def publish_each_time(collection: str) -> None:
        server.generation += "1"

    server.before_snapshot = publish_each_time
    with pytest.raises(BusyError, match="try again when no indexing runs"):
        take(settings, [node], tmp_path)
    assert saved_snapshots(tmp_path) == [saved]


def test_a_server_without_an_index_has_nothing_to_save(
    settings: Settings, server: StandInQdrant, node: QdrantNode, tmp_path: Path
) -> None:
    server.collections = {"somebody-elses": b"theirs"}
    assert take(settings, [node], tmp_path) is None


def test_a_killed_run_leaves_nothing_that_counts(
    server: StandInQdrant, node: QdrantNode, settings: Settings, tmp_path: Path
) -> None:
    server.snapshots["code_chunks-MiniLM"] = {"by-hand.snapshot": b"kept"}
    server.stalls_at = "code_chunks-MiniLM"
    command = [sys.executable, "-m", "cluster.qdrant.snapshot", "--folder", str(tmp_path), server.url]
    with subprocess.Popen(command) as run:
        assert server.stalled.wait(30)
        run.send_signal(signal.SIGKILL)
    assert saved_snapshots(tmp_path) == []
    assert len(server.snapshots["code_chunks-MiniLM"]) == 2
    server.stalls_at = ""
    saved = take(settings, [node], tmp_path)
    assert saved
    assert {path.name for path in tmp_path.iterdir()} == {".lock", saved.name}
    assert server.snapshots["code_chunks-MiniLM"] == {"by-hand.snapshot": b"kept"}


def test_a_snapshot_that_arrives_changed_is_not_kept(
    server: StandInQdrant, node: QdrantNode, settings: Settings, tmp_path: Path
) -> None:
    server.spoil = True
    with pytest.raises(OperationError, match=r"arrived from .* changed: its checksum differs; try again"):
        take(settings, [node], tmp_path)
    assert saved_snapshots(tmp_path) == []
    assert not any(server.snapshots.values())


def test_a_damaged_snapshot_changes_nothing(server: StandInQdrant, node: QdrantNode, settings: Settings, tmp_path: Path) -> None:
    saved = take(settings, [node], tmp_path)
    assert saved
    (saved.folder / saved.files[0].file).write_bytes(b"catalot")
    server.asked.clear()
    with pytest.raises(OperationError, match="its checksum differs; restore another snapshot"):
        restore([node], tmp_path)
    assert server.asked == []


def test_a_full_disk_is_told_and_leaves_nothing(
    server: StandInQdrant, node: QdrantNode, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        if os.fstat(descriptor).st_size > 1000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(node_module.os, "fsync", full)
    with pytest.raises(OperationError, match="no space left on the disk"):
        take(settings, [node], tmp_path)
    assert saved_snapshots(tmp_path) == []
    assert not any(server.snapshots.values())


def test_only_the_newest_are_kept(
    server: StandInQdrant, node: QdrantNode, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    qdrant = settings.cluster.qdrant.model_copy(update={"snapshots_kept": 2})
    settings = settings.model_copy(update={"cluster": settings.cluster.model_copy(update={"qdrant": qdrant})})
    for second in range(3):
        monkeypatch.setattr(snapshot_module, "NAME", f"20261121T02300{second}Z")
        assert take(settings, [node], tmp_path)
    assert [saved.name for saved in saved_snapshots(tmp_path)] == ["20261121T023001Z", "20261121T023002Z"]
    # A deletion that was killed half way is finished by the next.
    (tmp_path / "20261121T023001Z" / saved_module.LIST).unlink()
    assert keep_newest(tmp_path, 2) == []
    assert not (tmp_path / "20261121T023001Z").exists()


def test_a_snapshot_that_there_is_not_is_named_with_those_there_are(node: QdrantNode, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are: none"):
        restore([node], tmp_path)
    saved = take(settings, [node], tmp_path)
    assert saved
    with pytest.raises(InputError, match=f"no snapshot 'yesterday' .* there are: {saved.name}"):
        restore([node], tmp_path, "yesterday")


def test_a_wrong_key_and_a_server_that_is_away_are_one_sentence(
    server: StandInQdrant, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_API_KEY", "wrong")
    with pytest.raises(AccessError, match="does not take the key; set QDRANT_API_KEY"):
        take(settings, [QdrantNode(server.url, settings)], tmp_path)
    with pytest.raises(UnavailableError, match="does not answer at http://127"):
        take(settings, [QdrantNode("http://127.0.0.1:9", settings)], tmp_path)


def test_the_commands_that_kubernetes_runs_save_and_restore(
    server: StandInQdrant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings("cluster", {})
    schedule = next(built for built in cluster_objects(settings) if built["kind"] == "CronJob")["spec"]["jobTemplate"]
    by_hand = as_kubernetes_reads_it(restore_job(settings))
    (saving, restoring) = (made["spec"]["template"]["spec"]["containers"][0] for made in (schedule, by_hand))

    def here(program: dict[str, Any]) -> list[str]:
        instead = {FOLDER: str(tmp_path), node_urls(settings)[0]: server.url}
        return [instead.get(argument, argument) for argument in program["args"]]

    assert snapshot_module.main(here(saving)) == 0
    (saved,) = saved_snapshots(tmp_path)
    assert capsys.readouterr().out == f"saved {saved.name}: 3 files, {saved.bytes:,} bytes\n"
    server.collections["code_chunks-MiniLM"] = b"damaged"
    assert restore_module.main(here(restoring)) == 0
    assert server.collections == INDEX
    assert capsys.readouterr().out.endswith(f"restored {saved.name}\n")
    monkeypatch.setenv("QDRANT_API_KEY", "wrong")
    assert snapshot_module.main(here(saving)) == 2
    assert capsys.readouterr().err.startswith("error: Qdrant at")
    assert [program["command"] for program in (saving, restoring)] == [
        ["python", "-m", "cluster.qdrant.snapshot"],
        ["python", "-m", "cluster.qdrant.restore"],
    ]
