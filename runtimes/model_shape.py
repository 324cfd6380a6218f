"""The sizes of a model, read from its ``config.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A decoder of the Llama family: grouped-query attention and a gated feed-forward part, without biases."""

    vocabulary: int
    hidden: int
    layers: int
    inner: int
    heads: int
    key_value_heads: int
    head: int
    tied: bool

    @classmethod
    def of(cls, config: Any) -> ModelShape | None:
        """Return the shape that a transformers configuration describes, None when the model is of another build."""
        if (
            getattr(config, "n_routed_experts", None)
            or getattr(config, "num_experts", None)
            or getattr(config, "kv_lora_rank", None)
        ):
            return None
        try:
            return cls(
                vocabulary=config.vocab_size,
                hidden=config.hidden_size,
                layers=config.num_hidden_layers,
                inner=config.intermediate_size,
                heads=config.num_attention_heads,
                key_value_heads=getattr(config, "num_key_value_heads", None) or config.num_attention_heads,
                head=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
                tied=bool(config.tie_word_embeddings),
            )
        except AttributeError:
            return None

    def modules(self) -> dict[str, tuple[int, int]]:
        """Return the inputs and outputs of each linear layer in a block."""
        queries, keys = self.heads * self.head, self.key_value_heads * self.head
        return {
            "q_proj": (self.hidden, queries),
            "k_proj": (self.hidden, keys),
            "v_proj": (self.hidden, keys),
            "o_proj": (queries, self.hidden),
            "gate_proj": (self.hidden, self.inner),
            "up_proj": (self.hidden, self.inner),
            "down_proj": (self.inner, self.hidden),
        }

    @property
    def linear_parameters(self) -> int:
        """Parameters of the layers that are quantised and adapted."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.modules().values())

    @property
    def other_parameters(self) -> int:
        """Parameters of the embeddings, the head and the norms."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2) + (2 * self.layers + 1) * self.hidden

    def lora_parameters(self, rank: int, target_modules: Sequence[str]) -> int:
        """Return how many parameters an adapter of ``rank`` on ``target_modules`` has."""
        sizes = self.modules()
        return self.layers * rank * sum(sum(sizes[name]) for name in target_modules if name in sizes)
