from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cia.errors import InputError, OperationError
from runtimes.export import gguf_file
from runtimes.export.agreement import ODD_TEXTS, check_agreement
from runtimes.export.gguf_file import QUANTIZATIONS, refuse_unknown, write_gguf
from runtimes.export.llama_cpp import LlamaCpp
from runtimes.export.merging import load_config, load_model, logits

NEW_TOKENS = 12
TIE = 0.05
"""Logits of these random models spread over some tens; what is closer than this may fall either way in fp16."""

Loaded = tuple[Any, Any, dict[str, Path]]


@pytest.fixture(scope="module")
def loaded(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """A model, its tokenizer, and its GGUF files."""
    model, tokenizer = load_model(folder)
    directory = tmp_path_factory.mktemp("gguf")
    files = {quantization: directory / f"{quantization}.gguf" for quantization in QUANTIZATIONS}
    for quantization, path in files.items():
        write_gguf(model, tokenizer, path, quantization, "tiny")
    return model, tokenizer, files


@pytest.fixture(scope="module")
def llama(loaded: Loaded) -> Iterator[LlamaCpp]:
    """llama.cpp with the f16 file."""
    running = LlamaCpp(loaded[2]["f16"], context_tokens=512)
    yield running
    running.close()


def shortfalls(model: Any, prompt: list[int], answer: list[int]) -> list[float]:
    """Return by how much each token of ``answer`` misses the likeliest one in transformers, as a difference of logits."""
    import torch

    scores = logits(model, torch.tensor(prompt + answer))[len(prompt) - 1 : -1].clone()
    scores[:, model.config.eos_token_id] = -torch.inf  # llama.cpp is told to go on
    return (scores.amax(-1) - scores[range(len(answer)), answer]).tolist()


def test_llama_cpp_continues_with_the_tokens_of_transformers(loaded: Loaded, llama: LlamaCpp, texts: list[str]) -> None:
    model, tokenizer, _ = loaded
    prompts = [tokenizer(text[start : start + 60])["input_ids"] for text in texts for start in (0, 500, 1000)]
    answers = [llama.generate(prompt, NEW_TOKENS).tokens for prompt in prompts]
    assert len({token for answer in answers for token in answer}) > 40, "a model that repeats itself would show little"
    missed = [short for prompt, answer in zip(prompts, answers, strict=True) for short in shortfalls(model, prompt, answer)]
    assert len(missed) == len(prompts) * NEW_TOKENS
    assert max(missed) < TIE
    assert sum(short == 0 for short in missed) > 0.98 * len(missed)


def test_llama_cpp_gives_the_same_probabilities_to_a_text(loaded: Loaded) -> None:
    model, tokenizer, files = loaded
    found = {name: check_agreement(files[name], model, tokenizer, name) for name in ("f16", "q8_0")}  # type: ignore[arg-type]
    assert found["f16"] < 0.005
    assert found["f16"] < found["q8_0"] < 0.1


def test_fewer_bits_are_smaller_and_farther_away(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer, files = loaded
    monkeypatch.setattr("runtimes.export.agreement.LARGEST_DIFFERENCE", dict.fromkeys(QUANTIZATIONS, 5.0))
    differences = [check_agreement(files[name], model, tokenizer, name) for name in QUANTIZATIONS]  # type: ignore[arg-type]
    sizes = [files[name].stat().st_size for name in QUANTIZATIONS]
    assert differences == sorted(differences)
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
def test_an_odd_text_becomes_the_same_tokens(loaded: Loaded, llama: LlamaCpp, text: str) -> None:
    assert llama.tokenize(text) == loaded[1](text)["input_ids"]


def test_source_files_become_the_same_tokens(loaded: Loaded, llama: LlamaCpp, texts: list[str]) -> None:
    for text in texts:
        assert llama.tokenize(text) == loaded[1](text, verbose=False)["input_ids"]


@given(text=st.text(alphabet=st.sampled_from(" \t\n\r19ab_'sé中.{<|>}"), max_size=60))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mixture_of_blanks_digits_and_signs_becomes_the_same_tokens(loaded: Loaded, llama: LlamaCpp, text: str) -> None:
    assert llama.tokenize(text) == loaded[1](text)["input_ids"]


def test_a_chat_is_rendered_and_answered_as_by_transformers(loaded: Loaded, llama: LlamaCpp) -> None:
    model, tokenizer, _ = loaded
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is  `get` 12?"}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    answer, prompt_tokens = llama.chat(messages, 8)
    assert prompt_tokens == len(ids)
    generated = model.generate(input_ids=_batch(ids), max_new_tokens=8, do_sample=False)[0, len(ids) :]
    assert answer.strip() == tokenizer.decode(generated, skip_special_tokens=True).strip()
    assert answer.strip()


def test_rows_beyond_the_vocabulary_are_no_tokens_of_a_text(save_model: Callable[..., Path], tmp_path: Path) -> None:
    model, tokenizer = load_model(save_model(vocab_size=1088))
    write_gguf(model, tokenizer, tmp_path / "f16.gguf", "f16", "padded")
    assert check_agreement(tmp_path / "f16.gguf", model, tokenizer, "f16") < 0.005


def test_a_file_with_rope_turned_the_wrong_way_is_no_use(loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer, _ = loaded
    monkeypatch.setattr(gguf_file, "_interleave", lambda weights, heads: weights)
    write_gguf(model, tokenizer, tmp_path / "wrong.gguf", "f16", "wrong")
    with pytest.raises(OperationError, match="nats a token from transformers"):
        check_agreement(tmp_path / "wrong.gguf", model, tokenizer, "f16")


def test_a_file_that_cuts_blanks_before_digits_otherwise_is_no_use(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer, _ = loaded
    monkeypatch.setattr(gguf_file, "_pre_tokenizer", lambda description: "gpt-2")
    write_gguf(model, tokenizer, tmp_path / "wrong.gguf", "f16", "wrong")
    with pytest.raises(OperationError, match="into other tokens than transformers"):
        check_agreement(tmp_path / "wrong.gguf", model, tokenizer, "f16")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"architectures": ["Qwen2ForCausalLM"]}, "Qwen2ForCausalLM"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}, "rope scaling of type linear"),
        ({"attention_bias": True}, "a Llama with biases"),
    ],
)
def test_another_architecture_is_refused_with_what_to_use(
    folder: Path, tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(InputError, match=rf"{named}.*convert_hf_to_gguf\.py"):
        refuse_unknown(load_config(other), load_model(folder)[1])


@pytest.mark.parametrize("change", [{"normalizer": {"type": "NFC"}}, {"pre_tokenizer": {"type": "Whitespace"}}])
def test_another_tokenizer_is_refused_with_what_to_use(folder: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    from transformers import AutoTokenizer

    other = shutil.copytree(folder, tmp_path / "other")
    described = json.loads((other / "tokenizer.json").read_text())
    (other / "tokenizer.json").write_text(json.dumps(described | change))
    with pytest.raises(InputError, match=r"tokenizer of kind BPE with .*convert_hf_to_gguf\.py"):
        refuse_unknown(load_config(other), AutoTokenizer.from_pretrained(other))


def test_a_file_that_is_no_gguf_is_told(tmp_path: Path) -> None:
    (tmp_path / "no.gguf").write_text("no")
    with pytest.raises(OperationError, match=r"llama\.cpp does not load"):
        LlamaCpp(tmp_path / "no.gguf", 64)


def _batch(ids: list[int]) -> Any:
    import torch

    return torch.tensor([ids])
