"""Take a snapshot of the index and copy it to a volume of its own.

    python -m cluster.qdrant.snapshot --folder /snapshots http://qdrant-0.qdrant-pods:6333

Two catalogs say which points are published and which are prepared. They are saved first and have to be the same when the last
collection is saved, so that a snapshot never names points that it does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from cia.durable_files import disk_errors, exclusive, remove_unfinished, replace_directory, replace_text
from cia.errors import BusyError, CiaError, OperationError
from cia.settings import Settings, load_settings
from cluster.qdrant.node import QdrantNode
from cluster.qdrant.saved import LOCK, NAME, SavedFile, SavedSnapshot, find, keep_newest, write_list

ON_SERVER = ".on-server.json"
"""Which snapshot is being made on which server: a killed run leaves it there, and the next one deletes it."""

TRIES = 3


class _PublishedMeanwhileError(Exception):
    """The catalogs are no longer those that were saved."""


def take(settings: Settings, nodes: Sequence[QdrantNode], root: Path) -> SavedSnapshot | None:
    """Save the index below ``root`` and delete snapshots beyond ``cluster.qdrant.snapshots_kept``; None when nothing is indexed.

    Raises BusyError when another process is at it or indexing goes on, OperationError for a file that arrived changed or a full
    disk, and what `QdrantNode` raises. Nothing that is not complete counts, and the servers keep no copy.
    """
    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
    with exclusive(root / LOCK, "saving or restoring the index"):
        remove_unfinished(root)
        _forget_left_over(nodes, root / ON_SERVER)
        collections = _collections(settings, nodes[0])
        if not collections:
            return None
        for _ in range(TRIES):
            with suppress(_PublishedMeanwhileError):
                name = _save(settings, nodes, collections, root)
                keep_newest(root, settings.cluster.qdrant.snapshots_kept)
                return find(root, name)
        raise BusyError("repositories were published while the index was saved; try again when no indexing runs")


def catalogs(settings: Settings) -> tuple[str, str]:
    """Return the collections that say what is published, and what is prepared (`cia.retrieval.store_server`)."""
    return f"{settings.index.collection}-catalog", f"{settings.index.collection}-prepared"


def _collections(settings: Settings, node: QdrantNode) -> list[str]:
    """Return our collections, the catalogs first; none before anything was published."""
    ours = [name for name in node.collections() if name.startswith(f"{settings.index.collection}-")]
    if catalogs(settings)[0] not in ours:
        return []
    return sorted(ours, key=lambda name: (name not in catalogs(settings), name))


def _save(settings: Settings, nodes: Sequence[QdrantNode], collections: list[str], root: Path) -> str:
    naming = [name for name in collections if name in catalogs(settings)]
    named = [nodes[0].published(name) for name in naming]
    folder_name = datetime.now(UTC).strftime(NAME)
    with replace_directory(root / folder_name) as folder:
        files = [_copy(node, number, collection, folder) for collection in collections for number, node in enumerate(nodes)]
        if [nodes[0].published(name) for name in naming] != named:
            raise _PublishedMeanwhileError
        write_list(folder, len(nodes), nodes[0].version(), files)
    return folder_name


def _copy(node: QdrantNode, number: int, collection: str, folder: Path) -> SavedFile:
    path = folder / f"node-{number}" / f"{collection}.snapshot"
    path.parent.mkdir(exist_ok=True)
    with _on_server(node, collection, folder.parent / ON_SERVER) as (snapshot, expected):
        sha256 = node.download(collection, snapshot, path)
    if expected is not None and sha256 != expected:
        raise OperationError(f"the snapshot of {collection} arrived from {node.url} changed: its checksum differs; try again")
    return SavedFile(collection, number, str(path.relative_to(folder)), path.stat().st_size, sha256)


@contextmanager
def _on_server(node: QdrantNode, collection: str, note: Path) -> Iterator[tuple[str, str | None]]:
    present = node.snapshots(collection)
    replace_text(note, json.dumps({"node": node.url, "collection": collection, "present": present}))
    try:
        yield node.make_snapshot(collection)
    finally:
        _delete_new(node, collection, present, note)


def _forget_left_over(nodes: Sequence[QdrantNode], note: Path) -> None:
    if not note.exists():
        return
    left = json.loads(note.read_text(encoding="utf-8"))
    for node in nodes:
        if node.url == left["node"]:
            _delete_new(node, left["collection"], left["present"], note)
    note.unlink(missing_ok=True)


def _delete_new(node: QdrantNode, collection: str, present: list[str], note: Path) -> None:
    # By what was not there before: a server that was still at it when its caller was killed never told the name.
    for snapshot in set(node.snapshots(collection)) - set(present):
        node.delete_snapshot(collection, snapshot)
    note.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """Take a snapshot; returns the exit code. A failure is one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m cluster.qdrant.snapshot", description="Save the index on a volume.")
    parser.add_argument("nodes", nargs="+", metavar="URL", help="each node of the Qdrant cluster, in its order")
    parser.add_argument("--folder", type=Path, required=True, help="where snapshots are kept")
    asked = parser.parse_args(arguments)
    try:
        settings = load_settings()
        saved = take(settings, [QdrantNode(url, settings) for url in asked.nodes], asked.folder)
    except CiaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(
        f"saved {saved.name}: {len(saved.files)} files, {saved.bytes:,} bytes" if saved else "nothing is indexed yet", flush=True
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
