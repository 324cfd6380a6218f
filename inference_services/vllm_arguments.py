"""How vLLM is started: one argument list and one environment for this machine and for the cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cia.errors import SettingsError
from cia.registry.mlflow_client import tracking_uri
from cia.settings import Settings

VLLM_MODULE = "vllm.entrypoints.openai.api_server"
"""Run with ``python -m``: the ``vllm`` command looks up the package metadata ``vllm``, which CPU builds do not carry."""


LORA_RESOLVER = "code_assistant_lora_resolver"
"""The plugin in ``lora_resolver/`` that fetches a registered version when a request names it."""


def vllm_arguments(
    settings: Settings,
    model: Path | str,
    *,
    adapters: Mapping[str, Path | str] | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    draft_model: Path | str | None = None,
    drain_seconds: int = 0,
) -> list[str]:
    """Return the arguments of vLLM's OpenAI server for the base model in ``model``, here and in the cluster.

    ``adapters`` maps served names (``code-assistant:3``) to adapter folders. A name and a folder are never used for two
    versions: vLLM keys its prefix cache by them. ``port`` defaults to ``serving.port``, ``draft_model`` to
    ``serving.draft_model``. Told to stop, vLLM finishes what runs within ``drain_seconds``; 0 cuts it off.
    Raises SettingsError for what vLLM would refuse after a minute of starting.
    """
    serving = settings.serving
    if serving.adapters_in_memory < serving.max_adapters:
        raise SettingsError(
            f"serving.adapters_in_memory is {serving.adapters_in_memory}, fewer than the {serving.max_adapters} of one batch "
            f"(serving.max_adapters); set it to {serving.max_adapters} or more"
        )
    arguments = [
        *server_arguments(
            model,
            settings.model.base_model,
            host=host,
            port=serving.port if port is None else port,
            context_tokens=settings.model.context_tokens,
            drain_seconds=drain_seconds,
        ),
        "--dtype", serving.dtype,
        "--tensor-parallel-size", str(serving.tensor_parallel),
        "--kv-cache-dtype", serving.kv_cache_dtype,
        "--enable-prefix-caching" if serving.prefix_caching else "--no-enable-prefix-caching",
        "--enable-chunked-prefill",
        "--enable-lora",
        "--max-lora-rank", str(_allowed_rank(serving.max_lora_rank)),
        "--max-loras", str(serving.max_adapters),
        "--max-cpu-loras", str(serving.adapters_in_memory),
        *_speculation(settings, draft_model),
    ]  # fmt: skip
    if serving.batched_tokens is not None:
        arguments += ["--max-num-batched-tokens", str(serving.batched_tokens)]
    if serving.gpu_memory_utilization is not None:
        arguments += ["--gpu-memory-utilization", str(serving.gpu_memory_utilization)]
    if serving.enforce_eager:
        arguments.append("--enforce-eager")
    if adapters:
        arguments += ["--lora-modules", *(f"{name}={path}" for name, path in adapters.items())]
    return arguments


def server_arguments(
    model: Path | str, served_name: str, *, host: str, port: int, context_tokens: int, drain_seconds: int = 0
) -> list[str]:
    """Return the arguments that every vLLM of ours has, whatever it serves; see `vllm_arguments` for their meaning."""
    arguments = [
        "--model", str(model),
        "--served-model-name", served_name,
        "--host", host,
        "--port", str(port),
        "--max-model-len", str(context_tokens),
        "--generation-config", "vllm",
        "--disable-uvicorn-access-log",
    ]  # fmt: skip
    if drain_seconds:
        arguments += ["--shutdown-timeout", str(drain_seconds)]
    return arguments


def _speculation(settings: Settings, draft_model: Path | str | None) -> list[str]:
    """The model that guesses never wears the adapter: its guesses are checked all the same, and fewer of them hold."""
    serving = settings.serving
    config: dict[str, str | int]
    if serving.speculation == "none":
        return []
    if serving.speculation == "ngram":
        config = {"method": "ngram", "prompt_lookup_min": 2, "prompt_lookup_max": 4}
    else:
        draft = draft_model or serving.draft_model
        if not draft:
            raise SettingsError(
                "serving.speculation is draft, but no model is named that guesses; set serving.draft_model to a small model "
                "with the tokenizer of the base model, or serving.speculation to ngram"
            )
        # vLLM wants the guessing model spread over as many GPUs as the model that checks it.
        config = {"method": "draft_model", "model": str(draft), "draft_tensor_parallel_size": serving.tensor_parallel}
    return ["--speculative-config", json.dumps(config | {"num_speculative_tokens": serving.speculative_tokens})]


def vllm_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that vLLM and its plugin need: no hub, no usage reports, versions by name, caches in our home."""
    serving = settings.serving
    cache = settings.home / "cache" / "vllm"
    environment = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        # A list of all that may be loaded: vLLM's own resolvers, of which one downloads from a hub, stay out.
        "VLLM_PLUGINS": LORA_RESOLVER,
        "CODE_ASSISTANT_REGISTRY_URI": tracking_uri(settings),
        "CODE_ASSISTANT_REGISTERED_MODEL": settings.registry.model_name,
        "CODE_ASSISTANT_ADAPTER_CACHE": str(settings.home.absolute() / "adapters-of-vllm"),
        "CODE_ASSISTANT_CACHED_ADAPTERS": str(serving.cached_adapters),
        "CODE_ASSISTANT_CACHED_GIB": str(serving.cached_gib),
        "CODE_ASSISTANT_BASE_MODELS": "\n".join(_names_of_the_base(settings)),
        "VLLM_CPU_KVCACHE_SPACE": str(serving.cpu_kv_cache_gib),
        "VLLM_CACHE_ROOT": str(cache),
        "VLLM_CONFIG_ROOT": str(cache / "config"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
    }
    if serving.cpu_threads is not None:
        # Binding threads to cores starves every other process there: leave their placement to the kernel.
        environment |= {"OMP_NUM_THREADS": str(serving.cpu_threads), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    return environment


def _names_of_the_base(settings: Settings) -> list[str]:
    """By what names adapters may call the base model, beside the one that vLLM loads it by."""
    trained_on = settings.training.base_model
    return list(dict.fromkeys(filter(None, (settings.serving.model, "" if trained_on == "local" else trained_on))))


def _allowed_rank(rank: int) -> int:
    """Round up to a rank that vLLM accepts (``vllm.config.lora.MaxLoRARanks``), so that a rank of 12 is served too."""
    return next(allowed for allowed in (1, 8, 16, 32, 64, 128, 256, 320, 512) if allowed >= rank)
