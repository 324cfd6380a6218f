"""A vLLM plugin: a request for ``code-assistant:7`` has version 7 fetched from MLflow, checked, kept and served.

vLLM calls ``register`` in each of its processes. Only its API server resolves names, so only there MLflow is ever imported.
"""

from __future__ import annotations

import os

from code_assistant_lora_resolver.plugin_settings import PluginSettings

PLUGIN = "code_assistant_lora_resolver"
"""The name of both entry points, and what VLLM_PLUGINS must hold."""


def register() -> None:
    """Put the resolver into vLLM's registry of resolvers; without CODE_ASSISTANT_REGISTRY_URI do nothing."""
    settings = PluginSettings.from_environment(os.environ)
    if settings is None:
        return
    from vllm.lora.resolver import LoRAResolverRegistry

    from code_assistant_lora_resolver.resolver import RegisteredAdapterResolver

    if PLUGIN not in LoRAResolverRegistry.get_supported_resolvers():
        LoRAResolverRegistry.register_resolver(PLUGIN, RegisteredAdapterResolver(settings))
