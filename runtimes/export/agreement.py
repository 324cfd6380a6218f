"""Whether a GGUF file is the model that it was written from: cut into the same tokens, saying the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cia.errors import OperationError
from runtimes.export.gguf_file import Quantization
from runtimes.export.llama_cpp import LlamaCpp
from runtimes.export.merging import PROBE, logits

LARGEST_DIFFERENCE: dict[Quantization, float] = {"f16": 0.01, "q8_0": 0.1, "q4_0": 0.6}
"""Mean difference of a token's log-probability, in nats. Below 16 bits llama.cpp rounds activations to 8 bits too."""

ODD_TEXTS = (
    PROBE,
    "",
    " ",
    "a  b   c    d",
    "x = 1  # 12  345\n\n\ty\t= 0x1F\r\n   \n",
    "trailing blanks   \n   leading blanks",
    "don't we'll I'M they'RE",
    "naïve crêpe, Ünïcödé, ½ ² Ⅷ ٣ 五, 日本語のテキスト, Привет, العربية, हिन्दी",
    "👩‍👩‍👧 🇫🇷 e\u0301 \u200b\u00a0\u3000 \ufeff end",
    "def f(*a, **k) -> None: ...  # ]{}[;=>!==",
    "<|user|>\nq<|end|><|assistant|>\n<|no such token|>",
    "\x00\x07\x1c\x85",
)
"""Where tokenizers part: digits, runs of blanks, line ends, letters and blanks outside ASCII, emoji, control characters."""


def check_agreement(path: Path, model: Any, tokenizer: Any, quantization: Quantization) -> float:
    """Return how far llama.cpp with the file at ``path`` is from the transformers model (fp32): nats a token on the probe.

    Raises OperationError when that is more than LARGEST_DIFFERENCE, or when one of ODD_TEXTS becomes other tokens.
    """
    import torch

    ids = tokenizer(PROBE)["input_ids"]
    llama = LlamaCpp(path, context_tokens=len(ids) + 1)
    try:
        for text in ODD_TEXTS:
            if llama.tokenize(text) != tokenizer(text)["input_ids"]:
                raise OperationError(f"llama.cpp cuts {text[:40]!r} into other tokens than transformers; the file is no use")
        found = torch.tensor(llama.log_probabilities(ids[:1], ids[1:]))
    finally:
        llama.close()
    known = torch.tensor(ids)
    expected = logits(model, known)[:-1].log_softmax(-1).gather(-1, known[1:, None])[:, 0]
    difference = float((found - expected).abs().mean())
    limit = LARGEST_DIFFERENCE[quantization]
    if not difference <= limit:
        raise OperationError(
            f"llama.cpp with the {quantization} file is {difference:.2g} nats a token from transformers ({limit} are allowed); "
            "the file is no use"
        )
    return difference
