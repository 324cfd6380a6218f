"""Updates are exact, a kill leaves nothing behind, and readers see the old index or the new one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cia.durable_files import exclusive
from cia.retrieval import Indexer, Retriever
from cia.retrieval.store_edge import EdgeStore
from cia.settings import Settings


def everything(settings: Settings, repo: str) -> tuple[dict[int, Any], Any, dict[str, Any]]:
    """All points with their vectors, the lexicon and the manifest of the current generation."""
    generation = EdgeStore(settings.home / "index").open(repo)
    manifest = generation.manifest()
    ids = [identifier for _, of_file in manifest.files.values() for identifier in of_file]
    points = {
        point.id: (point.level, point.payload, point.sparse.ids.tolist(), point.sparse.weights.tolist(), vector(point.dense))
        for point in generation.points(ids).values()
    }
    lexicon = generation.lexicon
    return points, (lexicon.ids.tolist(), lexicon.counts.tolist(), lexicon.documents), dict(manifest.files)


def vector(dense: Any) -> list[float]:
    return [round(float(value), 5) for value in dense]


KINDS = ["add", "edit", "shift", "rename", "delete", "copy", "swap", "empty", "binary", "case", "move", "back", "twin"]


def change_something(folder: Path, number: int, chance: random.Random, kind: str) -> None:
    files = sorted(path for path in folder.rglob("*.py") if path.is_file())
    one, other = chance.choice(files), chance.choice(files)
    if kind == "edit":
        one.write_bytes(one.read_bytes() + f"\n\ndef extra_{number}(first, second):\n    return first * second\n".encode())
    elif kind == "shift":
        one.write_bytes(f"# moved down {number}\n\n".encode() + one.read_bytes())
    elif kind == "rename":
        one.rename(one.with_name(f"renamed_{number}.py"))
    elif kind == "delete" and len(files) > 3:
        one.unlink()
    elif kind == "copy":
        (folder / f"copy_{number}.py").write_bytes(one.read_bytes())
    elif kind == "swap":
        data = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(data)
    elif kind == "empty":
        one.write_bytes(b"")
    elif kind == "binary":
        (folder / f"data_{number}.py").write_bytes(b"\x00\x01" * 50)
        one.write_bytes(one.read_bytes() + b"# \xff\xfe\n")
    elif kind == "case":
        one.rename(one.with_name(one.name.upper().replace(".PY", ".py")))
    elif kind == "move":
        (folder / f"room_{number}").mkdir()
        one.rename(folder / f"room_{number}" / one.name)
    elif kind == "back":
        (folder / "back.py").write_text("def there_and_back():\n    return 1\n" * (number % 2))
    elif kind == "twin":
        (folder / f"twin_{number}.py").write_text("def same(x):\n    return x\n\n\n" * 3)
    else:
        (folder / f"added_{number}.py").write_text(f"def helper_{number}(value):\n    return value + {number}\n")


@pytest.mark.parametrize("seed", [1, 2])
def test_an_updated_index_equals_a_fresh_one_point_for_point(settings: Settings, shop: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    kinds = chance.sample(KINDS, len(KINDS))
    for number in range(7):
        Indexer(settings).index(str(shop), name="shop")
        for turn, kind in enumerate(kinds[2 * number : 2 * number + 2]):
            change_something(shop, 10 * number + turn, chance, kind)
    Indexer(settings).index(str(shop), name="shop")
    fresh = Settings(home=tmp_path / "fresh")
    Indexer(fresh).index(str(shop), name="shop")
    assert everything(settings, "shop") == everything(fresh, "shop")


def test_any_way_through_a_history_ends_in_the_same_index(settings: Settings, shop: Path, tmp_path: Path) -> None:
    chance = random.Random(3)
    commits = [commit(shop, "first")]
    for number, kind in enumerate(chance.sample(KINDS, len(KINDS))):
        change_something(shop, number, chance, kind)
        commits.append(commit(shop, kind))
    for way in (commits[0], commits[5], commits[2], commits[9], commits[-1]):
        report = Indexer(settings).index(f"{shop}@{way}", name="shop")
        assert report.commit == way
    fresh = Settings(home=tmp_path / "fresh")
    Indexer(fresh).index(f"{shop}@{commits[-1]}", name="shop")
    assert everything(settings, "shop") == everything(fresh, "shop")


def commit(folder: Path, message: str) -> str:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.ignorecase=false"]
        return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout

    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", message)
    return git("rev-parse", "HEAD").strip()


def test_a_report_counts_what_changed(settings: Settings, shop: Path) -> None:
    first = Indexer(settings).index(str(shop), name="shop")
    assert (first.added, first.updated, first.deleted) == (6, 0, 0)
    assert first.chunks > 6
    (shop / "README.md").unlink()
    (shop / "shop" / "prices.py").write_text("def price_of(item):\n    return 1\n")
    (shop / "new.py").write_text("x = 1\n")
    second = Indexer(settings).index(str(shop), name="shop")
    assert (second.files, second.added, second.updated, second.deleted) == (6, 1, 1, 1)
    third = Indexer(settings).index(str(shop), name="shop")
    assert (third.added, third.updated, third.deleted) == (0, 0, 0)


def test_a_run_that_finds_nothing_new_makes_the_index_young_again_and_no_reader_opens_it_anew(
    settings: Settings, shop: Path
) -> None:
    Indexer(settings).index(str(shop), name="shop")
    store = EdgeStore(settings.home / "index")
    for name in ("current.json", "confirmed"):
        os.utime(settings.home / "index" / "shop" / name, (1000, 1000))
    version = store.version("shop")
    assert store.repositories()[0].indexed_at == 1000
    before = time.time()
    Indexer(settings).index(str(shop), name="shop")
    assert before - 1 < store.repositories()[0].indexed_at <= time.time()
    assert store.version("shop") == version


def test_nothing_is_left_of_earlier_generations(settings: Settings, shop: Path) -> None:
    for number in range(3):
        (shop / "new.py").write_text(f"x = {number}\n")
        Indexer(settings).index(str(shop), name="shop")
    assert sorted(entry.name for entry in (settings.home / "index" / "shop").iterdir() if entry.is_dir()) == [
        EdgeStore(settings.home / "index").repositories()[0].generation
    ]


def test_a_generation_that_is_open_outlives_its_replacement(settings: Settings, shop: Path) -> None:
    Indexer(settings).index(str(shop), name="shop")
    generation = EdgeStore(settings.home / "index").open("shop")
    ids = [identifier for _, of_file in generation.manifest().files.values() for identifier in of_file]
    (shop / "new.py").write_text("x = 1\n")
    Indexer(settings).index(str(shop), name="shop")
    assert not generation.directory.exists()
    assert len(generation.points(ids)) == len(ids)


def test_a_killed_run_is_completed_by_the_next(settings: Settings, shop: Path, tmp_path: Path) -> None:
    for number in range(60):
        (shop / f"module_{number}.py").write_text(f"def function_{number}(value):\n    return value * {number}\n" * 20)
    command = [sys.executable, "-c", KILLED, str(shop), str(settings.home)]
    killed = 0
    for delay in (0.0, 0.05, 0.15, 0.3):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed
    Indexer(settings).index(str(shop), name="shop")
    fresh = Settings(home=tmp_path / "fresh")
    Indexer(fresh).index(str(shop), name="shop")
    assert everything(settings, "shop") == everything(fresh, "shop")
    assert not list((settings.home / "index" / "shop").glob(".*staging*"))


KILLED = """
import sys
from pathlib import Path
from cia.retrieval import Indexer
from cia.settings import Settings
indexer = Indexer(Settings(home=Path(sys.argv[2])))
indexer.index(sys.argv[1], name="shop", progress=lambda stage, done, total: print(stage, flush=True))
"""


def test_a_second_indexer_waits_and_says_so(settings: Settings, shop: Path) -> None:
    said: list[str] = []
    lock = settings.home / "index" / "shop" / "lock"
    with exclusive(lock, "indexing shop"):
        thread = threading.Thread(target=lambda: Indexer(settings).index(str(shop), "shop", lambda stage, *_: said.append(stage)))
        thread.start()
        deadline = time.monotonic() + 20
        while not any("waiting" in stage for stage in said) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert thread.is_alive()
    thread.join()
    assert any("waiting" in stage for stage in said)
    assert Retriever(settings).search("Cart.add").results


def test_a_search_never_mixes_two_generations(settings: Settings, shop: Path) -> None:
    def write(version: int) -> None:
        for path in ("left.py", "right.py"):
            (shop / path).write_text(f"def marked_function():\n    return 'version {version}'\n")

    write(0)
    Indexer(settings).index(str(shop), name="shop")
    retriever, stop, mixed = Retriever(settings), threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            found = [result for result in retriever.search("marked_function").results if result.symbol == "marked_function"]
            if len({(result.commit, result.text) for result in found}) != 1 or len(found) != 2:
                mixed.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    for version in range(1, 6):
        write(version)
        Indexer(settings).index(str(shop), name="shop")
    stop.set()
    reader.join()
    assert not mixed


def test_a_removed_repository_is_gone(settings: Settings, shop: Path) -> None:
    Indexer(settings).index(str(shop), name="shop")
    Indexer(settings).remove("shop")
    assert Retriever(settings).repositories() == []
