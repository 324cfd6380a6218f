"""The language model, as LangChain sees it: any OpenAI-compatible server, which here is vLLM."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cia.settings import ModelSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

CONNECT_SECONDS = 3.0
"""A server that does not even accept a connection is away; nobody waits a whole answer's time to learn that."""


def open_model(model: ModelSettings) -> BaseChatModel | None:
    """Return a chat model for ``model.base_url``, or None when no address is set. Nothing is sent yet."""
    if model.base_url is None:
        return None
    from pydantic import SecretStr

    from cia.answering.streaming_chat import StreamingChat

    return StreamingChat(
        base_url=model.base_url,
        model=model.base_model,
        api_key=SecretStr(os.environ.get(model.api_key_variable) or "none"),  # vLLM without --api-key takes any
        max_completion_tokens=model.answer_tokens,
        connect_seconds=min(CONNECT_SECONDS, model.timeout_seconds),
        read_seconds=model.timeout_seconds,
    )
