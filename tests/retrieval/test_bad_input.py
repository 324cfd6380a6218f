"""Whatever is asked, and whatever became of the index: an answer, or one sentence that says what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from cia.errors import InputError, NotIndexedError, OperationError
from cia.retrieval import Indexer, Retriever
from cia.retrieval.seal import REWRITTEN, SEAL, check, mark_damaged, seal
from cia.retrieval.store_edge import EdgeStore
from cia.settings import Settings


@pytest.fixture
def retriever(settings: Settings, shop: Path) -> Retriever:
    Indexer(settings).index(str(shop), name="shop")
    return Retriever(settings)


ODD = [
    "the of and is",
    "?!... --- ***",
    "\u202eتعريف السلة\u202c",
    "\ud800\udfff lone \udc80 surrogates",
    "cart\x00\x07\x1b[2Jtotal",
    "' OR 1=1; DROP TABLE chunks; --",
    "(((((cart|total)+)+)+)+$",
    "[[[*?+\\",
    "🛒🛒🛒",
    "{{cart}} ${cart} %(cart)s %n",
    "cart" * 5000,
    "a " * 9000,
    '"' * 999,
    "'`\"",
    "`" + "x" * 300 + "`",
    "shop/" * 900 + "cart.py",
    "cart.py:99999999999999999999",
    "cart.py:0-0",
    "." * 5000,
    "a.b." * 3000,
    "Error: " * 2000,
    "repo: shop lang: python",
    "https://example.org:80/a?b=c#d",
    "path: no such file",
]


@pytest.mark.parametrize("query", ODD, ids=range(len(ODD)))
def test_any_text_is_answered_within_a_second(retriever: Retriever, query: str) -> None:
    retriever.search("warm up")
    started = time.process_time()
    found = retriever.search(query)
    assert time.process_time() - started < 1
    json.dumps(found.as_json())


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "empty"),
        (" \t\n", "empty"),
        ("lang:python path:shop", "empty"),
        ("cart " * 20_000, "100000 characters"),
        ("cart lang:klingon", "'klingon'; indexed here are javascript, markdown, python"),
        ('cart repo:""', "repo: has no value"),
        ("cart author:me", "no filter author:"),
        ("branch:main cart", "no filter branch:"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_a_sentence(retriever: Retriever, query: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        retriever.search(query)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("query", ['"author:me"', "std::vector author: me", "user:// and ext:/x"])
def test_what_only_looks_like_a_filter_is_searched_for(retriever: Retriever, query: str) -> None:
    retriever.search(query)


@pytest.mark.parametrize("repo", ["\ud800", "\x00", "x" * 5000, "../shop", "", "shop\n"])
def test_no_name_of_a_repository_is_more_than_not_indexed(retriever: Retriever, repo: str) -> None:
    with pytest.raises(NotIndexedError):
        retriever.search("cart", repos=[repo])


@pytest.mark.parametrize(
    "limits",
    [{"path": "\udc80"}, {"path": "shop\x00"}, {"languages": ["\ud800"]}, {"languages": [""]}, {"languages": ["klingon"]}],
)
def test_parameters_are_checked_as_filters_are(retriever: Retriever, limits: dict[str, object]) -> None:
    with pytest.raises(InputError):
        retriever.search("cart", **limits)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["py", "Python", ".py", "js"])
def test_a_language_goes_by_its_other_names(retriever: Retriever, name: str) -> None:
    assert retriever.search("cart", languages=[name]).results


def test_a_filter_that_leaves_nothing_says_so(retriever: Retriever) -> None:
    nothing = retriever.search("cart path:no/such/folder")
    assert (nothing.results, nothing.notices) == ((), ("no indexed file matches path:no/such/folder",))
    nothing = retriever.search("cart lang:rust")
    assert nothing.results == ()
    assert nothing.notices == ("nothing is indexed in rust; indexed here are javascript, markdown, python",)
    assert retriever.search("cart path:[").results == ()


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def make_unreadable(path: Path) -> None:
    path.unlink()
    path.mkdir()


FILES_OF_A_GENERATION = ("files.json", "manifest.json", "lexicon.npy", "page_0.dat")
DAMAGES = [
    *product(FILES_OF_A_GENERATION, (truncate, Path.unlink, make_unreadable)),
    *product(["current.json"], (truncate, Path.unlink)),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_damage_to_an_index_is_named_and_mended_by_indexing_again(
    settings: Settings, shop: Path, name: str, damage: Callable[[Path], None]
) -> None:
    Indexer(settings).index(str(shop), name="shop")
    damage(next((settings.home / "index").rglob(name)))
    if (name, damage) == ("current.json", Path.unlink):
        assert Retriever(settings).search("cart").results == ()
    else:
        with pytest.raises(OperationError, match=r"damaged.*run `cia index` on it again"):
            Retriever(settings).search("cart")
    Indexer(settings).index(str(shop), name="shop")
    assert Retriever(settings).search("Cart.add").results[0].symbol == "Cart.add"


def test_no_file_of_an_index_can_be_lost_or_cut_short_unnoticed(settings: Settings, shop: Path) -> None:
    Indexer(settings).index(str(shop), name="shop")
    generation = EdgeStore(settings.home / "index").open("shop").directory
    files = [path for path in generation.rglob("*") if path.is_file() and not path.name.endswith("_journal.dat")]
    assert len(files) > 50
    for file in files:
        aside = settings.home / "aside"
        file.rename(aside)
        with pytest.raises(OSError, match=file.name):
            check(generation)
        aside.rename(file)
        size = file.stat().st_size
        if size and not file.name.endswith((*REWRITTEN, SEAL)):
            os.truncate(file, size - 1)
            with pytest.raises(ValueError, match=file.name):
                check(generation)
            os.truncate(file, size)
    check(generation)


def test_what_the_engine_stumbles_over_is_made_anew(settings: Settings, shop: Path) -> None:
    Indexer(settings).index(str(shop), name="shop")
    for payload in (settings.home / "index").rglob("payload_storage/page_0.dat"):
        size = payload.stat().st_size
        with payload.open("r+b") as file:
            file.write(b"\xff" * 65536)
        assert payload.stat().st_size == size
    with pytest.raises(OperationError, match="cia index"):
        Retriever(settings).search("cart")
    Indexer(settings).index(str(shop), name="shop")
    assert Retriever(settings).search("Cart.add").results[0].symbol == "Cart.add"


def test_a_seal_breaks_with_any_file(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_text("four")
    seal(tmp_path)
    check(tmp_path)
    (tmp_path / "inner" / "file").write_text("fours")
    with pytest.raises(ValueError, match="inner/file"):
        check(tmp_path)
    (tmp_path / "inner" / "file").write_text("4444")
    check(tmp_path)
    mark_damaged(tmp_path)
    with pytest.raises(ValueError, match="failed"):
        check(tmp_path)
    (tmp_path / SEAL).unlink()
    with pytest.raises(OSError, match=SEAL):
        check(tmp_path)


def test_a_corpus_that_lost_its_pointer_does_not_stop_a_search(settings: Settings, retriever: Retriever) -> None:
    (settings.home / "corpus" / "shop" / "current.json").write_text("{")
    assert retriever.search("cart").results
    assert Retriever(settings).search("cart").results


def test_a_reader_changes_nothing_that_the_next_one_would_miss(settings: Settings, retriever: Retriever) -> None:
    for _ in range(3):
        assert Retriever(settings).search("cart").results
    assert retriever.search("cart").results
    EdgeStore(settings.home / "index").open("shop").manifest()


def cia(home: Path, *arguments: str | bytes) -> subprocess.CompletedProcess[str]:
    environment = {"CIA_HOME": str(home), "PATH": "/usr/bin:/bin", "HOME": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


@pytest.mark.usefixtures("retriever")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["cart", "--lang", "klingon"], 2, "javascript, markdown, python"),
        (["cart", "--path", "a\nb\x07"], 2, "characters that no path has"),
        (["cart author:me"], 2, "no filter author:"),
        ([b"\xff\xfe", "--repo", b"\xff"], 2, "no repository"),
        (["x" * 100_000], 2, "100000 characters"),
    ],
    ids=range(5),
)
def test_the_command_says_one_line_and_ends_with_its_code(
    settings: Settings, arguments: list[str | bytes], code: int, words: str
) -> None:
    done = cia(settings.home, "search", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("retriever")
def test_the_command_tells_of_damage_in_one_line(settings: Settings) -> None:
    next((settings.home / "index").rglob("manifest.json")).unlink()
    done = cia(settings.home, "search", "cart")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "run `cia index` on it again" in done.stderr
