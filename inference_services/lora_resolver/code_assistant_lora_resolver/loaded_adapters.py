"""vLLM's table of loaded adapters, which also notes who looks at it."""

from __future__ import annotations

import time
from typing import Any

from code_assistant_lora_resolver.requests_in_flight import RequestsInFlight


class LoadedAdapters(dict[str, Any]):
    """Name to LoRARequest, in the place of ``OpenAIServingModels.lora_requests``.

    Every request that names an adapter asks whether it is ``in`` here before anything else happens to it, so this is where a use
    can be seen. vLLM itself keeps neither who uses an adapter nor when it was used last.
    """

    def __init__(self, loaded: dict[str, Any], requests: RequestsInFlight) -> None:
        super().__init__(loaded)
        self._requests = requests
        self._looks: dict[str, float] = {}

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            self._requests.look(name)
        if not super().__contains__(name):
            return False
        self._looks[str(name)] = time.time()
        return True

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._looks.pop(name, None)

    def last_look(self, name: str) -> float:
        """When a request asked for ``name``, in seconds since 1970; 0.0 when it is not loaded or nobody asked."""
        return self._looks.get(name, 0.0)
