"""Where the resolver meets vLLM's API server. It adds no routes; it is an endpoint plugin because only those see the server."""

from __future__ import annotations

import threading
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vllm.lora.resolver import LoRAResolverRegistry

from code_assistant_lora_resolver import PLUGIN
from code_assistant_lora_resolver.adapters import Deployment
from code_assistant_lora_resolver.requests_in_flight import FollowRequests, RequestsInFlight
from code_assistant_lora_resolver.vllm_checks import check_by_vllm
from code_assistant_lora_resolver.vllm_server import VllmServer

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.datastructures import State
    from vllm.engine.protocol import EngineClient


class AdapterEndpointPlugin:
    """What ``vllm.endpoint_plugins`` names: follows the requests, and gives the resolver what it must know of the server."""

    name = PLUGIN
    required_tasks = ("generate",)

    def __init__(self) -> None:
        self._requests = RequestsInFlight()

    def attach_router(self, app: FastAPI) -> None:
        """Have every request counted for the adapters that it looks up."""
        if _is_registered():
            app.add_middleware(FollowRequests, requests=self._requests)

    async def init_state(self, engine_client: EngineClient | None, state: State, args: Namespace) -> None:
        """Attach the resolver to the server, and import MLflow in the background.

        Raises ValueError, which stops vLLM's start, when several API servers would each number the adapters of one engine.
        """
        if not _is_registered() or engine_client is None:
            return
        lora_config = engine_client.vllm_config.lora_config
        if lora_config is None:
            raise ValueError("CODE_ASSISTANT_REGISTRY_URI is set, but vLLM serves no adapters; add --enable-lora")
        if (getattr(args, "api_server_count", None) or 1) > 1:
            raise ValueError("each API server numbers adapters by itself, and their engine would mix them: --api-server-count 1")
        resolver = LoRAResolverRegistry.get_resolver(PLUGIN)
        server = VllmServer(state.openai_serving_models, engine_client, self._requests)
        check = partial(_check, lora_config)
        resolver.attach(Deployment(server, check))
        threading.Thread(target=resolver.adapters.warm, name="warm-resolver", daemon=True).start()


def _is_registered() -> bool:
    return PLUGIN in LoRAResolverRegistry.get_supported_resolvers()


def _check(lora_config: object, name: str, folder: Path) -> None:
    check_by_vllm(name, folder, lora_config)
