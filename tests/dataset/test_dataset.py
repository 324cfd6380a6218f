import json
import random
import re
import shutil
from pathlib import Path

import pytest

from cia.answering import ABSTENTION
from cia.answering.citations import check
from cia.corpus import Corpus
from cia.dataset import build, find_leaks, load, training_examples, write_examples
from cia.dataset.__main__ import main
from cia.dataset.from_code.covering_tests import covering_tests
from cia.dataset.from_code.definitions import name_of, read_code_base
from cia.dataset.pair import QuestionAnswerPair
from cia.dataset.split import split_of, unit_of
from cia.errors import InputError
from cia.retrieval import Indexer, Retriever
from cia.retrieval.result import SearchResult
from cia.settings import Settings, load_settings

NOUNS = ["order", "invoice", "parcel", "customer", "voucher", "refund", "stock", "label", "courier", "basket", "ledger", "tariff"]


def module(noun: str) -> str:
    title = noun.title()
    return f'''"""Everything about one {noun}."""

import datetime
import os

MOST_{noun.upper()}S = {len(noun)} * 10


class {title}Store:
    """Keeps every {noun} of one day."""

    def find_{noun}(self, number: int, exact: bool = True) -> str | None:
        """Return the {noun} with this number, and raise nothing when it is absent."""
        return load_{noun}(number) if exact else None

    def close(self) -> None:
        """Write the {noun} file and close the {noun} store."""


def load_{noun}(number: int) -> str:
    """Read a {noun} from the {noun} table."""
    if number < 0:
        raise {title}Error("there is none")
    return str(number)


class {title}Error(LookupError):
    """Raised when there is no such {noun}."""


def {noun}_folder() -> str:
    return os.environ.get("{noun.upper()}_FOLDER", "/srv")


def connect_{noun}(password: str = "{"hunter2hunter2" if noun == "ledger" else ""}") -> None:
    """Connect to the {noun} service."""


def guess_{noun}(*hints, load_{noun}=None):
    return load_{noun}(hints[0])


def Path(name: str) -> str:
    """Spell a path to the {noun} table."""
    return name
'''.replace("def Path", "def Path" if noun == "order" else f"def path_of_{noun}")


PAGES = """from pathlib import Path

from trade.order import load_order


def render_page(number: int) -> str:
    return f"{Path('pages')}: {load_order(number)}"
"""


