"""What vLLM's OpenAI server is asked besides answers: which models it serves, and to load or unload an adapter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx

from cia.errors import AdapterError, UnavailableError
from cia.settings import ModelSettings

QUERY_SECONDS = 5.0
LOAD_SECONDS = 60.0
RESOLVE_SECONDS = 120.0
"""An adapter of an 8B model is fetched from the object store and loaded."""


class VllmClient:
    """A vLLM server at ``base_url`` (ending in ``/v1``). Safe to use from several threads."""

    def __init__(self, base_url: str, settings: ModelSettings) -> None:
        self.base_url = base_url.rstrip("/")
        key = os.environ.get(settings.api_key_variable)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def models(self) -> list[str]:
        """Return the names that are served, adapters included. Raises UnavailableError when nothing answers."""
        try:
            reply = httpx.get(f"{self.base_url}/models", headers=self._headers, timeout=QUERY_SECONDS)
            reply.raise_for_status()
            return [model["id"] for model in reply.json()["data"]]
        except httpx.HTTPStatusError as error:
            raise UnavailableError(f"vLLM at {self.base_url} answers {error.response.status_code} to /models") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
            raise self._away() from None

    def resolve(self, name: str) -> None:
        """Have vLLM fetch and load the registered version ``name`` (``code-assistant:7``) before anybody waits for it.

        Any request that names it would; this one asks for the tokens of a letter, so that nothing is generated. Returns when it
        is loaded. Raises AdapterError with the server's reason when it cannot be, UnavailableError when nothing answers.
        """
        url = f"{self.base_url.removesuffix('/v1')}/tokenize"
        try:
            reply = httpx.post(url, json={"model": name, "prompt": "a"}, headers=self._headers, timeout=RESOLVE_SECONDS)
        except httpx.HTTPError:
            raise self._away() from None
        if reply.is_error:
            raise AdapterError(f"vLLM does not serve {name}: {_reason(reply)}")

    def load_adapter(self, name: str, folder: Path) -> None:
        """Serve the adapter in ``folder`` as ``name``; nothing happens when that name is served already.

        vLLM keys its prefix cache by name and path, so neither is ever used for a second version.
        Raises AdapterError with vLLM's reason when it refuses, UnavailableError when nothing answers.
        """
        if name not in self.models():
            self._administer("load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})

    def unload_adapter(self, name: str) -> None:
        """Stop serving ``name``. Raises AdapterError when it is not served, UnavailableError when nothing answers."""
        self._administer("unload_lora_adapter", {"lora_name": name})

    def _administer(self, action: str, body: dict[str, str]) -> None:
        try:
            reply = httpx.post(f"{self.base_url}/{action}", json=body, headers=self._headers, timeout=LOAD_SECONDS)
        except httpx.HTTPError:
            raise self._away() from None
        if reply.is_error:
            raise AdapterError(f"vLLM refused to {action.split('_')[0]} {body['lora_name']}: {_reason(reply)}")

    def _away(self) -> UnavailableError:
        return UnavailableError(f"no model server answers at {self.base_url}; start one, or unset model.base_url")


def _reason(reply: httpx.Response) -> str:
    try:
        document: Any = reply.json()
        return str(document["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {reply.status_code}; is it vLLM, with adapters (--enable-lora, VLLM_ALLOW_RUNTIME_LORA_UPDATING)?"
