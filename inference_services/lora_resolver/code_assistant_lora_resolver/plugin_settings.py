"""What the plugin is told, by the environment of the vLLM that it runs in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REGISTRY_URI = "CODE_ASSISTANT_REGISTRY_URI"
REGISTERED_MODEL = "CODE_ASSISTANT_REGISTERED_MODEL"
ADAPTER_CACHE = "CODE_ASSISTANT_ADAPTER_CACHE"
CACHED_ADAPTERS = "CODE_ASSISTANT_CACHED_ADAPTERS"
CACHED_GIB = "CODE_ASSISTANT_CACHED_GIB"
BASE_MODELS = "CODE_ASSISTANT_BASE_MODELS"

FEWEST_ADAPTERS = 2
"""One that running answers finish on, and the one that was promoted."""


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """Where versions come from, where they are kept, how many, and which base models they may have been trained on."""

    registry_uri: str
    registered_model: str
    cache: Path
    cached_adapters: int
    cached_bytes: int
    base_models: frozenset[str]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> PluginSettings | None:
        """Return the settings, or None when no registry is named: then the plugin does nothing.

        Raises ValueError, which stops vLLM's start, when a value cannot be used.
        """
        uri = environment.get(REGISTRY_URI, "").strip()
        if not uri:
            return None
        folder = environment.get(ADAPTER_CACHE, "").strip()
        if not Path(folder).is_absolute():
            raise ValueError(f"{ADAPTER_CACHE} is {folder!r}; give the absolute path of a folder on a local disk")
        adapters = _number(environment, CACHED_ADAPTERS, "8")
        if adapters < FEWEST_ADAPTERS:
            raise ValueError(f"{CACHED_ADAPTERS} is {adapters:g}; it must be at least {FEWEST_ADAPTERS}")
        return cls(
            registry_uri=uri,
            registered_model=environment.get(REGISTERED_MODEL, "").strip() or "code-assistant",
            cache=Path(folder),
            cached_adapters=int(adapters),
            cached_bytes=int(_number(environment, CACHED_GIB, "10") * (1 << 30)),
            base_models=frozenset(name for name in environment.get(BASE_MODELS, "").split("\n") if name.strip()),
        )


def _number(environment: Mapping[str, str], variable: str, default: str) -> float:
    text = environment.get(variable, "").strip() or default
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not 0 < number < float("inf"):
        raise ValueError(f"{variable} is {text!r}; it must be a number above 0")
    return number
