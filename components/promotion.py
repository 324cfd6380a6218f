"""Brings a promoted adapter to where it is served."""

from __future__ import annotations

from cia.adapter import check_adapter
from cia.registry import Registry
from cia.settings import load_settings
from cia.vllm_client import VllmClient


def refresh(version: str) -> tuple[str, str]:
    """Fetch and check ``version``, have the vLLM at ``model.base_url`` load it if one is set; return its name and a sentence.

    Raises AdapterError for an adapter that vLLM would reject, UnavailableError when the vLLM that is set does not answer.
    """
    settings = load_settings()
    registry = Registry(settings)
    adapter = registry.get(version)
    folder = registry.fetch(version)
    check_adapter(folder, adapter.base_model, settings.serving.max_lora_rank)
    if settings.model.base_url is None:
        return adapter.served_name, f"{adapter.served_name} is fetched and checked; it is served when vLLM starts"
    VllmClient(settings.model.base_url, settings.model).resolve(adapter.served_name)
    return adapter.served_name, f"{adapter.served_name} is served at {settings.model.base_url}"
