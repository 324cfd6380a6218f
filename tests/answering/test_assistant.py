import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from cia.answering import ABSTENTION, Answer, Assistant, Sources, Text, open_assistant
from cia.answering.extractive import OPENING
from cia.errors import InputError, NotIndexedError

QUESTION = "What does `voucher_discount` return?"


def saying(*texts: str) -> GenericFakeChatModel:
    """A chat model that streams these texts, one a request."""
    return GenericFakeChatModel(messages=iter([AIMessage(content=text) for text in texts]))


def test_a_models_answer_is_given_with_its_citations_spelled_out(shop, shop_settings):
    answer = Assistant(shop_settings, shop, saying("It returns the discount [1].")).ask(QUESTION)
    assert answer.mode == "llm"
    assert answer.model == shop_settings.model.base_model
    assert answer.answer == "It returns the discount [shop/shop/prices.py:12-14]."
    assert [str(citation) for citation in answer.citations] == ["[shop/shop/prices.py:12-14]"]
    assert answer.index == {"repo": "shop", "commit": answer.citations[0].commit}
    assert not answer.abstained
    assert not answer.fallback_reason


def test_a_false_citation_is_dropped_and_counted(shop, shop_settings):
    answer = Assistant(shop_settings, shop, saying("It returns the discount [1] [9] [shop/shop/prices.py:1-99].")).ask(QUESTION)
    assert answer.answer == "It returns the discount [shop/shop/prices.py:12-14]."
    assert answer.dropped_citations == 2


def test_text_without_a_citation_is_never_presented_as_an_answer(shop, shop_settings):
    events = list(Assistant(shop_settings, shop, saying("It returns forty-two. Surely. [9]")).stream(QUESTION))
    assert isinstance(events[-1], Answer)  # it has the last word, and takes back what was written before
    assert events[-1].mode == "extractive"
    assert events[-1].fallback_reason == "the model's answer had no citation that holds"
    assert events[-1].answer.startswith(OPENING)


@pytest.mark.parametrize("first", [" \n ", "!!! ... ???", "the the price " * 60])
def test_nonsense_is_asked_for_once_more(shop, shop_settings, first):
    answer = Assistant(shop_settings, shop, saying(first, "It returns the discount [1].")).ask(QUESTION)
    assert answer.mode == "llm"
    assert answer.answer.startswith("It returns the discount")


def test_nonsense_twice_falls_back_and_says_why(shop, shop_settings):
    answer = Assistant(shop_settings, shop, saying(" ", "go go go go go go go go go go go go")).ask(QUESTION)
    assert answer.mode == "extractive"
    assert answer.fallback_reason == "the model repeated itself"
    assert answer.citations


def test_a_model_may_decline_and_the_nearest_places_are_named(shop, shop_settings):
    answer = Assistant(shop_settings, shop, saying(ABSTENTION)).ask(QUESTION)
    assert answer.abstained
    assert answer.mode == "llm"
    assert answer.answer.startswith(ABSTENTION)
    assert answer.citations


def test_a_question_beyond_the_index_is_declined_before_any_model_is_asked(shop, shop_settings):
    answer = Assistant(shop_settings, shop, saying()).ask("How are Kafka offsets committed by `OffsetTracker`?")
    assert answer.abstained
    assert answer.model == "none"
    assert answer.answer.startswith(f"{ABSTENTION} `OffsetTracker` does not occur in it.")


def test_an_answer_is_streamed_in_checked_pieces_that_make_the_whole(shop, shop_settings):
    said = "It returns the discount [1]. The total is less by it [2]. Nothing else [9] happens."
    events = list(Assistant(shop_settings, shop, saying(said)).stream(QUESTION, trace_id="t1"))
    sources, *pieces, answer = events
    assert isinstance(sources, Sources)
    assert sources.results[0].symbol == "voucher_discount"
    assert all(isinstance(piece, Text) for piece in pieces)
    assert len(pieces) > 1
    assert "".join(piece.text for piece in pieces) == answer.answer
    assert isinstance(answer, Answer)
    assert answer.trace_id == "t1"


def test_the_model_is_asked_by_the_name_that_is_in_production_now(shop, shop_settings):
    names = iter(["code-assistant:3", "code-assistant:4", None])
    may_not = shop_settings.answering.model_copy(update={"use_base_model": False})
    assistant = Assistant(
        shop_settings.model_copy(update={"answering": may_not}),
        shop,
        saying(*["Yes [1]."] * 3),
        model_name=lambda user: next(names),
    )
    assert [assistant.ask(QUESTION).model for _ in range(2)] == ["code-assistant:3", "code-assistant:4"]
    without = assistant.ask(QUESTION)
    assert without.mode == "extractive"
    assert "no adapter is in Production" in without.fallback_reason


