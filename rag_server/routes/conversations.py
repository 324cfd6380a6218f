"""``/v1/conversations``: what a user asked and was told. Nobody sees anybody else's."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from rag_server.conversations import Conversation
from rag_server.services import CurrentPrincipal, CurrentServices

router = APIRouter(prefix="/v1/conversations", tags=["conversations"])
ConversationId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class ConversationHead(BaseModel):
    """A conversation in a list; times are in UTC."""

    id: str
    title: str
    created: datetime.datetime
    updated: datetime.datetime
    turns: int


class GivenFeedback(BaseModel):
    """What this user thought of an answer."""

    rating: str
    comment: str


class ConversationTurn(BaseModel):
    """A question, when it was asked, its answer as ``POST /v1/ask`` gave it, and what the user thought of that."""

    question: str
    asked: datetime.datetime
    answer: dict[str, Any]
    feedback: GivenFeedback | None


class WholeConversation(BaseModel):
    """A conversation with those of its turns whose repositories you may still read."""

    id: str
    title: str
    created: datetime.datetime
    updated: datetime.datetime
    turns: list[ConversationTurn]


@router.get("")
def conversations(services: CurrentServices, principal: CurrentPrincipal) -> dict[str, list[ConversationHead]]:
    """Return your newest hundred conversations, newest first."""
    newest = services.conversations.newest(principal)
    return {"conversations": [ConversationHead(**_head(one), turns=one.turns) for one in newest]}


@router.get("/{identifier}")
def conversation(identifier: ConversationId, services: CurrentServices, principal: CurrentPrincipal) -> WholeConversation:
    """Return one of your conversations."""
    head, turns = services.conversations.read(principal, identifier)
    given = services.feedback.of(principal, [turn.answer["trace_id"] for turn in turns])
    shown = []
    for turn in turns:
        rating = given.get(turn.answer["trace_id"])
        feedback = GivenFeedback(rating=rating.rating, comment=rating.comment) if rating else None
        shown.append(ConversationTurn(question=turn.question, asked=_utc(turn.asked), answer=turn.answer, feedback=feedback))
    return WholeConversation(**_head(head), turns=shown)


@router.delete("/{identifier}", status_code=204)
def forget(identifier: ConversationId, services: CurrentServices, principal: CurrentPrincipal) -> Response:
    """Delete one of your conversations."""
    services.conversations.delete(principal, identifier)
    return Response(status_code=204)


@router.delete("", status_code=204)
def forget_all(services: CurrentServices, principal: CurrentPrincipal) -> Response:
    """Delete all of your conversations."""
    services.conversations.delete_all(principal)
    return Response(status_code=204)


def _head(one: Conversation) -> dict[str, Any]:
    return {"id": one.id, "title": one.title, "created": _utc(one.created), "updated": _utc(one.updated)}


def _utc(time: datetime.datetime) -> datetime.datetime:
    return time.replace(tzinfo=datetime.UTC)
