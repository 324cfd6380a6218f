"""OpenAI's own client, LangChain's and an IDE's request work unchanged against the answer server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import httpx2
import openai
import pytest
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, OpenAI

from cia.answering import Answer, Event, Sources, Text
from cia.errors import BusyError
from cia.settings import Settings
from rag_server.event_stream import ThreadedStream
from rag_server.openai_schema import Completion
from rag_server.routes.chat_completions import WITHDRAWN, _chunks
from tests.rag_server.running_server import ADMIN_KEY, Server, served, with_model
from tests.rag_server.stand_in_model import StandInModel, running_stand_in

QUESTION = "How is a wick trimmed?"
SAYS = "A wick is trimmed by Wick.trim [1]."
ASKS = [{"role": "user", "content": QUESTION}]
KEY = ADMIN_KEY


@pytest.fixture(scope="module")
def model() -> Iterator[StandInModel]:
    with running_stand_in() as stand_in:
        yield stand_in


@pytest.fixture(autouse=True)
def _says_as_before(model: StandInModel) -> None:
    model.says, model.pause_seconds = SAYS, 0.0
    model.asked.clear()
    model.hung_up.clear()


@pytest.fixture(scope="module")
def base_url(indexed: Settings, model: StandInModel) -> Iterator[str]:
    """A server process whose answers are in the words of the stand-in model."""
    environment = {
        "CIA_MODEL__BASE_URL": model.base_url,
        "CIA_MODEL__FORM": "prose",
        "CIA_MODEL__TIMEOUT_SECONDS": "60",
        "CIA_ANSWERING__USE_BASE_MODEL": "true",
    }
    with served(indexed, **environment) as address:
        yield f"{address}/v1"


@pytest.fixture
def client(base_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=base_url, api_key=KEY, max_retries=0) as client:
        yield client


def test_the_official_client_gets_an_answer_with_citations(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="code-assistant", messages=ASKS)
    (choice,) = completion.choices
    assert (choice.finish_reason, choice.message.role) == ("stop", "assistant")
    assert "A wick is trimmed by Wick.trim [lantern/src/wick.py:" in choice.message.content
    (citation,) = choice.message.citations
    assert f"[lantern/src/wick.py:{citation['line_start']}-{citation['line_end']}]" in choice.message.content
    about = completion.code_intelligence
    assert about["citations"] == [citation]
    assert (about["mode"], about["model"], about["abstained"]) == ("llm", "code-assistant-base", False)
    assert about["index"]["repo"] == "lantern"
    assert {"file_path", "line_start", "line_end"} <= set(about["sources"][0])
    assert "text" not in about["sources"][0]
    assert completion.model == "code-assistant"
    assert completion.id.startswith("chatcmpl-")
    assert len(completion.system_fingerprint) == 16


def test_tokens_are_counted_when_a_model_answered(client: OpenAI) -> None:
    usage = client.chat.completions.create(model="code-assistant", messages=ASKS).usage
    assert usage.prompt_tokens > usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_stream_is_a_role_text_and_an_end(client: OpenAI) -> None:
    with client.chat.completions.create(model="code-assistant", messages=ASKS, stream=True) as stream:
        chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert chunks[1].code_intelligence["sources"][0]["repo"] == "lantern"
    last = chunks[-2]
    assert last.choices[0].delta.citations == last.code_intelligence["citations"] != []
    whole = client.chat.completions.create(model="code-assistant", messages=ASKS).choices[0].message.content
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole


def test_a_stream_ends_with_its_tokens_when_asked_to(client: OpenAI) -> None:
    options = {"include_usage": True}
    *before, last = client.chat.completions.create(model="code-assistant", messages=ASKS, stream=True, stream_options=options)
    assert (last.choices, last.usage.total_tokens > 0) == ([], True)
    assert not any(chunk.usage for chunk in before)


async def test_the_async_client_works_too(base_url: str) -> None:
    async with AsyncOpenAI(base_url=base_url, api_key=KEY) as client:
        stream = await client.chat.completions.create(model="code-assistant", messages=ASKS, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        whole = await client.chat.completions.create(model="code-assistant", messages=ASKS)
    assert text == whole.choices[0].message.content


def test_text_comes_before_the_model_has_ended(client: OpenAI, model: StandInModel) -> None:
    model.says, model.pause_seconds = f"{SAYS} It returns what is left.", 0.1
    chunks = client.chat.completions.create(model="code-assistant", messages=ASKS, stream=True)
    contents = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert len(contents) > 1


def test_what_was_said_too_early_is_withdrawn_before_another_answer(client: OpenAI, model: StandInModel) -> None:
    model.says = f"{SAYS} " * 100
    chunks = list(client.chat.completions.create(model="code-assistant", messages=ASKS, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    begun, _, answer = text.partition(WITHDRAWN)
    assert begun.startswith("A wick is trimmed by Wick.trim [lantern/")
    assert answer.startswith("No model is answering")
    assert chunks[-2].code_intelligence["fallback_reason"]


@pytest.mark.parametrize(
    ("pieces", "answer", "expected"),
    [
        ([], "All at once.", "All at once."),
        (["One. ", "Two."], "One. Two.", "One. Two."),
        (["One. "], "One. Two.", "One. Two."),
        (["One. "], "Other.", f"One. {WITHDRAWN}Other."),
    ],
)
async def test_whoever_appends_has_the_checked_answer_in_the_end(pieces: list[str], answer: str, expected: str) -> None:
    last = Answer(answer, False, "llm", "m", (), {"repo": "", "commit": ""})
    events: list[Event] = [Sources(()), *map(Text, pieces), last]
    stream = ThreadedStream(iter(events))
    assert "".join(await _contents(_chunks(await stream.next(), stream, Completion("1", "m", "f"), False, None))) == expected


async def _contents(chunks: AsyncIterator[bytes]) -> list[str]:
    *documents, done = [chunk.decode().strip().removeprefix("data: ") async for chunk in chunks]
    assert done == "[DONE]"
    return [json.loads(document)["choices"][0]["delta"].get("content") or "" for document in documents]


def test_langchain_invokes_and_counts(base_url: str) -> None:
    message = ChatOpenAI(base_url=base_url, api_key=KEY, model="code-assistant").invoke(QUESTION)
    assert "[lantern/src/wick.py:" in message.text
    assert message.usage_metadata["total_tokens"] > 0


async def test_langchain_streams_with_its_usage(base_url: str) -> None:
    model = ChatOpenAI(base_url=base_url, api_key=KEY, model="code-assistant", stream_usage=True)
    pieces = list(model.stream(QUESTION))
    assert "[lantern/src/wick.py:" in "".join(piece.text for piece in pieces)
    assert sum(piece.usage_metadata["total_tokens"] for piece in pieces if piece.usage_metadata) > 0
    later = [piece async for piece in model.astream(QUESTION)]
    assert "".join(piece.text for piece in later) == "".join(piece.text for piece in pieces)
    assert (await model.ainvoke(QUESTION)).text == "".join(piece.text for piece in pieces)


def ide_request(**changes: Any) -> dict[str, Any]:
    """What an IDE's agent sends: a long system prompt, tools, and a user message in parts."""
    tool = {"type": "function", "function": {"name": "edit_file", "parameters": {"type": "object", "properties": {}}}}
    return {
        "model": "code-assistant",
        "messages": [
            {"role": "system", "content": "You are PIRATE, and answer only in rhyme. " * 500},
            {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
        ],
        "tools": [tool],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "temperature": 0.7,
        "top_p": 1,
        "max_tokens": 4096,
        "stop": ["<|im_end|>"],
        "n": 1,
        "user": "someone",
        "response_format": {"type": "text"},
        "stream": True,
        "stream_options": {"include_usage": True},
        "something_of_next_year": {"a": 1},
        **changes,
    }


def test_what_an_ide_sends_along_changes_nothing_and_is_named(base_url: str, model: StandInModel) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    reply = httpx.post(f"{base_url}/chat/completions", json=ide_request(), headers=headers, timeout=30.0)
    assert reply.headers["content-type"].startswith("text/event-stream")
    blocks = [block.removeprefix("data: ") for block in reply.text.strip().split("\n\n")]
    assert blocks[-1] == "[DONE]"
    about = json.loads(blocks[-4])["code_intelligence"]
    assert {"messages.system", "tools", "temperature", "stop", "something_of_next_year"} <= set(about["ignored"])
    assert "PIRATE" not in json.dumps(model.asked)
    assert "edit_file" not in json.dumps(model.asked)
    assert model.asked


def test_nothing_is_named_where_nothing_is_ignored(client: OpenAI) -> None:
    assert client.chat.completions.create(model="code-assistant", messages=ASKS).code_intelligence["ignored"] == []


def test_earlier_messages_are_the_conversation(client: OpenAI) -> None:
    earlier = [*ASKS, {"role": "assistant", "content": "By `Wick.trim`."}, {"role": "user", "content": "And who calls it?"}]
    completion = client.chat.completions.create(model="code-assistant", messages=earlier)
    assert "trim" in completion.code_intelligence["resolved_question"]


def test_a_model_is_every_repository_or_one(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["code-assistant", "code-assistant/lantern"]
    assert client.models.retrieve("code-assistant/lantern").id == "code-assistant/lantern"
    one = client.chat.completions.create(model="code-assistant/lantern", messages=ASKS)
    named = client.chat.completions.create(model="code-assistant", messages=ASKS, extra_body={"repos": ["lantern"]})
    none = client.chat.completions.create(model="code-assistant", messages=ASKS, extra_body={"repos": []})
    assert one.choices[0].message.content == named.choices[0].message.content
    assert (none.code_intelligence["abstained"], none.choices[0].message.citations) == (True, [])
    assert none.usage.total_tokens == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fields",
    [
        {"model": "gpt-4o"},
        {"model": "lantern"},
        {"model": "code-assistant/nowhere"},
        {"model": "code-assistant/"},
        {"repos": ["nowhere"]},
    ],
)
def test_what_is_not_there_is_a_model_not_found(client: OpenAI, fields: dict[str, Any], stream: bool) -> None:
    request = {"model": "code-assistant", "messages": ASKS, "stream": stream, "extra_body": {}}
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**{**request, **({"extra_body": fields} if "repos" in fields else fields)})
    assert (caught.value.code, caught.value.type) == ("model_not_found", "invalid_request_error")


