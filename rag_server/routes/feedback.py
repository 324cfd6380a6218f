"""``POST /v1/feedback``: a thumb on an answer."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from rag_server.feedback import Rating
from rag_server.services import CurrentPrincipal, CurrentServices

router = APIRouter(tags=["answers"])


class Feedback(BaseModel):
    """What you think of the answer with ``trace_id``; ``correction`` is what it should have said."""

    model_config = ConfigDict(extra="forbid")

    trace_id: str = Field(pattern="^[0-9a-f]{32}$")
    rating: Literal["up", "down"]
    comment: str = Field(default="", max_length=2000)
    correction: str = Field(default="", max_length=4000)


@router.post("/v1/feedback", status_code=204)
def give_feedback(feedback: Feedback, services: CurrentServices, principal: CurrentPrincipal) -> Response:
    """Rate an answer; a later rating takes the place of an earlier one."""
    services.rate(principal, feedback.trace_id, Rating(feedback.rating, feedback.comment, feedback.correction))
    return Response(status_code=204)
