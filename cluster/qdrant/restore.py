"""Put a snapshot of the index back.

    python -m cluster.qdrant.restore --folder /snapshots latest http://qdrant-0.qdrant-pods:6333

Every file is checked before the first is sent, so that a damaged snapshot changes nothing. What was indexed after the snapshot
was taken is gone afterwards; indexing brings it back. A restore that was killed is run again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cia.durable_files import exclusive
from cia.errors import CiaError, InputError
from cia.progress import Progress, silent
from cia.settings import load_settings
from cluster.qdrant.node import QdrantNode
from cluster.qdrant.saved import LATEST, LOCK, SavedSnapshot, find


def restore(nodes: Sequence[QdrantNode], root: Path, name: str = LATEST, progress: Progress = silent) -> SavedSnapshot:
    """Replace the collections of ``nodes`` by those of the snapshot ``name`` below ``root``, and return it.

    Raises InputError when there is no such snapshot or it is of another number of nodes, OperationError when a file was changed,
    BusyError when another process saves or restores, and what `QdrantNode` raises.
    """
    saved = find(root, name)
    if saved.nodes != len(nodes):
        raise InputError(f"{saved.name} was taken of {saved.nodes} nodes, not {len(nodes)}; set cluster.qdrant.replicas to that")
    with exclusive(root / LOCK, "saving or restoring the index"):
        saved.check()
        # The catalogs were saved first and come last: what they name is there by then.
        for done, file in enumerate(reversed(saved.files)):
            progress(f"restoring {file.collection}", done, len(saved.files))
            node = nodes[file.node]
            present = node.snapshots(file.collection)
            node.put_back(file.collection, saved.folder / file.file, file.sha256)
            # The server keeps what was sent beside what it made of it.
            for sent in set(node.snapshots(file.collection)) - set(present):
                node.delete_snapshot(file.collection, sent)
    return saved


def main(arguments: list[str] | None = None) -> int:
    """Restore a snapshot; returns the exit code. A failure is one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m cluster.qdrant.restore", description="Put a snapshot of the index back.")
    parser.add_argument("snapshot", help="its name, or 'latest'")
    parser.add_argument("nodes", nargs="+", metavar="URL", help="each node of the Qdrant cluster, in its order")
    parser.add_argument("--folder", type=Path, required=True, help="where snapshots are kept")
    asked = parser.parse_args(arguments)

    def tell(stage: str, done: int, total: int) -> None:
        print(f"{stage} ({done + 1} of {total})", flush=True)

    try:
        settings = load_settings()
        saved = restore([QdrantNode(url, settings) for url in asked.nodes], asked.folder, asked.snapshot, tell)
    except CiaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"restored {saved.name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
