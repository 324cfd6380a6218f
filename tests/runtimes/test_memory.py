from __future__ import annotations

import dataclasses

import pytest
from transformers import LlamaConfig

from cia.errors import InputError
from runtimes.memory import GIB, PROFILES, Training, needs, plan_memory
from runtimes.model_shape import ModelShape

ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

LLAMA_8B = ModelShape.of(
    LlamaConfig(  # meta-llama/Llama-3.1-8B, config.json
        vocab_size=128256,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        tie_word_embeddings=False,
    )
)
QWEN_1_5B = ModelShape.of(
    LlamaConfig(  # Qwen/Qwen2.5-Coder-1.5B, config.json
        vocab_size=151936,
        hidden_size=1536,
        intermediate_size=8960,
        num_hidden_layers=28,
        num_attention_heads=12,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
)
assert LLAMA_8B is not None
assert QWEN_1_5B is not None

QLORA = Training(
    device="cuda", nf4=True, bfloat16=True, rank=16, target_modules=ALL_LINEAR, batch=16, tokens=4096, completion_tokens=300
)


def test_the_parameters_of_published_models_are_counted() -> None:
    assert LLAMA_8B.linear_parameters + LLAMA_8B.other_parameters == 8_030_261_248
    assert LLAMA_8B.lora_parameters(16, ALL_LINEAR) == 41_943_040  # as PEFT prints for this model and rank
    assert QWEN_1_5B.linear_parameters + QWEN_1_5B.other_parameters == pytest.approx(1.54e9, rel=0.01)


def test_an_8b_model_trains_in_24_gb_with_qlora() -> None:
    plan = plan_memory(LLAMA_8B, QLORA, PROFILES["24GB"], "the 24GB profile")
    assert 5.0 * GIB < plan.parts["base model"] < 6.0 * GIB
    assert plan.parts["adapter, gradients, Adam"] == 16 * 41_943_040
    assert plan.needed < 24 * GIB
    assert plan.checkpointing


def test_an_8b_model_does_not_fit_4_gb_and_the_refusal_says_what_to_change() -> None:
    with pytest.raises(InputError, match=r"needs \d+\.\d GiB at the least, and the 4GB profile has 4\.0; choose a smaller model"):
        plan_memory(LLAMA_8B, QLORA, PROFILES["4GB"], "the 4GB profile")


def test_an_8b_model_in_16_bits_is_told_to_use_4() -> None:
    with pytest.raises(InputError, match=r"set training\.quantization to nf4"):
        plan_memory(LLAMA_8B, dataclasses.replace(QLORA, nf4=False, tokens=2048), 16 * GIB, "the GPU")


def test_a_model_of_1_5b_trains_in_4_gb_with_qlora() -> None:
    plan = plan_memory(QWEN_1_5B, dataclasses.replace(QLORA, tokens=1024), PROFILES["4GB"], "the 4GB profile")
    assert plan.needed < 4 * GIB


def test_long_sequences_are_named_when_they_are_what_does_not_fit() -> None:
    with pytest.raises(InputError, match=r"lower training\.max_tokens to 4096"):
        plan_memory(QWEN_1_5B, dataclasses.replace(QLORA, tokens=16384, completion_tokens=64), PROFILES["4GB"], "the 4GB profile")


def test_the_batch_is_cut_before_activations_are_computed_twice() -> None:
    roomy = plan_memory(QWEN_1_5B, QLORA, 400 * GIB, "the GPU")
    assert (roomy.accumulation, roomy.checkpointing) == (1, False)
    tighter = plan_memory(QWEN_1_5B, QLORA, 40 * GIB, "the GPU")
    assert tighter.accumulation > 1
    assert not tighter.checkpointing
    tight = plan_memory(QWEN_1_5B, QLORA, 8 * GIB, "the GPU")
    assert tight.checkpointing


def test_what_is_fixed_is_not_changed() -> None:
    plan = plan_memory(QWEN_1_5B, QLORA, 400 * GIB, "the GPU", accumulation=4, checkpointing=True)
    assert (plan.accumulation, plan.checkpointing) == (4, True)
    with pytest.raises(InputError, match=r"set training\.gradient_accumulation and training\.gradient_checkpointing to null"):
        plan_memory(QWEN_1_5B, QLORA, 8 * GIB, "the GPU", accumulation=1, checkpointing=False)


def test_every_part_grows_with_what_it_depends_on() -> None:
    before = needs(LLAMA_8B, QLORA, 1, False)
    assert needs(LLAMA_8B, QLORA, 2, False)["activations"] > 1.9 * before["activations"]
    assert needs(LLAMA_8B, QLORA, 1, True)["activations"] < before["activations"] / 4
    assert needs(LLAMA_8B, dataclasses.replace(QLORA, nf4=False), 1, False)["base model"] > 2.5 * before["base model"]
    assert needs(LLAMA_8B, dataclasses.replace(QLORA, sampled=64), 1, False)["sampled answers"] > 0


def test_the_table_names_each_part_and_how_the_step_is_computed() -> None:
    table = plan_memory(LLAMA_8B, QLORA, PROFILES["24GB"], "the 24GB profile").table()
    for words in ("base model", "activations", "logits", "needed at the peak", "of the 24GB profile", "computed twice"):
        assert words in table


def test_a_mixture_of_experts_is_not_reckoned() -> None:
    config = LlamaConfig()
    config.n_routed_experts = 64
    assert ModelShape.of(config) is None
