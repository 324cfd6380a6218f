"""How fast a repository becomes searchable, next to semble, on the same machine in the same run.

    python -m benchmarks.index_speed                          # the celery sdist
    python -m benchmarks.index_speed pypi:scrapy==2.13.3      # anything that `cia index` takes

Prints files and chunks a second, peak memory, the time to index again with nothing changed, and the time until a change of
ten files can be searched. Every figure comes from a fresh process, and counts its start and imports. semble wants a model: the
first run distils it from MiniLM, which takes minutes and is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.retrieval.systems.semble import static_minilm
from cia.corpus import Corpus
from cia.settings import Settings, load_settings

CHANGED_FILES = 10

PEAK = """
def peak():
    # Not ru_maxrss: a child begins with its parent's.
    status = open("/proc/self/status").read()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
"""

CIA = """
import json, sys
from pathlib import Path
from cia.retrieval import Indexer, Retriever
from cia.settings import Settings
settings = Settings(home=Path(sys.argv[2]))
report = Indexer(settings).index(sys.argv[1], name="measured")
assert Retriever(settings).search("where does it start").results
print(json.dumps({"chunks": report.chunks, "peak": peak()}))
"""

SEMBLE = """
import json, sys
from semble import SembleIndex
index = SembleIndex.from_path(sys.argv[1], model_path=sys.argv[2])
assert index.search("where does it start")
print(json.dumps({"chunks": len(index.chunks), "peak": peak()}))
"""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Indexing speed, next to semble.")
    parser.add_argument("source", nargs="?", default="pypi:celery==5.7.0", help="what to index (default: %(default)s)")
    parser.add_argument("--semble-model", type=Path, help="folder of semble's model (default: made below CIA_HOME)")
    options = parser.parse_args()
    source = options.source
    model = static_minilm(options.semble_model or load_settings().home / "benchmarks" / "semble-model")
    with tempfile.TemporaryDirectory(prefix="index-speed-") as scratch:
        folder, home = Path(scratch) / "tree", Path(scratch) / "home"
        files = _write_tree(source, Path(scratch), folder)
        rows = [_row("cia: from nothing", files, CIA, folder, home), _row("cia: nothing changed", files, CIA, folder, home)]
        for path in sorted(folder.rglob("*.py"))[:CHANGED_FILES]:
            path.write_text(path.read_text(encoding="utf-8") + "\n\ndef added_to_this_file():\n    return 1\n", encoding="utf-8")
        rows.append(_row(f"cia: {CHANGED_FILES} files changed", files, CIA, folder, home))
        rows.append(_row("semble: from nothing", files, SEMBLE, folder, model))
    print(f"{source}: {files} files")
    print(f"{'':24}{'seconds':>9}{'files/s':>9}{'chunks/s':>10}{'peak MB':>9}")
    for name, seconds, chunks, peak in rows:
        print(f"{name:24}{seconds:9.2f}{files / seconds:9.0f}{chunks / seconds:10.0f}{peak:9.0f}")


def _write_tree(source: str, scratch: Path, folder: Path) -> int:
    snapshot = Corpus(Settings(home=scratch / "source")).add(source)
    for file in snapshot.files:
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(snapshot.blob_path(file.blob), folder / file.path)
    return len(snapshot.files)


def _row(name: str, files: int, program: str, folder: Path, state: Path) -> tuple[str, float, int, float]:
    started = os.times().elapsed
    command = [sys.executable, "-c", PEAK + program, str(folder), str(state)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = os.times().elapsed - started
    if done.returncode:
        sys.exit(f"{name} of {files} files failed: {done.stderr.strip().splitlines()[-1]}")
    measured = json.loads(done.stdout.strip().splitlines()[-1])
    return name, seconds, measured["chunks"], measured["peak"]


if __name__ == "__main__":
    main()