def test_the_base_model_answers_without_an_adapter_only_if_it_may(shop, shop_settings):
    answering = shop_settings.answering.model_copy(update={"use_base_model": True})
    settings = shop_settings.model_copy(update={"answering": answering})
    answer = Assistant(settings, shop, saying("Yes [1]."), model_name=lambda user: None).ask(QUESTION)
    assert answer.model == settings.model.base_model


def test_retrieval_packing_and_the_model_are_traced(shop, shop_settings):
    seen = []

    class Tracer(BaseCallbackHandler):
        def on_chain_start(self, *_, **details):
            seen.append(details["name"])

        def on_chat_model_start(self, *_, **__):
            seen.append("model")

    Assistant(shop_settings, shop, saying("Yes [1].")).ask(QUESTION, callbacks=[Tracer()])
    assert [name for name in seen if name in ("ask", "retrieve", "pack", "answer", "model")] == [
        "ask", "retrieve", "pack", "answer", "model",
    ]  # fmt: skip


def test_without_a_model_the_best_places_are_quoted_and_langchain_is_not_loaded(shop_settings):
    script = (
        "import sys; from pathlib import Path; from cia.answering import open_assistant; from cia.settings import load_settings\n"
        f"with open_assistant(load_settings(environment={{'CIA_HOME': {str(shop_settings.home)!r}}})) as assistant:\n"
        f"    print(assistant.ask({QUESTION!r}).answer)\n"
        "print([name for name in sys.modules if name.startswith(('langchain', 'openai', 'mlflow'))])"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"{OPENING}\n\n`voucher_discount` is a function in `shop/prices.py`: ")
    assert said.endswith("[]\n")


def test_an_empty_choice_of_repositories_is_declined_without_places(shop, shop_settings):
    answer = Assistant(shop_settings, shop).ask(QUESTION, repos=[])
    assert answer.abstained
    assert answer.citations == ()


def test_an_unknown_repository_and_an_empty_question_are_errors(shop, shop_settings):
    with pytest.raises(NotIndexedError):
        Assistant(shop_settings, shop).ask(QUESTION, repos=["nowhere"])
    with pytest.raises(InputError):
        Assistant(shop_settings, shop, saying("Yes [1].")).ask("  ")


def test_a_citation_is_dropped_when_its_file_is_gone_from_the_corpus(shop, shop_settings, tmp_path):
    elsewhere = shop_settings.model_copy(update={"home": tmp_path})
    answer = Assistant(elsewhere, shop, saying("It returns the discount [1].")).ask(QUESTION)
    assert answer.citations == ()
    assert answer.mode == "extractive"


@pytest.fixture
def failing_server(request) -> Iterator[str]:
    """A model server that misbehaves as ``request.param`` says."""
    behaviour = request.param
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            if behaviour == "stalls":
                released.wait(20)
            self.send_response(200 if behaviour == "talks rubbish" else 500)
            self.end_headers()
            self.wfile.write(b"<html>busy</html>")

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    released.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("failing_server", ["stalls", "fails", "talks rubbish"], indirect=True)
def test_a_model_server_that_misbehaves_costs_seconds_and_no_error(shop, shop_settings, failing_server):
    model = shop_settings.model.model_copy(update={"base_url": failing_server, "timeout_seconds": 0.5})
    settings = shop_settings.model_copy(update={"model": model})
    answer = Assistant(settings, shop, model_name=lambda user: "code-assistant:1").ask(QUESTION)
    assert answer.mode == "extractive"
    assert answer.fallback_reason
    assert answer.citations


def test_a_model_server_that_is_away_is_named_in_the_reason(shop, shop_settings):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    settings = shop_settings.model_copy(update={"model": shop_settings.model.model_copy(update={"base_url": address})})
    answer = Assistant(settings, shop, model_name=lambda user: "code-assistant:1").ask(QUESTION)
    assert answer.mode == "extractive"
    assert answer.fallback_reason.startswith(f"the model at {address} failed")


def test_an_opened_assistant_answers_and_closes(shop_settings):
    with open_assistant(shop_settings) as assistant:
        assert assistant.ask(QUESTION).citations