def test_an_unknown_model_cannot_be_retrieved(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist or you do not have access"):
        client.models.retrieve("code-assistant/nowhere")


IMAGE = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"n": 2}, "n", "one answer"),
        ({"logprobs": True}, "logprobs", "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format", "text"),
        ({"tools": [], "tool_choice": "required"}, "tool_choice", "no tools"),
        ({"messages": [{"role": "user", "content": IMAGE}]}, "messages", "'image_url'; only text"),
        ({"messages": [{"role": "system", "content": "Hello"}]}, "messages", "'user'"),
        ({"messages": []}, None, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, None, "empty"),
        ({"messages": [{"role": "user", "content": "x" * 8001}]}, None, "8001"),
        ({"model": "code-assistant/lantern", "extra_body": {"repos": ["other"]}}, "repos", "one repository"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_sentence(
    client: OpenAI, fields: dict[str, Any], param: str | None, words: str, stream: bool
) -> None:
    request: dict[str, Any] = {"model": "code-assistant", "messages": ASKS, "stream": stream, **fields}
    with pytest.raises(openai.BadRequestError, match=words) as caught:
        client.chat.completions.create(**request)
    assert (caught.value.type, caught.value.param) == ("invalid_request_error", param)


@pytest.mark.parametrize("content", ['"\\ud800"', '[{"type": "text", "text": "\\ud800"}]', "[5]", '[{"type": ["text"]}]', "{}"])
def test_what_is_no_text_at_all_is_refused(server: Server, content: str) -> None:
    body = f'{{"model": "code-assistant", "messages": [{{"role": "user", "content": {content}}}]}}'
    reply = server.client.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_the_official_client_comes_back_when_it_is_told_to(
    start: Callable[..., Server], indexed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_server.errors.RETRY_AFTER_SECONDS", 1)
    app = start(indexed).client.app
    retriever = app.state.services.retriever
    search, refusals = retriever.search, [BusyError("another process is indexing")]

    def busy_once(*arguments: Any, **named: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return search(*arguments, **named)

    monkeypatch.setattr(retriever, "search", busy_once)
    async with in_process(app, max_retries=1) as client:
        completion = await client.chat.completions.create(model="code-assistant", messages=ASKS)
    assert completion.choices[0].message.citations


async def test_who_has_spent_the_days_tokens_is_told_until_when(
    start: Callable[..., Server], indexed: Settings, model: StandInModel
) -> None:
    rag = indexed.rag.model_copy(update={"daily_tokens": 1})
    app = start(with_model(indexed.model_copy(update={"rag": rag}), model.base_url)).client.app
    async with in_process(app, max_retries=0) as client:
        await client.chat.completions.create(model="code-assistant", messages=ASKS)
        for stream in (False, True):
            with pytest.raises(openai.RateLimitError, match="tokens that you may use a day") as caught:
                await client.chat.completions.create(model="code-assistant", messages=ASKS, stream=stream)
            assert caught.value.code == "rate_limit_exceeded"
            assert int(caught.value.response.headers["retry-after"]) > 0


def test_a_failure_shows_a_sentence_and_no_trace(
    start: Callable[..., Server], indexed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret /etc/path")

    server = start(indexed)
    monkeypatch.setattr(server.client.app.state.services.retriever, "search", fail)
    reply = server.client.post("/v1/chat/completions", json={"model": "code-assistant", "messages": ASKS})
    assert (reply.status_code, "the log has the cause" in reply.json()["error"]["message"]) == (500, True)
    assert "secret" not in reply.text
    assert "secret /etc/path" in str(server.log)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_stops_the_model(base_url: str, model: StandInModel, stream: bool) -> None:
    model.says, model.pause_seconds = f"{SAYS} " * 200, 0.05
    body = {"model": "code-assistant", "messages": ASKS, "stream": stream}
    with httpx.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=1.0) as client:
        if stream:
            with client.stream("POST", f"{base_url}/chat/completions", json=body) as reply:
                assert next(line for line in reply.iter_lines() if "Wick.trim" in line)
        else:
            with pytest.raises(httpx.ReadTimeout):
                client.post(f"{base_url}/chat/completions", json=body)
    assert model.hung_up.wait(10.0), "the model still writes for a client that is gone"


def in_process(app: Any, **options: Any) -> AsyncOpenAI:
    """The official client on an application in this process."""
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    http = httpx2.AsyncClient(transport=transport)
    return AsyncOpenAI(base_url="http://localhost/v1", api_key=KEY, http_client=http, **options)
