"""``POST /v1/ask``: a question, and its answer with checked citations."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from cia.answering.answer import Answer
from cia.answering.assistant import Event
from rag_server.event_stream import ThreadedStream, as_server_sent_events, read_answer, while_connected
from rag_server.request_record import CLIENT_GONE
from rag_server.services import Asked, CurrentPrincipal, CurrentServices, RequestId

router = APIRouter(tags=["answers"])


class Question(BaseModel):
    """What is asked. ``repos`` null asks all repositories; ``stream`` true sends the answer as it is written."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(examples=["How are redirects followed?"])
    repos: list[str] | None = Field(default=None, examples=[["httpx"]], max_length=1000)
    stream: bool = False
    conversation: str | None = Field(
        default=None,
        max_length=64,
        description="`new` begins a conversation, an id goes on with one; without it nothing is kept.",
    )


STREAM_HELP = (
    "With `stream: true` the reply is `text/event-stream`: `sources` (what the answer rests on; may come again), `token` "
    "(a further piece of the answer), and last `answer` (the whole, which stands), or `error`."
)


@router.post("/v1/ask", response_model=Answer, description=STREAM_HELP)
async def ask(
    request: Request, question: Question, services: CurrentServices, principal: CurrentPrincipal, request_id: RequestId
) -> Any:
    """Answer a question."""
    asked = Asked(question.question, question.repos, question.conversation)
    stream: ThreadedStream[Event] = ThreadedStream(services.answer(principal, asked, request_id))
    if not question.stream:
        told = await while_connected(request, stream, read_answer(stream))
        return told[0] if told else Response(status_code=CLIENT_GONE)
    first = await stream.next()  # what is wrong with the question itself is an HTTP error, not an event
    return StreamingResponse(
        as_server_sent_events(first, stream, services.log),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
