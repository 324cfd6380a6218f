"""What a search finds, refuses and says."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from cia.errors import InputError, NotIndexedError, OperationError
from cia.retrieval import Indexer, Retriever
from cia.retrieval.langchain_retriever import CodeRetriever
from cia.settings import IndexSettings, Settings


@pytest.fixture
def retriever(settings: Settings, shop: Path) -> Retriever:
    Indexer(settings).index(str(shop), name="shop")
    return Retriever(settings)


def first(retriever: Retriever, query: str, **limits: object) -> str:
    return retriever.search(query, **limits).results[0].symbol  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["Cart.add", "Cart.add()", "shop.cart.Cart.add", "Cart::add", "Cart#add"])
def test_a_qualified_name_finds_its_definition_first(retriever: Retriever, name: str) -> None:
    assert first(retriever, name) == "Cart.add"


def test_a_bare_name_finds_its_definition_first(retriever: Retriever) -> None:
    assert first(retriever, "hash_password") == "hash_password"
    assert first(retriever, "Cart") == "Cart"


@pytest.mark.parametrize("path", ["shop/prices.py", "prices.py"])
def test_a_path_finds_its_file_first(retriever: Retriever, path: str) -> None:
    assert retriever.search(path).results[0].file_path == "shop/prices.py"


def test_a_quoted_error_message_finds_where_it_is_raised(retriever: Retriever) -> None:
    assert first(retriever, '"quantity must be positive"') == "Cart.add"


def test_a_sentence_finds_the_definition_that_it_describes(retriever: Retriever) -> None:
    assert first(retriever, "Lower an amount by a discount in percent.") == "apply_discount"
    assert first(retriever, "Return whether the given password is the right one.") == "User.check_password"


EDITOR = """class ProgressBar:
    def __init__(self, width, file, color, open_file, editor_width):
        self.width = width
        self.file = file
        self.color = color
        self.open_file = open_file
        self.editor_width = editor_width
        self.lines = []
        self.finished = False
        self.started = None
        self.label = ""
        self.bar = "opens in an editor"


class Editor:
    def edit(self, text):
        return self.launch(text)

    def launch(self, text):
        return text
