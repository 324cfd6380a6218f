import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cia.answering.answer import Answer
from cia.answering.prompt import ABSTENTION
from cia.corpus import Corpus
from cia.dataset import DatasetReport, QuestionAnswerPair, build, load
from cia.dataset.production import RatedAnswer, read_export, read_langfuse
from cia.errors import InputError, SettingsError, UnavailableError
from cia.settings import ProductionSettings, Settings, TracingSettings
from rag_server.feedback import Rating
from rag_server.tracing import Tracing
from tests.dataset.langfuse_double import LangfuseDouble, running_langfuse
from tests.rag_server.trace_receiver import running_receiver

ORDER, STOCK = "[trade/trade/order.py:1-4]", "[trade/trade/stock.py:2-3]"
GOOD = {"question": "How do I get at an order?", "answer": f"`load_order` reads one from its table. {ORDER}", "rating": "up"}


@pytest.fixture
def indexed(settings: Settings, trade: Path) -> Settings:
    Corpus(settings).add(str(trade), name="trade")
    return settings


def built(
    settings: Settings, tmp_path: Path, *rated: dict[str, str], **more: object
) -> tuple[DatasetReport, list[QuestionAnswerPair]]:
    export = tmp_path / "rated.jsonl"
    export.write_text("".join(f"{json.dumps(line)}\n" for line in rated))
    production = ProductionSettings(**{"export": export, **more})
    settings = settings.model_copy(update={"dataset": settings.dataset.model_copy(update={"production": production})})
    report = build(settings, Corpus(settings), ["trade"], tmp_path / "dataset")
    pairs = [pair for name in ("train", "evaluation") for pair in load(tmp_path / "dataset" / f"{name}.jsonl")]
    return report, [pair for pair in pairs if pair.source == "production"]


def test_an_approved_answer_becomes_a_pair_that_cites_whole_chunks_of_today(indexed, tmp_path):
    report, pairs = built(
        indexed, tmp_path, GOOD, {**GOOD, "question": "Who reads the stock?", "answer": f"`load_stock`. {STOCK}"}
    )
    assert report.sources["production"] == 2
    asked = {pair.question: pair for pair in pairs}
    assert asked[GOOD["question"]].answer == GOOD["answer"]
    assert (asked[GOOD["question"]].kind, asked[GOOD["question"]].repo) == ("asked", "trade")
    assert asked["Who reads the stock?"].answer == "`load_stock`. [trade/trade/stock.py:1-4]"


def test_a_correction_stands_in_the_place_of_the_answer_and_keeps_its_citations(indexed, tmp_path):
    wrong = {**GOOD, "rating": "down", "correction": "`load_order` opens the table and returns one line of it."}
    better = {
        **GOOD,
        "question": "And a parcel?",
        "rating": "down",
        "correction": "See `load_parcel`. [trade/trade/parcel.py:1-4]",
    }
    _, pairs = built(indexed, tmp_path, wrong, better)
    answers = {pair.question: pair.answer for pair in pairs}
    assert answers[GOOD["question"]] == f"{wrong['correction']} {ORDER}"
    assert answers["And a parcel?"] == better["correction"]


def test_a_declined_question_that_was_approved_is_unanswerable(indexed, tmp_path):
    _, (pair,) = built(
        indexed, tmp_path, {"question": "Where is the moon?", "answer": ABSTENTION, "rating": "up", "repo": "trade"}
    )
    assert (pair.kind, pair.answer, pair.citations) == ("unanswerable", ABSTENTION, ())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rating": "down"}, "not approved by its user"),
        ({"answer": "`load_order` reads one. [trade/trade/order.py:1-400]"}, "citation does not hold"),
        ({"answer": "`load_order` reads one. [trade/trade/gone.py:1-4]"}, "citation does not hold"),
        ({"answer": f"`open_basket` reads one. {ORDER}"}, "citation does not hold"),  # the lines are about something else by now
        ({"answer": "`load_order` reads one.", "repo": "trade"}, "citation does not hold"),
        ({"answer": f"`load_order` reads one. {ORDER} [other/a.py:1-2]"}, "several repositories"),
        ({"answer": "`load_order` reads one. [other/a.py:1-2]"}, "about no repository of this data set"),
        ({"answer": "No citation and no repository."}, "about no repository of this data set"),
        ({"question": "Jane Roe asks: how do I get an order?", "user": "jane.roe"}, "personal data"),
        ({"question": "I am jane.roe@corporation.com, how do I get an order?"}, "personal data"),
        ({"question": "How the fuck do I get an order?"}, "toxic text"),
    ],
)
def test_what_cannot_be_learnt_from_is_left_out_and_counted(indexed, tmp_path, changes, reason):
    report, pairs = built(indexed, tmp_path, {**GOOD, **changes})
    assert pairs == []
    assert report.left_out[reason] >= 1


def test_nobody_s_name_is_in_the_data_set_and_a_word_of_the_code_is_no_name(indexed, tmp_path):
    _, pairs = built(indexed, tmp_path, {**GOOD, "user": "xavier"}, {**GOOD, "question": "Read an order?", "user": "order.table"})
    assert len(pairs) == 1 + 1
    assert "xavier" not in "".join(path.read_text() for path in (tmp_path / "dataset").iterdir())


