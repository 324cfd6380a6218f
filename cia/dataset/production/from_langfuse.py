"""Rated answers from Langfuse: the scores ``user-feedback`` and ``correction``, and the traces that they belong to."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from cia.dataset.production.rated_answer import RatedAnswer
from cia.errors import SettingsError, UnavailableError
from cia.settings import TracingSettings

FEEDBACK, CORRECTION = "user-feedback", "correction"
"""Names of the scores that the server sends."""

OBSERVATION = "question"
"""Name of a trace's first observation: its input is the question, its output the answer."""

PAGE = 100
TIMEOUT_SECONDS = 30


def read_langfuse(settings: TracingSettings, days: int) -> list[RatedAnswer]:
    """Return what users rated in the last ``days`` days, oldest first.

    An answer that some approved and others did not is a disapproved one; of several corrections the last counts. Raises
    SettingsError when the keys are missing, and UnavailableError when Langfuse does not answer as it should.
    """
    import httpx
    from langfuse.api.core.api_error import ApiError
    from pydantic import ValidationError

    client = _open(settings)
    since = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
    try:
        return [rated for trace, scores in _scores(client, since).items() if (rated := _rated(client, trace, scores))]
    except (httpx.HTTPError, ApiError, ValidationError, json.JSONDecodeError) as error:
        status = f"status {error.status_code}" if isinstance(error, ApiError) else type(error).__name__
        raise UnavailableError(
            f"Langfuse does not give the rated answers ({status}); set dataset.production.langfuse to false to go without"
        ) from None


def _open(settings: TracingSettings) -> Any:
    from langfuse.api import LangfuseAPI

    url = settings.langfuse_url or os.environ.get("LANGFUSE_BASE_URL")
    public, secret = (os.environ.get(name, "") for name in (settings.public_key_variable, settings.secret_key_variable))
    if not (url and public and secret):
        raise SettingsError(
            f"dataset.production.langfuse needs tracing.langfuse_url and the keys in {settings.public_key_variable}"
            f" and {settings.secret_key_variable}"
        )
    return LangfuseAPI(base_url=url, username=public, password=secret, timeout=TIMEOUT_SECONDS)


def _scores(client: Any, since: dt.datetime) -> dict[str, list[Any]]:
    """Return the scores of each trace, the traces and their scores in the order of time."""
    found: list[Any] = []
    cursor = None
    while True:
        page = client.scores.get_many(
            name=f"{FEEDBACK},{CORRECTION}", fields="subject", limit=PAGE, cursor=cursor, from_timestamp=since
        )
        found += page.data
        cursor = page.meta.cursor
        if not cursor:
            break
    by_trace: defaultdict[str, list[Any]] = defaultdict(list)
    for score in sorted(found, key=lambda score: (score.timestamp, score.id)):
        if score.subject is not None and score.subject.kind == "trace":
            by_trace[score.subject.id].append(score)
    return by_trace


def _rated(client: Any, trace: str, scores: list[Any]) -> RatedAnswer | None:
    """Return the answer of ``trace``, None when the trace is gone or holds no question."""
    thumbs = [bool(score.value) for score in scores if score.name == FEEDBACK]
    corrections = [str(score.value) for score in scores if score.name == CORRECTION and str(score.value).strip()]
    for observation in _observations(client, trace):
        question, answer = _text(observation.input), _text(observation.output)
        resolved = _text((observation.metadata or {}).get("resolved_question"))
        if question and (answer or corrections):
            return RatedAnswer(
                question=resolved or question,  # a follow-up means nothing without its conversation
                answer=answer,
                rating="up" if thumbs and all(thumbs) else "down",
                correction=corrections[-1] if corrections else "",
                user=observation.user_id or "",
            )
    return None


def _observations(client: Any, trace: str) -> Iterator[Any]:
    page = client.observations.get_many(
        trace_id=trace, name=OBSERVATION, fields="basic,io,metadata", expand_metadata="resolved_question", limit=PAGE
    )
    yield from page.data


def _text(value: Any) -> str:
    """Return a text that Langfuse hands out as it is or as JSON."""
    if isinstance(value, str) and value.startswith('"'):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            return str(value)
    return value.strip() if isinstance(value, str) else ""
