"""How indexing and searching grow with a repository: 10,000 to 200,000 chunks of different code.

    python -m benchmarks.scale                     # all four sizes, some minutes
    python -m benchmarks.scale 10000 50000         # these

Each repository is made of the Python files of the packages installed beside this interpreter, every content once, so a size
can be reached only where enough is installed. For each it prints the seconds of a full index in a fresh process, the seconds
until a second process has its first answer, p50 and p95 in milliseconds of ``Retriever.search`` (embedding the question
included) over questions that are asked once each, peak memory of the indexer with its workers and of the searcher (mapped
files included) in MB, and the size of the index on disk. The questions are the first sentences of docstrings, names of
definitions, half sentences and paths, all from the repository itself.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.index_speed import PEAK
from cia.chunking import chunk_file
from cia.chunking.chunk import Chunk
from cia.corpus import rules
from cia.settings import ChunkingSettings

SIZES = (10_000, 50_000, 100_000, 200_000)
QUESTIONS = 400
QUESTIONS_TO_WARM_UP = 10

INDEX = """
import json, resource, sys, time
from pathlib import Path
started = time.perf_counter()
from cia.retrieval import Indexer
from cia.settings import Settings
report = Indexer(Settings(home=Path(sys.argv[2]))).index(sys.argv[1], name="scale")
seconds = time.perf_counter() - started
worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({"chunks": report.chunks, "files": report.files, "seconds": seconds, "peak": peak(), "worker": worker}))
"""

SEARCH = """
import json, sys, time
from pathlib import Path
started = time.perf_counter()
from cia.retrieval import Retriever
from cia.settings import Settings
retriever = Retriever(Settings(home=Path(sys.argv[1])))
questions = json.loads(Path(sys.argv[2]).read_text())
retriever.search(questions[0])
first = time.perf_counter() - started
milliseconds = []
for question in questions[1:]:
    asked = time.perf_counter()
    retriever.search(question)
    milliseconds.append(1000 * (time.perf_counter() - asked))
print(json.dumps({"first": first, "milliseconds": milliseconds, "peak": peak()}))
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Indexing and searching repositories of several sizes.")
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, help="in chunks (default: %(default)s)")
    sizes = sorted(parser.parse_args(arguments).sizes)
    print(
        f"{'chunks':>8}{'files':>7}{'index s':>9}{'chunks/s':>10}{'first s':>9}{'p50 ms':>8}{'p95 ms':>8}"
        f"{'indexer MB':>12}{'searcher MB':>13}{'disk MB':>9}"
    )
    with tempfile.TemporaryDirectory(prefix="scale-") as scratch:
        tree, chance = Path(scratch) / "tree", random.Random(7)
        written, questions = 0, list[str]()
        files = _different_files(Path(sysconfig.get_path("purelib")))
        for size in sizes:
            while written < size:
                path, data, chunks = next(files, ("", b"", []))
                if not path:
                    sys.exit(f"the packages installed here have only {written} chunks; install more, or ask for fewer")
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                (tree / path).write_bytes(data)
                written += len(chunks)
                questions += [question for chunk in chunks if (question := _question(chunk, chance))]
            print(
                _row(tree, Path(scratch), chance.sample(questions, min(QUESTIONS + QUESTIONS_TO_WARM_UP, len(questions)))),
                flush=True,
            )


def _different_files(packages: Path) -> Iterator[tuple[str, bytes, list[Chunk]]]:
    """The Python files of the installed packages that the corpus accepts, each content once, in an order without order."""
    paths = [path for path in packages.rglob("*.py") if not path.is_symlink()]
    seen = set()
    for path in sorted(paths, key=lambda path: hashlib.sha256(str(path.relative_to(packages)).encode()).digest()):
        name, data = path.relative_to(packages).as_posix(), path.read_bytes()
        content = hashlib.sha256(data).digest()
        if content in seen or rules.reason_to_skip_path(name) or rules.reason_to_skip_content(data):
            continue
        seen.add(content)
        yield name, data, chunk_file(name, data, ChunkingSettings())


def _question(chunk: Chunk, chance: random.Random) -> str:
    """Something that a person might ask about a chunk; "" for one that gives no question."""
    sentence = " ".join(chunk.docstring.split()).partition(". ")[0][:200]
    words = sentence.split()
    if len(words) >= 4:
        return " ".join(words[1 : 2 + len(words) // 2]) if chance.random() < 0.2 else sentence
    if chunk.symbol and chance.random() < 0.05:
        return chance.choice([chunk.symbol, f"where is {chunk.symbol} used", chunk.file_path.rpartition("/")[2]])
    return ""


def _row(tree: Path, scratch: Path, questions: list[str]) -> str:
    home, asked = scratch / "home", scratch / "questions.json"
    asked.write_text(json.dumps(questions), encoding="utf-8")
    indexed = _measured(INDEX, tree, home)
    searched = _measured(SEARCH, home, asked)
    disk = sum(os.lstat(Path(folder) / name).st_blocks for folder, _, names in os.walk(home / "index") for name in names) * 512
    shutil.rmtree(home)
    milliseconds = sorted(searched["milliseconds"][QUESTIONS_TO_WARM_UP:])
    p50, p95 = (milliseconds[int(len(milliseconds) * share)] for share in (0.5, 0.95))
    return (
        f"{indexed['chunks']:8d}{indexed['files']:7d}{indexed['seconds']:9.1f}{indexed['chunks'] / indexed['seconds']:10.0f}"
        f"{searched['first']:9.2f}{p50:8.1f}{p95:8.1f}"
        f"{indexed['peak'] + indexed['worker']:12.0f}{searched['peak']:13.0f}{disk / 1e6:9.0f}"
    )


def _measured(program: str, *arguments: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", PEAK + program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"a measured process failed: {done.stderr.strip().splitlines()[-1]}")
    measured: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return measured


if __name__ == "__main__":
    main()
