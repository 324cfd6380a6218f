"""From text to a served answer, with nothing stood in for: base model, fine-tuning, vLLM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from cia.settings import Settings
from inference_services.vllm_process import VllmProcess
from runtimes.base_model import install_base
from runtimes.fine_tune import main

VLLM_PYTHON = Path(__file__).resolve().parents[2] / ".venv-vllm/bin/python"


@pytest.mark.slow
@pytest.mark.skipif(not VLLM_PYTHON.exists(), reason="vLLM is not installed (make vllm)")
def test_vllm_serves_the_base_model_and_an_adapter_that_answers_otherwise(
    settings: Settings, write_examples: Callable[..., Path], tmp_path: Path
) -> None:
    base = install_base(settings.home / "models")
    out = tmp_path / "out"
    trained = [f"--examples={write_examples()}", f"--base={base}", f"--out={out}"]
    assert main([*trained, "--steps=60", "--batch-size=4", "--max-tokens=128", "--learning-rate=0.004"]) == 0
    serving = settings.serving.model_copy(update={"vllm_python": str(VLLM_PYTHON), "port": 0, "start_timeout_seconds": 500.0})
    question = {"role": "user", "content": "[1] httpx/_models.py:3-6 header_3\nQuestion: What does `header_3` do?"}
    with VllmProcess(settings.model_copy(update={"serving": serving}), base, adapters={"tuned:1": out / "adapter"}) as vllm:
        answers = {}
        for model in (settings.model.base_model, "tuned:1"):
            order = {"model": model, "messages": [question], "max_tokens": 24, "temperature": 0}
            reply = httpx.post(f"{vllm.base_url}/chat/completions", json=order, timeout=120).raise_for_status().json()
            answers[model] = reply["choices"][0]["message"]["content"]
    assert answers["tuned:1"].startswith("It returns")
    assert answers["tuned:1"] != answers[settings.model.base_model]
