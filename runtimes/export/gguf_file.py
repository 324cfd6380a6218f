"""One GGUF file for llama.cpp from a Llama-architecture model with a byte-level BPE tokenizer, such as this project's own.

Models of known families (Llama 3.1, Qwen, DeepSeek) have pre-tokenizers and rope scalings of their own. llama.cpp's converter,
``convert_hf_to_gguf.py``, knows them; this one refuses them rather than guess. GGUF: ``docs/gguf.md`` of ggml-org/ggml.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from cia.errors import InputError
from cia.progress import Progress, silent

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFWriter
    from numpy.typing import NDArray

Quantization = Literal["f16", "q8_0", "q4_0"]
"""Half precision, or 8 and 4 bits with one half-precision scale for every 32 weights (8.5 and 4.5 bits a weight)."""

QUANTIZATIONS: tuple[str, ...] = get_args(Quantization)

INSTEAD = "export it with --format merged and give that folder to llama.cpp's convert_hf_to_gguf.py"

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
DIGITS = {"type": "Digits", "individual_digits": True}

PRE_TOKENIZERS: dict[str, list[dict[str, Any]]] = {"gpt-2": [BYTE_LEVEL], "starcoder": [DIGITS, BYTE_LEVEL]}
"""What a ``tokenizer.json`` says, by llama.cpp's name for it (``llm_tokenizer_bpe`` in ``src/llama-vocab.cpp``).

The difference is small and silent: "gpt-2" would cut the blanks before a digit otherwise than they were in training.
"""

MODULES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""GGUF's names of a Llama's modules."""


def refuse_unknown(config: Any, tokenizer: Any) -> None:
    """Raise InputError when a model (its transformers configuration and tokenizer) is not one that ``write_gguf`` knows."""
    if config.architectures != ["LlamaForCausalLM"]:
        raise InputError(f"GGUF is not written here for {', '.join(config.architectures or ['no architecture'])}; {INSTEAD}")
    rope = config.rope_parameters["rope_type"]
    if rope != "default":
        raise InputError(f"GGUF is not written here for rope scaling of type {rope}; {INSTEAD}")
    if config.attention_bias or config.mlp_bias or config.hidden_act != "silu":
        raise InputError(f"GGUF is not written here for a Llama with biases or an activation other than silu; {INSTEAD}")
    _pre_tokenizer(_description(tokenizer))


def write_gguf(
    model: Any, tokenizer: Any, path: Path, quantization: Quantization, name: str, progress: Progress = silent
) -> None:
    """Write a transformers model, loaded in fp32, to ``path``. Raises InputError as ``refuse_unknown`` does.

    Norms stay in fp32. In a q4_0 file embeddings and output have 8 bits: their errors reach every token.
    """
    import numpy as np
    from gguf import GGUFWriter
    from gguf.quants import quant_shape_to_byte_shape, quantize

    refuse_unknown(model.config, tokenizer)
    writer = GGUFWriter(path, "llama")
    _add_architecture(writer, model.config, quantization, name)
    _add_tokenizer(writer, tokenizer, model.config.vocab_size)
    total = 0
    for tensor, values in _weights(model):
        kind = _kind(tensor, values, quantization)
        stored = quant_shape_to_byte_shape(values.shape, kind)
        writer.add_tensor_info(tensor, stored, np.dtype(np.uint8), math.prod(stored), kind)
        total += 1
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    # Twice over the weights, since the header comes first: so only one quantised tensor is in memory at a time.
    for number, (tensor, values) in enumerate(_weights(model)):
        progress(f"writing GGUF {quantization}", number, total)
        with _short_write_is_a_full_disk():
            writer.write_tensor_data(quantize(values, _kind(tensor, values, quantization)))
    writer.close()
    progress(f"writing GGUF {quantization}", total, total)


@contextlib.contextmanager
def _short_write_is_a_full_disk() -> Iterator[None]:
    """numpy says how many bytes were written, but not why no more."""
    try:
        yield
    except OSError as error:
        raise error if error.errno else OSError(errno.ENOSPC, str(error)) from error


