"""vLLMs of different settings side by side, and requests to them by token numbers, so that a prompt is what was meant."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.server.load import Client, Request
from benchmarks.server.running import changed
from cia.errors import OperationError
from cia.settings import Settings
from inference_services.vllm_process import VllmProcess


@contextlib.contextmanager
def side_by_side(variants: Mapping[str, Settings], model: Path) -> Iterator[dict[str, str]]:
    """Run a vLLM over ``model`` for each of ``variants``, one thread each; yield their addresses by name."""
    with contextlib.ExitStack() as running:
        addresses = {}
        for name, settings in variants.items():
            home = settings.home / f"vllm-{name}"
            home.mkdir(exist_ok=True)
            alone = changed(settings, "serving", cpu_threads=1, start_timeout_seconds=600.0).model_copy(update={"home": home})
            addresses[name] = running.enter_context(VllmProcess(alone, model, port=0)).base_url
        yield addresses


async def complete(client: Client, address: str, prompt: Sequence[int], tokens: int) -> int:
    """Have ``tokens`` tokens written after ``prompt``; return how many were. Raises OperationError when there is no answer."""
    body = {"prompt": list(prompt), "max_tokens": tokens, "temperature": 0.0, "ignore_eos": True}
    reply = await client.send(Request("completion", "POST", f"{address}/completions", body))
    if reply.error:
        raise OperationError(f"vLLM at {address} did not complete a prompt of {len(prompt)} tokens: {reply.error}")
    return int(json.loads(reply.body)["usage"]["completion_tokens"])
