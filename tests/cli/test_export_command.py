"""``cia models export`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli import main
from runtimes.lora_model import LoraModelRequest, load_with_peft
from runtimes.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained adapter on an untrained model."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("models")
    tokenizer = train_tokenizer(["def get(self, url): return self.request('GET', url)\n"] * 3, 512, context_tokens=256)
    shape = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1, "head_dim": 64}
    tokens = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=True, **shape, **tokens))
    model.save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    request = LoraModelRequest(str(folder / "base"), "none", 2, 4, ("q_proj",), 64, seed=7)
    load_with_peft(request)[0].save_pretrained(folder / "adapter")
    return folder / "adapter"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIA_HOME", str(tmp_path / "home"))


def test_an_adapter_is_exported_and_the_file_named(adapter: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    code = main.run(["models", "export", str(adapter), "--format", "gguf", "--quantization", "q4_0", "-o", str(out), "--json"])
    printed = capfd.readouterr().out
    assert code == 0
    exported = json.loads(printed)
    assert (exported["format"], exported["precision"]) == ("gguf", "q4_0")
    assert Path(exported["file"]).parent == out
    assert Path(exported["file"]).stat().st_size / 1e6 == pytest.approx(exported["megabytes"], abs=0.1)


def test_an_existing_folder_is_one_line_and_bad_input(adapter: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run(["models", "export", str(adapter), "-o", str(tmp_path)]) == 2
    assert capfd.readouterr().err.splitlines()[-1] == f"cia: {tmp_path} exists; name a folder that does not, or remove it"
