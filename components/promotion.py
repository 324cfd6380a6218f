"""Brings a promoted adapter to where it is served."""

from __future__ import annotations

from cia.registry import Registry
from cia.settings import load_settings
from cia.vllm_client import VllmClient


def refresh(version: str) -> tuple[str, str]:
    """Have the vLLM at ``model.base_url`` load ``version``, if one is set; return its name and a sentence.

    Its files were fetched and checked by the promotion. Raises UnavailableError when the vLLM that is set does not answer.
    """
    settings = load_settings()
    name = Registry(settings).get(version).served_name
    if settings.model.base_url is None:
        return name, f"{name} is fetched and checked; it is served when vLLM starts"
    VllmClient(settings.model.base_url, settings.model).resolve(name)
    return name, f"{name} is served at {settings.model.base_url}"
