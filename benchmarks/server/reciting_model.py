"""A model that always says the same, in full: what it costs is real, what it says is known.

A small Llama, about the size of the shipped base model, with random embeddings and without training. The outputs of its
attention and of its feed-forward layers are zero, so that the token before alone decides the next one; all of it is computed
as ever, at the same cost. Its output layer leads from each token of a recital to the next: some words, a citation of the first
excerpt, then different words to the end. Such an answer makes sense, cites, and is as long as it may be: the server asks once,
shows all of it, and repeats nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cia.errors import OperationError
from cia.settings import Settings
from runtimes.quiet import quiet_libraries
from runtimes.tokenizer import train_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

SEED = 7
VOCABULARY, HIDDEN, LAYERS, HEAD_DIMENSION = 4096, 256, 6, 64
WORDS_BEFORE_CITATION = 8


def make_reciting_model(texts: Sequence[str], folder: Path, settings: Settings) -> Path:
    """Write the model and a tokenizer made from ``texts`` into ``folder``, and return it."""
    import torch

    quiet_libraries()
    tokenizer = train_tokenizer(texts, VOCABULARY, settings.model.context_tokens)
    recital = recital_of(tokenizer, settings.model.answer_tokens)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(SEED)
        model = _llama(tokenizer, settings)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embeddings = torch.randn_like(model.model.embed_tokens.weight)
        model.model.embed_tokens.weight.copy_(embeddings)
        model.lm_head.weight.copy_(_leading_on(embeddings, recital))
    model.bfloat16().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def recital_of(tokenizer: PreTrainedTokenizerFast, length: int) -> list[int]:
    """Return the tokens: the last of every prompt, then ``length`` different ones that are said."""
    (before,) = tokenizer("\n", add_special_tokens=False)["input_ids"]
    citation = tokenizer(" [1]", add_special_tokens=False)["input_ids"]
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    words = [number for word, number in vocabulary if word.startswith("Ġ") and word[1:].isalpha() and len(word) > 3]
    said = [*words[:WORDS_BEFORE_CITATION], *citation, *words[WORDS_BEFORE_CITATION:]][:length]
    if len(said) < length or len({before, *said}) <= length:
        raise OperationError(f"the tokenizer has too few words for a recital of {length} tokens; give it more text")
    return [before, *said]


def _leading_on(embeddings: torch.Tensor, recital: list[int]) -> torch.Tensor:
    """Return an output layer [vocabulary, hidden] that answers the embedding of each token with the one after it."""
    import torch

    output = torch.zeros_like(embeddings)
    for token, following in zip(recital, [*recital[1:], recital[1]], strict=True):
        output[following] += embeddings[token]
    return output


def _llama(tokenizer: PreTrainedTokenizerFast, settings: Settings) -> LlamaForCausalLM:
    from transformers import LlamaConfig, LlamaForCausalLM

    heads = HIDDEN // HEAD_DIMENSION
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=HIDDEN * 5 // 2,
        num_hidden_layers=LAYERS,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 2),
        head_dim=HEAD_DIMENSION,
        max_position_embeddings=settings.model.context_tokens,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)
