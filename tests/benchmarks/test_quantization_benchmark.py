from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.quantization.__main__ import held_out_windows, main
from benchmarks.quantization.measure import Job, Measured, measure
from cia.errors import InputError
from runtimes.export.gguf_file import write_gguf
from runtimes.export.merging import load_model
from runtimes.processor import limit_threads
from runtimes.tokenizer import train_tokenizer

TEXT = "".join(f"def function_{number}(value):\n    return value + {number}\n\n\n" for number in range(60))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model whose weights are large enough to say something of their own."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    limit_threads()
    torch.manual_seed(7)
    tokenizer = train_tokenizer([TEXT], 512, context_tokens=256)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "head_dim": 64}
    tokens = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), initializer_range=0.1, **shape, **tokens))
    path = tmp_path_factory.mktemp("model")
    model.bfloat16().save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def job(folder: Path) -> Job:
    """Two windows of 32 tokens, a prompt of 24 and 8 after it."""
    tokenizer: Any = load_model(folder)[1]
    windows = held_out_windows([TEXT], tokenizer, 32, 2)
    return Job("transformers", str(folder), windows, windows[0][:24], 8, 1)


def test_both_engines_score_the_same_halves_of_the_same_windows(folder: Path, job: Job, tmp_path: Path) -> None:
    import torch

    model, tokenizer = load_model(folder)
    expected = []
    for window in job.windows:
        scores = model(input_ids=torch.tensor([window])).logits[0].log_softmax(-1)
        expected.append(-sum(float(scores[place - 1, window[place]]) for place in range(16, 32)) / 16)
    write_gguf(model, tokenizer, tmp_path / "f16.gguf", "f16", "tiny")
    by_llama_cpp = measure(dataclasses.replace(job, engine="llama.cpp", path=str(tmp_path / "f16.gguf")))
    assert by_llama_cpp.losses == pytest.approx(expected, abs=0.01)
    assert measure(job).losses == pytest.approx(expected, abs=0.1)  # bf16
    assert min(by_llama_cpp.prompt_rate, by_llama_cpp.rate) > 0


def test_windows_begin_as_the_tokenizer_begins_and_do_not_overlap(folder: Path) -> None:
    tokenizer: Any = load_model(folder)[1]
    windows = held_out_windows([TEXT, "é" * 5000], tokenizer, 32, 4)
    assert [len(window) for window in windows] == [32] * 4
    assert {window[0] for window in windows} == {tokenizer.bos_token_id}
    stream = [token for window in windows for token in window[1:]]
    assert TEXT.startswith(tokenizer.decode(stream))
    with pytest.raises(InputError, match="choose fewer --windows"):
        held_out_windows([TEXT], tokenizer, 32, 5000)


def test_the_table_has_a_row_for_each_file(
    folder: Path, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "held-out").mkdir()
    (tmp_path / "held-out" / "text.py").write_text(TEXT)
    monkeypatch.setenv("CIA_HOME", str(tmp_path / "home"))
    measured: list[Job] = []

    def in_this_process(name: str, job: Job) -> Measured:
        measured.append(job)
        return measure(job)

    monkeypatch.setattr("benchmarks.quantization.__main__._in_a_process", in_this_process)
    held_out = ["--held-out", str(tmp_path / "held-out"), "--window", "32", "--windows", "2"]
    assert main(["--model", str(folder), *held_out, "--prompt-tokens", "24", "--new-tokens", "8"]) == 0
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("|")][2:]
    assert [row[0].strip() for row in rows[:4]] == ["transformers bf16", "llama.cpp f16", "llama.cpp q8_0", "llama.cpp q4_0"]
    f16, q8_0, q4_0 = [float(row[1]) for row in rows[1:4]]
    assert f16 > q8_0 > q4_0 > 0
    perplexities = [float(row[6]) for row in rows]
    assert len(set(perplexities[1:4])) == 3
    assert perplexities[1] == pytest.approx(perplexities[0], rel=0.1)
    assert all(math.isfinite(each) for each in perplexities)
    assert {job.engine for job in measured} >= {"transformers", "llama.cpp"}
