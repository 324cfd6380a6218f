"""``POST /v1/ask``: a question, and its answer with checked citations."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from cia.answering.answer import Answer
from cia.answering.assistant import Event
from rag_server.event_stream import ThreadedStream, as_server_sent_events
from rag_server.services import CurrentServices, RequestId, Services

router = APIRouter(tags=["answers"])


class Question(BaseModel):
    """What is asked. ``repos`` null asks all repositories; ``stream`` true sends the answer as it is written."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(examples=["How are redirects followed?"])
    repos: list[str] | None = Field(default=None, examples=[["httpx"]], max_length=1000)
    stream: bool = False


STREAM_HELP = (
    "With `stream: true` the reply is `text/event-stream`: `sources` (what the answer rests on; may come again), `token` "
    "(a further piece of the answer), and last `answer` (the whole, which stands), or `error`."
)


@router.post("/v1/ask", response_model=Answer, description=STREAM_HELP)
async def ask(asked: Question, services: CurrentServices, request_id: RequestId) -> Any:
    """Answer a question."""
    if not asked.stream:
        return await run_in_threadpool(_answer, services, asked, request_id)
    stream: ThreadedStream[Event] = ThreadedStream(services.answer(asked.question, asked.repos, request_id))
    first = await stream.next()  # what is wrong with the question itself is an HTTP error, not an event
    return StreamingResponse(
        as_server_sent_events(first, stream, services.log),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _answer(services: Services, asked: Question, request_id: str) -> Answer:
    *_, last = services.answer(asked.question, asked.repos, request_id)
    assert isinstance(last, Answer)
    return last
