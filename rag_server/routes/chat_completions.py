"""``POST /v1/chat/completions`` and ``GET /v1/models``: the assistant as a model behind OpenAI's API.

Retrieval is inside: a client sends messages and gets an answer with citations. A model is all repositories that its user
may read (``code-assistant``) or one of them (``code-assistant/REPO``).

A client of a stream can only append. What it is sent has been checked, but the final answer may still be another text: the
model fails on the way, or is asked again. Then the stream goes on with a line that withdraws what came before, and the final
answer follows whole.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from cia.answering import Event, Sources, Text
from cia.errors import CiaError, InputError, NotIndexedError
from cia.retrieval import SearchResult
from rag_server.access import Principal
from rag_server.errors import first_mistake
from rag_server.event_stream import ThreadedStream, read_answer, while_connected
from rag_server.openai_schema import (
    ChatCompletionRequest,
    Completion,
    UnsupportedError,
    model_document,
    openai_error,
    openai_error_reply,
    places,
)
from rag_server.request_record import CLIENT_GONE
from rag_server.services import Asked, CurrentPrincipal, CurrentServices, RequestId, Services

MODEL = "code-assistant"

WITHDRAWN = "\n\n---\n\n**The text above is withdrawn: it did not stand its check. This is the answer:**\n\n"
"""Between what a client of a stream has been sent and another final answer."""

STARTED = int(time.time())
"""When a model came to be, which their schema asks for: no client decides anything by it."""


class OpenAIRoute(APIRoute):
    """A route whose errors are in OpenAI's shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, which answers an error instead of raising it."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                return openai_error_reply(InputError(first_mistake(error)))
            except CiaError as error:
                return openai_error_reply(error)

        return answer


router = APIRouter(tags=["OpenAI"], route_class=OpenAIRoute)


@router.get("/v1/models")
def models(services: CurrentServices, principal: CurrentPrincipal) -> dict[str, Any]:
    """Return the models: all your repositories, and each of them."""
    names = [MODEL, *(f"{MODEL}/{one.name}" for one in services.repositories(principal))]
    return {"object": "list", "data": [model_document(name, STARTED) for name in names]}


@router.get("/v1/models/{model:path}")
def model(model: str, services: CurrentServices, principal: CurrentPrincipal) -> dict[str, Any]:
    """Return one model."""
    _repos_of(model, services, principal)
    return model_document(model, STARTED)


@router.post("/v1/chat/completions", response_model=None)
async def chat_completions(
    request: Request, body: ChatCompletionRequest, services: CurrentServices, principal: CurrentPrincipal, request_id: RequestId
) -> Response:
    """Answer the last message of the user, with the earlier ones as its conversation."""
    question, history = body.question()
    repos, fingerprint = await run_in_threadpool(_scope, body, services, principal)
    asked = Asked(question, repos, history=history)
    # By this id the request is logged. The trace's own is not known before the answer, and comes with it.
    completion = Completion(f"chatcmpl-{request_id}", body.model, fingerprint, body.ignored)
    events: ThreadedStream[Event] = ThreadedStream(services.answer(principal, asked, request_id))
    if not body.stream:
        told = await while_connected(request, events, read_answer(events))
        return JSONResponse(completion.whole(*told)) if told else Response(status_code=CLIENT_GONE)
    first = await events.next()  # what is wrong with the question itself is an HTTP error, not a chunk
    return StreamingResponse(
        _chunks(first, events, completion, body.wants_usage, services.log),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _scope(body: ChatCompletionRequest, services: Services, principal: Principal) -> tuple[Sequence[str] | None, str]:
    """Return the repositories to ask, and the fingerprint of what is read of them."""
    repos = _repos_of(body.model, services, principal)
    if repos is not None and body.repos not in (None, repos):
        raise UnsupportedError("repos", f"the model {body.model!r} is one repository; choose others with the model {MODEL!r}")
    repos = body.repos if repos is None else repos
    return repos, services.fingerprint(principal, repos)


def _repos_of(name: str, services: Services, principal: Principal) -> list[str] | None:
    if name == MODEL:
        return None
    repo = name.removeprefix(f"{MODEL}/")
    if repo == name or all(one.name != repo for one in services.repositories(principal)):
        raise NotIndexedError(f"The model `{name}` does not exist or you do not have access to it; see GET /v1/models")
    return [repo]


async def _chunks(
    event: Event | None, events: ThreadedStream[Event], completion: Completion, wants_usage: bool, log: Any
) -> AsyncIterator[bytes]:
    """Yield a role, text as it is written, the rest with its citations, the end; an error ends a stream that failed."""
    shown = ""
    sources: tuple[SearchResult, ...] = ()
    try:
        yield _data(completion.chunk({"role": "assistant", "content": ""}))
        while event is not None:
            if isinstance(event, Sources):
                sources = event.results
                yield _data(completion.chunk({}, code_intelligence={"sources": places(sources)}))
            elif isinstance(event, Text):
                shown += event.text
                yield _data(completion.chunk({"content": event.text}))
            else:
                delta = {"content": _rest(event.answer, shown), "citations": [asdict(one) for one in event.citations]}
                yield _data(completion.chunk(delta, code_intelligence=completion.extension(event, sources)))
                yield _data(completion.chunk({}, "stop"))
                if wants_usage:
                    yield _data(completion.usage_chunk(event.usage))
            event = await events.next()
        yield b"data: [DONE]\n\n"
    except Exception as error:
        log.error("stream failed", error=type(error).__name__, exc_info=False)
        yield _data(openai_error(error)[1])
    finally:
        events.close()


def _rest(answer: str, shown: str) -> str:
    """What a client that has appended ``shown`` is still to append."""
    return answer[len(shown) :] if answer.startswith(shown) else f"{WITHDRAWN}{answer}"


def _data(document: dict[str, Any]) -> bytes:
    # json.dumps escapes line feeds, so that the document is one line, as "data:" wants it.
    return f"data: {json.dumps(document)}\n\n".encode()
