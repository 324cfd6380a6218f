"""``python -m cia.corpus.export data/corpus``: fix the configured sources as one small, comparable file each.

The first stage of ``dvc.yaml``. A file names the commit and the SHA-256 of every accepted file, and nothing of this machine,
so the same sources give the same bytes anywhere.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cia.corpus.corpus import Corpus
from cia.corpus.snapshot import Snapshot
from cia.durable_files import replace_directory
from cia.errors import CiaError, InputError
from cia.settings import Settings, load_settings


def export(settings: Settings, directory: Path) -> list[Snapshot]:
    """Add every source of ``settings.corpus`` and write ``directory/<repo>.json`` for each; return their snapshots.

    ``directory`` is replaced as a whole. Raises what ``Corpus.add`` raises.
    """
    corpus = Corpus(settings)
    added = [(source, corpus.add(source)) for source in settings.corpus.sources]
    with replace_directory(directory) as staging:
        for source, snapshot in added:
            document = {
                "repo": snapshot.repo,
                "source": source,
                "commit": snapshot.commit,
                "files": [{"path": file.path, "sha256": file.blob, "size": file.size} for file in snapshot.files],
                "skipped": snapshot.skipped,
            }
            (staging / f"{snapshot.repo}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return [snapshot for _, snapshot in added]


def main(arguments: list[str]) -> int:
    """Run the export and return the exit code."""
    try:
        if len(arguments) != 1:
            raise InputError("name one folder to write to: python -m cia.corpus.export data/corpus")
        for snapshot in export(load_settings(), Path(arguments[0])):
            print(f"{snapshot.repo} at {snapshot.commit[:12]}: {len(snapshot.files)} files")
    except CiaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
