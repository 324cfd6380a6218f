"""How vLLM is started: one argument list and one environment for this machine and for the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cia.settings import Settings

VLLM_MODULE = "vllm.entrypoints.openai.api_server"
"""Run with ``python -m``: the ``vllm`` command looks up the package metadata ``vllm``, which CPU builds do not carry."""


def vllm_arguments(
    settings: Settings,
    model: Path | str,
    *,
    adapters: Mapping[str, Path | str] | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
) -> list[str]:
    """Return the arguments of vLLM's OpenAI server for the base model in ``model``.

    ``adapters`` maps served names (``code-assistant:3``) to adapter folders. A name and a folder are never used for two
    versions: vLLM keys its prefix cache by them. ``port`` defaults to ``serving.port``.
    """
    serving = settings.serving
    arguments = [
        "--model", str(model),
        "--served-model-name", settings.model.base_model,
        "--host", host,
        "--port", str(serving.port if port is None else port),
        "--max-model-len", str(settings.model.context_tokens),
        "--dtype", serving.dtype,
        "--enable-prefix-caching" if serving.prefix_caching else "--no-enable-prefix-caching",
        "--enable-lora",
        "--max-lora-rank", str(_allowed_rank(serving.max_lora_rank)),
        "--max-loras", str(serving.max_adapters),
        "--generation-config", "vllm",
        "--disable-uvicorn-access-log",
    ]  # fmt: skip
    if serving.enforce_eager:
        arguments.append("--enforce-eager")
    if adapters:
        arguments += ["--lora-modules", *(f"{name}={path}" for name, path in adapters.items())]
    return arguments


def vllm_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that vLLM needs: no hub, no usage reports, adapters changeable at run time, caches in our home."""
    serving = settings.serving
    cache = settings.home / "cache" / "vllm"
    environment = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_CPU_KVCACHE_SPACE": str(serving.cpu_kv_cache_gib),
        "VLLM_CACHE_ROOT": str(cache),
        "VLLM_CONFIG_ROOT": str(cache / "config"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
    }
    if serving.cpu_threads is not None:
        # Binding threads to cores starves every other process there: leave their placement to the kernel.
        environment |= {"OMP_NUM_THREADS": str(serving.cpu_threads), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    return environment


def _allowed_rank(rank: int) -> int:
    """Round up to a rank that vLLM accepts (``vllm.config.lora.MaxLoRARanks``), so that a rank of 12 is served too."""
    return next(allowed for allowed in (1, 8, 16, 32, 64, 128, 256, 320, 512) if allowed >= rank)
