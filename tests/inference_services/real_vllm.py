"""vLLM itself, with a tiny random Llama and the resolver, over a registry of its own: started once by each file that needs it.

with served_registry(folder) as served:
    name = served.register(seed=1)                      # "code-assistant:1"
    served.process.client.resolve(name)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cia.evaluation.gate import Decision
from cia.registry import Registry
from cia.settings import Settings, load_settings
from inference_services.vllm_process import VllmProcess
from runtimes.base_model import install_base
from tests.rag_server.tiny_adapter import make_adapter

VLLM_PYTHON = Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"
PASSED = Decision(True, "promoted: citation_recall gained")


@dataclass(frozen=True)
class ServedRegistry:
    """A running vLLM, the base model that it serves, and the registry that its resolver reads."""

    settings: Settings
    base: Path
    registry: Registry
    process: VllmProcess
    folder: Path

    def register(self, seed: int, change: Callable[[Path], None] | None = None) -> str:
        """Register an adapter of random weights and return its name; ``change`` may alter its folder before."""
        adapter = make_adapter(self.folder / f"adapter-{seed}", self.base, seed)
        if change is not None:
            change(adapter)
        return self.registry.register(adapter, {"faithfulness": 0.9}, PASSED, self.base).served_name


def tiny_settings(folder: Path, **serving: object) -> Settings:
    """Settings with a home below ``folder``, and a vLLM on one thread and a free port."""
    settings = load_settings(environment={"CIA_HOME": str(folder / "home")})
    few = {"vllm_python": str(VLLM_PYTHON), "port": 0, "cpu_threads": 1, "start_timeout_seconds": 400.0, **serving}
    return settings.model_copy(update={"serving": settings.serving.model_copy(update=few)})


@contextlib.contextmanager
def served_registry(folder: Path, **serving: object) -> Iterator[ServedRegistry]:
    """Run vLLM for the block. ``serving`` are fields of the settings' section; skips where vLLM is not installed."""
    if not VLLM_PYTHON.exists():
        pytest.skip("vLLM's environment is not installed (make setup)")
    settings = tiny_settings(folder, **serving)
    base = install_base(folder / "models")
    with VllmProcess(settings, base) as process:
        yield ServedRegistry(settings, base, Registry(settings), process, folder)