"""


@pytest.mark.parametrize("question", ["how does it open an editor", "where is text edited in an editor?"])
def test_a_question_shows_the_chunk_it_is_about_and_not_the_longest_of_the_file(
    settings: Settings, tmp_path: Path, question: str
) -> None:
    (tmp_path / "term").mkdir()
    (tmp_path / "term" / "ui.py").write_text(EDITOR)
    (tmp_path / "term" / "colors.py").write_text("def style(text, color):\n    return color + text\n")
    Indexer(settings).index(str(tmp_path / "term"), name="term")
    assert first(Retriever(settings), question).startswith("Editor")


def test_tests_are_found_when_they_are_asked_for(retriever: Retriever) -> None:
    assert retriever.search("test that a negative quantity fails").results[0].file_path == "tests/test_cart.py"
    assert retriever.search("how is an item added to the cart").results[0].file_path == "shop/cart.py"


def test_a_message_about_work_finds_the_file_that_it_would_change_and_scores_as_other_questions_do(retriever: Retriever) -> None:
    work = retriever.search("Fix total price").results[0]
    topic = retriever.search("how is the total price computed?").results[0]
    assert work.file_path == topic.file_path == "shop/prices.py"
    assert work.score == pytest.approx(topic.score, abs=8.0)


def test_filters_work_inside_the_query_and_as_parameters(retriever: Retriever) -> None:
    for response in (retriever.search("cart lang:js"), retriever.search("cart", languages=["javascript"])):
        assert {result.language for result in response.results} == {"javascript"}
    for response in (retriever.search("cart path:shop/"), retriever.search("cart", path="shop/*.py")):
        assert {result.file_path.partition("/")[0] for result in response.results} == {"shop"}
    assert retriever.search("cart path:no/such/folder").results == ()


def test_a_result_carries_exactly_the_lines_that_it_names(retriever: Retriever, shop: Path) -> None:
    for result in retriever.search("cart total price").results:
        lines = (shop / result.file_path).read_text().split("\n")
        assert result.text == "\n".join(lines[result.line_start - 1 : result.line_end])


def test_only_the_repositories_that_are_named_are_searched(settings: Settings, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cart.py").write_text("def add_to_cart(item):\n    return item\n")
    indexer = Indexer(settings)
    indexer.index(str(shop), name="shop")
    indexer.index(str(tmp_path / "other"), name="other")
    retriever = Retriever(settings)
    assert {result.repo for result in retriever.search("cart").results} == {"shop", "other"}
    assert {result.repo for result in retriever.search("cart", repos=["other"]).results} == {"other"}
    assert {result.repo for result in retriever.search("cart repo:shop").results} == {"shop"}
    assert retriever.search("cart", repos=[]).results == ()
    with pytest.raises(NotIndexedError, match="shop"):
        retriever.search("cart repo:shop", repos=["other"])
    with pytest.raises(NotIndexedError, match="nothing-here"):
        retriever.search("cart", repos=["nothing-here"])


@pytest.mark.parametrize("query", ["", "   ", "\n", "lang:python", "\x00\x01", "x" * 100_000])
def test_a_query_that_asks_nothing_or_too_much_is_refused(retriever: Retriever, query: str) -> None:
    with pytest.raises(InputError):
        retriever.search(query)


@pytest.mark.parametrize(
    "query", ["cart\x00add\x1b[31m", "((((*+?[", "'; DROP TABLE carts; --", "%s %d {0}", "购物车", "a", "\\", "🛒"]
)
def test_odd_characters_are_words_or_nothing_but_never_an_error(retriever: Retriever, query: str) -> None:
    retriever.search(query)


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_limit_outside_the_range_is_refused(retriever: Retriever, limit: int) -> None:
    with pytest.raises(InputError, match="limit"):
        retriever.search("cart", limit=limit)


def test_a_search_says_when_the_working_tree_has_moved_on(
    retriever: Retriever, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cia.retrieval.retriever.NOTICE_SECONDS", 0.0)
    monkeypatch.setattr("cia.retrieval.retriever.NOTICE_REST", 0.0)
    assert retriever.search("cart").notices == ()
    (shop / "shop" / "cart.py").write_text("class Cart:\n    pass\n")
    assert len(retriever.search("cart").notices) == 1


def test_an_open_retriever_sees_a_new_index(settings: Settings, shop: Path, retriever: Retriever) -> None:
    before = retriever.fingerprint()
    (shop / "shop" / "gift.py").write_text("def wrap_gift(item):\n    return item\n")
    Indexer(settings).index(str(shop), name="shop")
    assert first(retriever, "wrap_gift") == "wrap_gift"
    assert retriever.fingerprint() != before


@pytest.mark.usefixtures("retriever")
def test_an_index_of_another_model_is_refused_with_what_to_do(settings: Settings) -> None:
    edit_pointer(settings, embedding_model="static-of-another-release")
    with pytest.raises(OperationError, match="cia index"):
        Retriever(settings).search("cart")


@pytest.mark.usefixtures("retriever")
def test_an_index_of_another_format_is_refused_and_made_anew(settings: Settings, shop: Path) -> None:
    edit_pointer(settings, schema_version=0)
    with pytest.raises(OperationError, match="cia index"):
        Retriever(settings).search("cart")
    Indexer(settings).index(str(shop), name="shop")
    assert first(Retriever(settings), "Cart.add") == "Cart.add"


@pytest.mark.usefixtures("retriever")
@pytest.mark.parametrize("damage", ["pointer", "lexicon", "shard"])
def test_a_damaged_index_is_named_and_can_be_made_anew(settings: Settings, shop: Path, damage: str) -> None:
    folder = settings.home / "index" / "shop"
    generation = next(entry for entry in folder.iterdir() if entry.is_dir())
    if damage == "pointer":
        (folder / "current.json").write_text("{")
    elif damage == "lexicon":
        (generation / "lexicon.npy").write_bytes(b"nonsense")
    else:
        for file in (generation / "shard").rglob("*.json"):
            file.write_text("nonsense")
    with pytest.raises(OperationError, match="damaged"):
        Retriever(settings).search("cart", repos=["shop"])
    Indexer(settings).index(str(shop), name="shop")
    assert first(Retriever(settings), "Cart.add") == "Cart.add"


def test_one_retriever_answers_many_threads(retriever: Retriever) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(first(retriever, "Cart.total"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["Cart.total"] * 8


def test_langchain_gets_the_same_chunks_as_documents(retriever: Retriever) -> None:
    documents = CodeRetriever(retriever=retriever, repos=["shop"], limit=3).invoke("Cart.add")
    assert [document.metadata["symbol"] for document in documents] == [
        result.symbol for result in retriever.search("Cart.add", repos=["shop"], limit=3).results
    ]
    assert "def add" in documents[0].page_content


def test_an_unknown_embedding_model_is_refused_with_the_choices(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, index=IndexSettings(embedding_model="word2vec"))
    with pytest.raises(InputError, match="static, minilm"):
        Indexer(settings).embedder  # noqa: B018


def edit_pointer(settings: Settings, **fields: object) -> None:
    pointer = settings.home / "index" / "shop" / "current.json"
    pointer.write_text(json.dumps(json.loads(pointer.read_text()) | fields))