def test_secrets_in_questions_are_masked(indexed, tmp_path):
    token = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
    _, (pair,) = built(indexed, tmp_path, {**GOOD, "question": f"With the token {token}, how do I get an order?"})
    assert pair.question == "With the token [MASKED], how do I get an order?"


def test_an_export_that_is_none_names_its_line(tmp_path):
    path = tmp_path / "rated.jsonl"
    path.write_text(f'{json.dumps(GOOD)}\n\n{{"question": "What?", "answer": "So.", "rating": "sideways"}}\n')
    with pytest.raises(InputError, match=r"line 3 is not a rated answer: rating input should be 'up' or 'down'"):
        read_export(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_export(tmp_path / "gone.jsonl")
    path.write_text(f"{json.dumps({**GOOD, 'trace_id': '7'})}\n")
    assert read_export(path) == [RatedAnswer(**GOOD)]


@pytest.fixture
def langfuse(monkeypatch) -> Iterator[LangfuseDouble]:
    monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", f"pk-{uuid.uuid4().hex}")  # the SDK keeps one client for each key
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", "sk-test")
    with running_langfuse() as double:
        yield double


def answered(question: str, answer: str, *ratings: Rating, resolved: str = "") -> tuple[str, str, tuple[Rating, ...], str]:
    return question, answer, ratings, resolved


def serve(langfuse: LangfuseDouble, *exchanges: tuple[str, str, tuple[Rating, ...], str]) -> None:
    """Trace and rate ``exchanges`` as the server does, and put what arrives into Langfuse."""
    with running_receiver() as receiver:
        tracing = Tracing(TracingSettings(langfuse_url=receiver.url))
        for question, text, ratings, resolved in exchanges:
            with tracing.question(question, "request", "jane.roe", None, "index") as trace:
                trace.answered(Answer(text, False, "llm", "m", (), {}, resolved_question=resolved), 0.0)
            for number, rating in enumerate(ratings):
                tracing.rated(trace.id, f"user-{number}", rating)
        tracing.close()
        langfuse.spans, langfuse.scores = list(receiver.spans), list(receiver.scores)
    assert langfuse.scores


def test_what_the_server_traced_and_users_rated_comes_back_from_langfuse(langfuse):
    up, down = Rating("up"), Rating("down")
    serve(
        langfuse,
        answered("How do I get an order?", f"`load_order`. {ORDER}", up),
        answered("And a parcel?", f"`load_stock`. {STOCK}", down, resolved="How do I get a parcel?"),
        answered(
            "And the label?", f"`load_label`. {STOCK}", Rating("down", correction="`save_label`. [trade/trade/label.py:1-4]")
        ),
        answered("Is it sure?", f"`load_order`. {ORDER}", up, down),
        answered("Never rated?", f"`load_order`. {ORDER}"),
    )
    found = {rated.question: rated for rated in read_langfuse(TracingSettings(langfuse_url=langfuse.url), 30)}
    assert {question: rated.rating for question, rated in found.items()} == {
        "How do I get an order?": "up",
        "How do I get a parcel?": "down",
        "And the label?": "down",
        "Is it sure?": "down",
    }
    assert found["How do I get an order?"].answer == f"`load_order`. {ORDER}"
    assert found["And the label?"].correction == "`save_label`. [trade/trade/label.py:1-4]"
    assert {rated.user for rated in found.values()} == {"jane.roe"}
    assert sum(query["path"].endswith("/scores") for query in langfuse.queries) == 3  # six scores, two a page
    assert langfuse.queries[0]["fromTimestamp"].startswith("20")


def test_a_build_takes_rated_answers_from_langfuse(langfuse, indexed, tmp_path):
    serve(langfuse, answered("How do I get an order?", f"`load_order` reads it. {ORDER}", Rating("up")))
    settings = indexed.model_copy(update={"tracing": TracingSettings(langfuse_url=langfuse.url)})
    report, (pair,) = built(settings, tmp_path, langfuse=True)
    assert report.sources["production"] == 1
    assert pair.answer == f"`load_order` reads it. {ORDER}"
    assert "jane" not in pair.model_dump_json()


@pytest.mark.parametrize("refusal", [(500, b"oops"), (200, b"<html>"), (200, b'{"data": 7}'), (404, b"{}")])
def test_a_langfuse_that_does_not_answer_as_it_should_is_one_error(langfuse, refusal):
    langfuse.refusal = refusal
    with pytest.raises(UnavailableError, match=r"dataset\.production\.langfuse"):
        read_langfuse(TracingSettings(langfuse_url=langfuse.url), 30)


def test_missing_keys_and_an_absent_langfuse_are_said(langfuse, monkeypatch):
    with pytest.raises(UnavailableError):
        read_langfuse(TracingSettings(langfuse_url="http://127.0.0.1:9"), 30)
    monkeypatch.delenv("LANGFUSE_SECRET_KEY")
    with pytest.raises(SettingsError, match="LANGFUSE_SECRET_KEY"):
        read_langfuse(TracingSettings(langfuse_url=langfuse.url), 30)
