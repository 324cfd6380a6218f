from __future__ import annotations

import json
from pathlib import Path

import pytest

from cia.errors import InputError
from cia.settings import Settings
from runtimes.base_model import BaseModel, make_base_model


def test_the_model_learns_and_loads_as_an_ordinary_llama(base: BaseModel, tiny_settings: Settings) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    assert base.losses[-1] < base.losses[0]
    config = AutoConfig.from_pretrained(base.path)
    assert config.architectures == ["LlamaForCausalLM"]
    assert config.head_dim == 64
    assert config.max_position_embeddings == tiny_settings.model.context_tokens
    model = AutoModelForCausalLM.from_pretrained(base.path)
    tokenizer = AutoTokenizer.from_pretrained(base.path)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "def add"}], add_generation_prompt=True, return_tensors="pt"
    )
    reply = model.generate(**prompt, max_new_tokens=4, do_sample=False)
    assert reply.shape[1] > prompt["input_ids"].shape[1]


@pytest.mark.parametrize("text", ["def f():\n    return 42\n", "größer 北京 🙂", "\tx = 'a'  \n\n\n", "1234567890"])
def test_every_text_survives_the_tokenizer(base: BaseModel, text: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base.path)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


def test_digits_stay_single_and_turns_end_with_the_end_mark(base: BaseModel) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base.path)
    assert len(tokenizer("552", add_special_tokens=False)["input_ids"]) == 3
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    assert tokenizer.apply_chat_template(turns, tokenize=False) == "<|begin|><|user|>\nq<|end|><|assistant|>\na<|end|>"


def test_the_same_texts_reuse_the_model_in_any_order(base: BaseModel, texts: list[str], tiny_settings: Settings) -> None:
    again = make_base_model(texts[::-1], base.path.parent, tiny_settings)
    assert again.path == base.path
    assert again.reused
    assert not base.reused


def test_the_same_texts_make_the_same_weights_elsewhere(
    base: BaseModel, texts: list[str], tiny_settings: Settings, tmp_path: Path
) -> None:
    import torch

    torch.manual_seed(20261120)  # what ran before in this process must not matter
    twin = make_base_model(texts, tmp_path, tiny_settings)
    for file in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (twin.path / file).read_bytes() == (base.path / file).read_bytes()
    assert twin.losses == base.losses


def test_other_texts_or_settings_make_another_model(texts: list[str], tiny_settings: Settings, tmp_path: Path) -> None:
    shorter = tiny_settings.model_copy(update={"training": tiny_settings.training.model_copy(update={"base_steps": 1})})
    one = make_base_model(texts, tmp_path, shorter)
    assert make_base_model(texts[:-1], tmp_path, shorter).digest != one.digest
    assert len(one.losses) == 1


def test_what_a_killed_process_left_is_swept_and_made_anew(texts: list[str], tiny_settings: Settings, tmp_path: Path) -> None:
    shorter = tiny_settings.model_copy(update={"training": tiny_settings.training.model_copy(update={"base_steps": 1})})
    leftover = tmp_path / ".base-0123.staging-deadbeef"
    leftover.mkdir()
    (leftover / "model.safetensors").write_bytes(b"half")
    made = make_base_model(texts, tmp_path, shorter)
    assert not leftover.exists()
    assert json.loads((made.path / "recipe.json").read_text())["digest"] == made.digest
    assert (made.path / "model.safetensors").stat().st_mode & 0o044


def test_texts_too_short_for_one_window_are_refused(tiny_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="base model needs at least 64"):
        make_base_model(["x = 1"], tmp_path, tiny_settings)
    with pytest.raises(InputError, match="index a repository first"):
        make_base_model([" "], tmp_path, tiny_settings)
    assert [path.name for path in tmp_path.iterdir()] == [".base-model.lock"]
