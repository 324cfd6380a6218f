"""Brings a promoted adapter to where it is served."""

from __future__ import annotations

import time

import httpx

from cia.errors import UnavailableError
from cia.registry import Registry
from cia.settings import load_settings
from cia.vllm_client import VllmClient

ASK_SECONDS = 5.0
"""Between two looks at the server, and for one to be answered."""

SERVED_SECONDS = 1200.0
"""The server follows a promotion within a second, but a vLLM that left its GPU to the training has to start again first."""


def refresh(version: str) -> tuple[str, str]:
    """Have ``version`` served where something serves, and return its name and a sentence.

    In a cluster the RAG server has vLLM load it, as it alone reaches vLLM: this waits until it says so. Elsewhere the vLLM at
    ``model.base_url`` is told. The promotion has fetched and checked its files. Raises UnavailableError when it is not served.
    """
    settings = load_settings()
    name = Registry(settings).get(version).served_name
    if (server := settings.pipeline.server_url) is not None:
        wait_until_answering(server.rstrip("/"), name)
        return name, f"{name} answers at {server}"
    if settings.model.base_url is None:
        return name, f"{name} is fetched and checked; it is served when vLLM starts"
    VllmClient(settings.model.base_url, settings.model).resolve(name)
    return name, f"{name} is served at {settings.model.base_url}"


def wait_until_answering(server: str, name: str, seconds: float = SERVED_SECONDS, every: float = ASK_SECONDS) -> None:
    """Return once the RAG server at ``server`` answers with the adapter ``name``; its metrics, which need no key, say so.

    Raises UnavailableError after ``seconds``.
    """
    told = f'cia_adapter_info{{role="production",version="{name.rpartition(":")[2]}"}} 1.0'
    deadline = time.monotonic() + seconds
    while told not in _metrics(server):
        if time.monotonic() + every > deadline:
            raise UnavailableError(
                f"{name} is promoted, but {server} did not answer with it within {seconds:.0f} s; its /readyz says why"
            )
        time.sleep(every)


def _metrics(server: str) -> list[str]:
    try:
        return httpx.get(f"{server}/metrics", timeout=ASK_SECONDS).text.splitlines()
    except httpx.HTTPError:
        return []