def _weights(model: Any) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield GGUF's name and the values of each tensor; tied output weights are the embeddings and come once."""
    config = model.config
    for parameter, tensor in model.state_dict().items():
        module = parameter.removesuffix(".weight")
        if module == "lm_head" and config.tie_word_embeddings:
            continue
        values = tensor.detach().numpy()
        if module.startswith("model.layers."):
            _, _, layer, module = module.split(".", 3)
            if module == "self_attn.q_proj":
                values = _interleave(values, config.num_attention_heads)
            elif module == "self_attn.k_proj":
                values = _interleave(values, config.num_key_value_heads)
            yield f"blk.{layer}.{MODULES[module]}.weight", values
        else:
            yield f"{MODULES[module]}.weight", values


def _interleave(weights: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Put the rows of each head in the order that llama.cpp's rope takes for a Llama: it turns rows 2i and 2i+1 together,
    transformers rows i and i + half.
    """
    rows, columns = weights.shape
    return weights.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _kind(tensor: str, values: NDArray[np.float32], quantization: Quantization) -> GGMLQuantizationType:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    if values.ndim == 1:
        return GGMLQuantizationType.F32
    fine = quantization == "q4_0" and tensor in ("token_embd.weight", "output.weight")
    kind = GGMLQuantizationType[("q8_0" if fine else quantization).upper()]
    block, _ = GGML_QUANT_SIZES[kind]
    return kind if values.shape[-1] % block == 0 else GGMLQuantizationType.F16


def _add_architecture(writer: GGUFWriter, config: Any, quantization: Quantization, name: str) -> None:
    from gguf import LlamaFileType

    writer.add_name(name)
    writer.add_file_type(LlamaFileType[f"MOSTLY_{quantization.upper()}"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])


def _add_tokenizer(writer: GGUFWriter, tokenizer: Any, rows: int) -> None:
    """``rows`` of the embeddings; those beyond the vocabulary get names that no text holds."""
    from gguf import TokenType

    description = _description(tokenizer)
    texts = {number: text for text, number in tokenizer.get_vocab().items()}
    kinds = dict.fromkeys(texts, TokenType.NORMAL)
    for added in description["added_tokens"]:
        kinds[added["id"]] = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    writer.add_tokenizer_model("gpt2")  # llama.cpp's name for every byte-level BPE
    writer.add_tokenizer_pre(_pre_tokenizer(description))
    writer.add_token_list([texts.get(number, f"[unused {number}]") for number in range(rows)])
    writer.add_token_types([kinds.get(number, TokenType.UNUSED) for number in range(rows)])
    writer.add_token_merges([" ".join(pair) for pair in description["model"]["merges"]])
    for add, number in (
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_eos_token_id, tokenizer.eos_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
    ):
        if number is not None:
            add(number)
    ids = tokenizer("a")["input_ids"]
    writer.add_add_bos_token(ids[0] == tokenizer.bos_token_id)
    writer.add_add_eos_token(ids[-1] == tokenizer.eos_token_id)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _description(tokenizer: Any) -> dict[str, Any]:
    """Return what its ``tokenizer.json`` holds. Raises InputError for a tokenizer that has none."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise InputError(f"GGUF is not written here for a {type(tokenizer).__name__}; {INSTEAD}")
    described: dict[str, Any] = json.loads(backend.to_str())
    return described


def _pre_tokenizer(description: dict[str, Any]) -> str:
    model = description["model"]
    steps = description["pre_tokenizer"] or {}
    steps = steps.get("pretokenizers", [steps])
    plain = model["type"] == "BPE" and not model.get("byte_fallback") and not model.get("ignore_merges")
    for name, known in PRE_TOKENIZERS.items():
        if steps == known and plain and description["normalizer"] is None:
            return name
    kinds = ", ".join(str(step.get("type")) for step in steps)
    raise InputError(f"GGUF is not written here for a tokenizer of kind {model['type']} with {kinds}; {INSTEAD}")