def module_of_tests(noun: str) -> str:
    return f"""from trade.{noun} import load_{noun}


def test_that_a_{noun}_is_read():
    assert load_{noun}(3) == "3"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path]:
    """Settings with the repository ``trade`` indexed, and its data set."""
    folder = tmp_path_factory.mktemp("sources") / "trade"
    for noun in NOUNS:
        path = folder / "trade" / f"{noun}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(module(noun), encoding="utf-8")
        (folder / "tests").mkdir(exist_ok=True)
        (folder / "tests" / f"test_{noun}.py").write_text(module_of_tests(noun), encoding="utf-8")
    (folder / "tests" / "test_names.py").write_text("def test_names():\n    assert 'load_tariff' and load_tariff\n")
    (folder / "trade" / "pages.py").write_text(PAGES, encoding="utf-8")
    settings = load_settings(environment={"CIA_HOME": str(tmp_path_factory.mktemp("home"))})
    Indexer(settings).index(str(folder), name="trade")
    directory = tmp_path_factory.mktemp("data") / "dataset"
    build(settings, Corpus(settings), None, directory)
    return settings, directory


def pairs_of(built: tuple[Settings, Path]) -> list[QuestionAnswerPair]:
    return [*load(built[1] / "train.jsonl"), *load(built[1] / "evaluation.jsonl")]


def test_there_are_pairs_of_every_kind_on_both_sides(built):
    for name in ("train", "evaluation"):
        assert {pair.kind for pair in load(built[1] / f"{name}.jsonl")} >= {"where", "what", "signature", "unanswerable"}
    assert {pair.kind for pair in pairs_of(built)} >= {"raises", "callers", "configuration", "tests"}


def test_every_answer_cites_just_its_gold_lines_and_they_hold(built):
    settings, _ = built
    snapshot = Corpus(settings).get("trade")
    for pair in pairs_of(built):
        gold = [
            SearchResult(c.repo, c.commit, c.file_path, c.line_start, c.line_end, "python", c.symbol, "function", 0.0, "")
            for c in pair.citations
        ]
        checked = check(pair.answer, gold)
        assert checked.text == pair.answer
        assert {str(citation) for citation in checked.citations} == {
            f"[{c.repo}/{c.file_path}:{c.line_start}-{c.line_end}]" for c in pair.citations
        }
        for citation in pair.citations:
            lines = "\n".join(snapshot.lines(citation.file_path, citation.line_start, citation.line_end))
            assert name_of(citation.symbol) in lines


def test_answers_are_plain_english(built):
    answers = {pair.question: pair.answer.partition(" [")[0] for pair in pairs_of(built)}
    said = set(answers.values())
    assert any(answer.endswith("reads a invoice from the invoice table.") for answer in said)
    assert any("takes `number: int` and `exact: bool = True` and returns `str | None`." in answer for answer in said)


def test_errors_settings_and_tests_are_told_as_the_code_has_them(built):
    answers = {pair.answer.partition(" [")[0] for pair in pairs_of(built)}
    assert any(re.fullmatch(r"`load_(\w+)` raises `\w+Error` if `number < 0`.", answer) for answer in answers)
    assert "`MOST_ORDERS` is set to `5 * 10` in `trade/order.py`." in answers
    assert "`exact` of `OrderStore.find_order` is `True` by default." in answers
    told = " ".join(pair.answer for pair in pairs_of(built))
    assert re.search(r"`(\w+)_folder` \[trade/trade/\1.py:\d+-\d+\] reads the environment variable `[A-Z]+_FOLDER`\.", told)
    assert re.search(r"`test_that_a_(\w+)_is_read` \[trade/tests/test_\1.py:4-5\] tests `load_\1`\.", told)


def test_an_unanswerable_question_names_nothing_that_is_in_the_code(built):
    words = read_code_base(Corpus(built[0]).get("trade"), built[0].chunking).words
    asked = [pair for pair in pairs_of(built) if pair.kind == "unanswerable"]
    for pair in asked:
        assert (pair.answer, pair.citations) == (ABSTENTION, ())
        if "`" in pair.question:
            assert pair.question.split("`")[1].lower() not in words


def test_where_a_test_mentions_a_name_without_calling_it_nothing_is_said_of_its_tests(built):
    made = covering_tests(read_code_base(Corpus(built[0]).get("trade"), built[0].chunking), random.Random(1))
    assert {draft.about for draft in made} == {f"load_{noun}" for noun in NOUNS} - {"load_tariff"}


def test_only_calls_that_leave_no_doubt_are_told(built):
    code = read_code_base(Corpus(built[0]).get("trade"), built[0].chunking)
    callers = [caller.symbol for caller in code.callers["load_order"]]
    assert sorted(callers) == ["OrderStore.find_order", "render_page"]  # not guess_order, whose load_order is a parameter
    assert "Path" not in code.callers  # pages.py calls that of pathlib


def test_a_password_stays_out_of_questions_answers_and_examples(built, tmp_path):
    settings, directory = built
    report = json.loads((directory / "report.json").read_text())
    assert report["left_out"]["secret"] >= 1
    assert "hunter2" not in "".join((directory / f"{name}.jsonl").read_text() for name in ("train", "evaluation"))
    asked = [pair for pair in pairs_of(built) if any(gold.symbol == "connect_ledger" for gold in pair.citations)]
    assert asked  # where it is may be told
    retriever = Retriever(settings)
    shown = "".join(example.messages[1]["content"] for example in training_examples(asked, retriever, in_prose(settings)))
    retriever.close()
    assert "connect_ledger" in shown
    assert "hunter2" not in shown


def test_near_duplicates_are_left_out(built):
    asked = [pair for pair in pairs_of(built) if pair.kind == "where" and ".close`" in pair.question]
    assert len(asked) <= 1


def test_the_same_inputs_give_the_same_bytes(built, tmp_path):
    settings, directory = built
    build(settings, Corpus(settings), ["trade"], tmp_path / "again")
    for name in ("train.jsonl", "evaluation.jsonl", "report.json"):
        assert (tmp_path / "again" / name).read_bytes() == (directory / name).read_bytes()


def test_a_definition_stays_on_its_side_whatever_else_is_asked(built):
    share = built[0].dataset.evaluation_share
    for pair in pairs_of(built):
        for citation in pair.citations:
            assert split_of(unit_of(citation.symbol, citation.file_path), share) == pair.split
        assert not pair.about or split_of(unit_of(pair.about), share) == pair.split


def test_a_question_that_two_repositories_share_is_never_on_both_sides(built, tmp_path):
    settings, _ = built
    twin = tmp_path / "twin"
    for noun in NOUNS:
        (twin / "pkg").mkdir(parents=True, exist_ok=True)
        (twin / "pkg" / f"other_{noun}.py").write_text(module(noun), encoding="utf-8")
    both = settings.model_copy(update={"home": tmp_path / "home"})
    corpus = Corpus(both)
    corpus.add(str(twin), name="twin")
    shutil.copytree(settings.home / "corpus" / "trade", both.home / "corpus" / "trade")
    report = build(both, corpus, None, tmp_path / "dataset")
    train, evaluation = (load(tmp_path / "dataset" / f"{name}.jsonl") for name in ("train", "evaluation"))
    assert find_leaks(train, evaluation) == ()
    assert sum(report.repos.values()) == len(train) + len(evaluation)


def test_a_line_that_is_no_pair_is_named(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text('{"id": 1}\n')
    with pytest.raises(InputError, match="line 1"):
        load(path)


def test_nothing_to_ask_about_is_an_error_that_leaves_the_old_set(settings, tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "train.jsonl").write_text("old")
    with pytest.raises(InputError, match="index a repository"):
        build(settings, Corpus(settings), None, tmp_path / "dataset")
    assert (tmp_path / "dataset" / "train.jsonl").read_text() == "old"


def in_prose(settings):
    return settings.model_copy(update={"model": settings.model.model_copy(update={"form": "prose"})})


def test_a_choice_is_trained_on_what_serving_finds_mostly_in_its_order(built):
    settings, directory = built
    train = load(directory / "train.jsonl")
    retriever = Retriever(settings)
    examples = list(training_examples(train, retriever, settings))
    asked = {pair.question: pair for pair in train}
    on_top = 0
    for example in examples:
        pair = asked[example.messages[0]["content"].rpartition("Question: ")[2]]
        places = example.check["places"]
        gold = [
            number
            for number, place in enumerate(places, start=1)
            if any(
                place["file_path"] == g.file_path and place["line_start"] <= g.line_end and g.line_start <= place["line_end"]
                for g in pair.citations
            )
        ]
        assert example.completion == (f"[{gold[0]}]" if gold else ABSTENTION)
        assert example.completion in example.check["choices"]
        on_top += example.completion == "[1]"
    retriever.close()
    answerable = [pair for pair in train if pair.kind != "unanswerable"]
    assert 0.8 * len(answerable) < len(examples) < len(train)  # what is declined before a model is asked is no example
    assert len(examples) / 4 < on_top < len(examples)  # the best is mostly first, and not always


def test_an_example_shows_the_gold_among_others_and_cites_it_by_number(built, tmp_path):
    settings, directory = built
    settings = in_prose(settings)
    train = load(directory / "train.jsonl")
    evaluated = {citation.symbol for pair in load(directory / "evaluation.jsonl") for citation in pair.citations}
    retriever = Retriever(settings)
    examples = list(training_examples(train, retriever, settings))
    again = list(training_examples(train, retriever, settings))
    retriever.close()
    assert examples == again
    assert len(examples) > 0.9 * len(train)
    first = [example.completion for example in examples if "[1]" in example.completion]
    assert 0 < len(first) < len(examples)  # the gold is not always on top
    for example in examples:
        assert example.completion == ABSTENTION or "[" in example.completion
        assert "[trade/" not in example.completion
        headers = [line for line in example.messages[1]["content"].split("\n") if re.match(r"\[\d\] trade/", line)]
        assert not any(header.endswith(f" {symbol}") for header in headers for symbol in evaluated)
    assert write_examples(examples, tmp_path / "examples.jsonl") == len(examples)
    assert json.loads((tmp_path / "examples.jsonl").read_text().split("\n")[0])["messages"] == examples[0].messages


def test_the_command_builds_from_the_exported_repositories_at_their_commits(built, tmp_path, monkeypatch, capsys):
    settings, directory = built
    monkeypatch.setenv("CIA_HOME", str(settings.home))
    commit = Corpus(settings).get("trade").commit
    manifest = tmp_path / "corpus" / "trade.json"
    manifest.parent.mkdir()
    manifest.write_text(json.dumps({"repo": "trade", "commit": commit}))
    arguments = ["cia.dataset", "--corpus", str(manifest.parent), "--out", str(tmp_path / "dataset")]
    monkeypatch.setattr("sys.argv", arguments)
    assert main() == 0
    assert (tmp_path / "dataset" / "train.jsonl").read_bytes() == (directory / "train.jsonl").read_bytes()
    assert json.loads(capsys.readouterr().out)["repos"] == {f"trade@{commit}": len(pairs_of(built))}
    manifest.write_text(json.dumps({"repo": "trade", "commit": "0" * 40}))
    assert main() == 2
    assert "trade is not at the commit" in capsys.readouterr().err
