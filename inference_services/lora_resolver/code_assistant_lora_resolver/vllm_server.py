"""The API server of vLLM, as the bounded cache needs it: which adapters are in use, and to unload one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vllm.entrypoints.serve.lora.protocol import UnloadLoRAAdapterRequest

from code_assistant_lora_resolver.loaded_adapters import LoadedAdapters
from code_assistant_lora_resolver.name_locks import NameLocks
from code_assistant_lora_resolver.requests_in_flight import RequestsInFlight

if TYPE_CHECKING:
    from vllm.engine.protocol import EngineClient
    from vllm.entrypoints.openai.models.serving import OpenAIServingModels


class VllmServer:
    """Replaces two public tables of ``OpenAIServingModels`` by ones that behave the same, and see more or keep less."""

    def __init__(self, models: OpenAIServingModels, engine: EngineClient, requests: RequestsInFlight) -> None:
        self._models = models
        self._engine = engine
        self._requests = requests
        self._loaded = models.lora_requests = LoadedAdapters(models.lora_requests, requests)
        models.lora_resolver_lock = NameLocks()

    def uses(self, name: str) -> bool:
        """Whether an HTTP request looked the adapter up and has not ended, or the engine has an unfinished request on it.

        The first would do for all but answers that outlive their request (``background`` of the Responses API), which only the
        engine's client knows. The gauge ``vllm:lora_requests_info`` says the same, but a step of the engine later.
        """
        if self._requests.has(name):
            return True
        unfinished = self._engine.output_processor.request_states
        return any(state.lora_name == name for state in list(unfinished.values()))

    def last_use(self, name: str) -> float:
        """When a request asked for the adapter, in seconds since 1970; 0.0 when it is not loaded."""
        return self._loaded.last_look(name)

    async def unload(self, name: str) -> None:
        """Take the adapter from vLLM's table, by vLLM's own way; nothing happens when it is not in it."""
        await self._models.unload_lora_adapter(UnloadLoRAAdapterRequest(lora_name=name))
