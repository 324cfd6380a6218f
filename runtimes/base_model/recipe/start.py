"""Where training starts: embeddings that know which words go together, and heads that already look words up.

A few million tokens are too few for a transformer to discover matching by itself (measured: chance after 7M tokens). Induction
heads (Olsson et al. 2022) appear late and at once; so their like is built in, as a beginning that training refines:

- Token embeddings come from co-occurrence counts of the training texts (positive pointwise mutual information and a truncated
  SVD; Levy & Goldberg 2014) over *stems*: ``parse``, `` parsed`` and ``Parse`` begin as nearly one vector. A few dimensions are
  set aside: how rare a token is, a constant, and who is a mark (``[1]`` to ``[5]``, the question, the assistant's turn).
- Layer 0: one head lets every token look at the last mark before it and note it (its *section*); two more add the tokens one
  and two before it, each turned into directions of its own, so that a token knows the name that it ends.
- Layer 1: one head looks at the tokens like this one, one at the ends of phrases like this one: the query and key projections
  are one random projection, onto rotary dimensions that hardly rotate (such a start is called mimetic by Trockman & Kolter
  2023). Both note the sections of what they found.
- Layer 2, one head: the assistant's turn looks at the question's tokens, the rare ones first, and reads which sections they met;
  that is written where the embeddings of ``[1]`` to ``[5]`` read it, because input and output embeddings are one.

Layers above pass everything on at first. Everything else begins at random, and every weight is trained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cia.retrieval.tokens import stem
from runtimes.base_model.recipe.groups import CARDS

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

HEAD = 64
"""Width of a head: vLLM's attention kernels for the CPU take multiples of 32."""

ROTARY_BASE = 1e10
"""High, so that most rotary dimensions hardly turn over a prompt, and words match at any distance."""

CONTEXT_TOKENS = 1024
LOOK_UP_LAYERS = 3

WINDOW = 6
"""Tokens on either side that count as together, weighted by one over their distance."""
CONTEXT_EXPONENT = 0.75
"""Context distribution smoothing (Levy, Goldberg & Dagan 2015)."""

OF_STEM, COUNTED, OWN = 0.6, 0.7, 0.25
"""Shares of a token's vector: random but common to its stem, counted, and random of its own."""
SEMANTIC = 0.6
MARK, CONSTANT, RARITY, NOTE = 0.4, 0.3, 0.3, 0.5
"""Sizes of what is written in the dimensions that are set aside."""
USUAL_RARITY = 0.6
AFTER_NORM = 0.85
"""How much smaller marks are than ``plain`` below says, since they carry more than other tokens."""

MARKS = CARDS + 2
SET_ASIDE = 3 + 2 * MARKS + CARDS + 2

MARK_PHASE, MARK_RATE = 0.3, 0.006
"""The rotary dimension by which the last mark is told from earlier ones turns this fast; farther marks are then out of phase."""
STEP_PAIRS = 3
"""Fast rotary dimensions, which tell one step from two."""
FARTHEST, STILL = 400, 0.8
"""A dimension is still when it turns by fewer radians than this over as many tokens as lie between a question and its cards."""


@dataclass(frozen=True, slots=True)
class Strength:
    """Attention scores of a full match, and sizes of what is noted. Found by trying, on repositories that are not scored."""

    word: float = 12.0
    phrase: float = 20.0
    before: float = 0.3
    word_vote: float = 0.5
    phrase_vote: float = 1.0
    rarity: float = 6.0
    question: float = 10.0
    vote: float = 3.0
    mark: float = 40.0
    step: float = 50.0
    word_itself: float = 6.0
    phrase_itself: float = 10.0
    met: float = 3.0


class Dimensions:
    """Which of the hidden dimensions mean what: the first ``semantic`` what a token is, the others are set aside."""

    def __init__(self, hidden: int) -> None:
        self.semantic = hidden - SET_ASIDE
        aside = iter(range(self.semantic, hidden))
        self.rarity, self.constant, self.flag = next(aside), next(aside), next(aside)
        self.mark = [next(aside) for _ in range(MARKS)]
        self.section = [next(aside) for _ in range(MARKS)]
        self.met = [next(aside) for _ in range(CARDS)]


def starting_model(
    tokenizer: PreTrainedTokenizerFast, ids: NDArray[np.uint16], hidden: int, inner: int, layers: int, seed: int
) -> LlamaForCausalLM:
    """Return the model that training starts from; ``ids`` are the training texts one after another.

    ``hidden`` is the width and ``inner`` that of the feed-forward layers; the heads are ``hidden / HEAD``.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=hidden,
                intermediate_size=inner,
                num_hidden_layers=layers,
                num_attention_heads=hidden // HEAD,
                num_key_value_heads=hidden // HEAD,
                head_dim=HEAD,
                max_position_embeddings=CONTEXT_TOKENS,
                tie_word_embeddings=True,
                rope_parameters={"rope_type": "default", "rope_theta": ROTARY_BASE},
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
                attn_implementation="sdpa",
            )
        )
        for number, layer in enumerate(model.model.layers):
            share = (2 * layers) ** -0.5 if number < LOOK_UP_LAYERS else 0.0
            layer.self_attn.o_proj.weight.mul_(share)
            layer.mlp.down_proj.weight.mul_(share)
        model.model.embed_tokens.weight.copy_(_embeddings(tokenizer, ids, hidden, seed))
        _build_look_up(model, Dimensions(hidden), seed, Strength())
    return model


def mark_tokens(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Return ``[1]`` to ``[5]``, the token that begins the question, and the one that begins the assistant's turn."""
    question = tokenizer("\nQuestion:", add_special_tokens=False)["input_ids"][1]
    numbers = tokenizer.convert_tokens_to_ids([f"[{number}]" for number in range(1, CARDS + 1)])
    return [*numbers, question, tokenizer.convert_tokens_to_ids("<|assistant|>")]


def stem_classes(tokenizer: PreTrainedTokenizerFast) -> NDArray[np.int64]:
    """Return for each token the number of its stem."""
    numbers: dict[str, int] = {}
    classes = np.zeros(len(tokenizer), dtype=np.int64)
    special = set(tokenizer.all_special_tokens)
    for token, at in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]):
        text = token if token in special else tokenizer.convert_tokens_to_string([token])
        word = text.strip() or text
        key = stem(word.lower()) if word.isalpha() and len(word) > 1 else f"={word}"
        classes[at] = numbers.setdefault(key, len(numbers))
    return classes


def _embeddings(tokenizer: PreTrainedTokenizerFast, ids: NDArray[np.uint16], width: int, seed: int) -> torch.Tensor:
    import torch

    at = Dimensions(width)
    classes = stem_classes(tokenizer)
    stream = classes[ids.astype(np.int64)]
    made = torch.zeros(len(tokenizer), width)
    made[:, : at.semantic] = _semantic(classes, stream, at.semantic, seed)
    counts = torch.from_numpy(np.bincount(stream, minlength=int(classes.max()) + 1)).float()
    rarity = -torch.log((counts + 1) / counts.sum())
    rarity = (rarity - rarity.min()) / (rarity.max() - rarity.min())
    made[:, at.rarity] = RARITY * rarity[classes]
    made[:, at.constant] = CONSTANT
    for dimension, token in zip(at.mark, mark_tokens(tokenizer), strict=True):
        made[token, at.flag] = MARK
        made[token, dimension] = MARK
    return made


def _semantic(classes: NDArray[np.int64], stream: NDArray[np.int64], width: int, seed: int) -> torch.Tensor:
    """Return a vector of length ``SEMANTIC`` for each token: tokens of one stem, and of stems that stand together, are near."""
    import torch

    size = int(classes.max()) + 1
    torch.manual_seed(seed)
    u, s, _ = torch.svd_lowrank(_mutual_information(stream, size), q=min(size, width + 16), niter=2)
    counted = u[:, 1 : width + 1] * s[1 : width + 1].sqrt()  # the first direction is frequency
    counted = torch.nn.functional.pad(counted, (0, width - counted.shape[1]))
    generator = torch.Generator().manual_seed(seed)
    return SEMANTIC * _unit(
        COUNTED * _unit(counted)[classes]
        + OF_STEM * _unit(torch.randn(size, width, generator=generator))[classes]
        + OWN * _unit(torch.randn(len(classes), width, generator=generator))
    )


def _mutual_information(stream: NDArray[np.int64], size: int) -> torch.Tensor:
    """Return how much more often stems stand within a window than chance would have it (log, positive part) [size, size]."""
    import torch

    pairs = torch.zeros(size * size)
    for distance in range(1, WINDOW + 1):
        for part in np.array_split(np.arange(len(stream) - distance), 1 + len(stream) // 4_000_000):
            codes = torch.from_numpy(stream[part] * size + stream[part + distance])
            pairs += torch.bincount(codes, minlength=size * size).float() / distance
    matrix = pairs.view(size, size)
    matrix = matrix + matrix.T
    rows = matrix.sum(1, keepdim=True) + 1.0
    contexts = rows.T**CONTEXT_EXPONENT
    return torch.clamp(torch.log((matrix + 1e-9) * contexts.sum() / (rows * contexts)), min=0.0)


def _unit(rows: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.nn.functional.normalize(rows, dim=1)


def _build_look_up(model: LlamaForCausalLM, at: Dimensions, seed: int, strength: Strength) -> None:
    import torch

    layers = [layer.self_attn for layer in model.model.layers]
    root = math.sqrt(model.config.hidden_size)
    # RMSNorm enlarges a token's vector by this, before and after notes are added.
    plain = root / math.hypot(SEMANTIC, CONSTANT, RARITY * USUAL_RARITY)
    noted = root / math.hypot(SEMANTIC, CONSTANT, RARITY * USUAL_RARITY, NOTE, strength.before, strength.before)
    rates = ROTARY_BASE ** (-torch.arange(HEAD // 2) / (HEAD // 2))
    generator = torch.Generator().manual_seed(seed + 1)
    turned = torch.linalg.qr(torch.randn(at.semantic, at.semantic, generator=generator)).Q.T
    _note_the_last_mark(layers[0], at, plain, rates, strength)
    _add_the_tokens_before(layers[0], at, plain, rates, turned, strength)
    still = (rates * FARTHEST < STILL).nonzero().flatten().tolist()
    quiet = still.pop()
    _match(layers[1], at, noted, turned, still, quiet, generator, strength)
    _vote(layers[2], at, noted, quiet, strength)


def _note_the_last_mark(attention: Any, at: Dimensions, plain: float, rates: torch.Tensor, strength: Strength) -> None:
    pair = int((rates.log() - math.log(MARK_RATE)).abs().argmin())
    q, k, v, o = _emptied_head(attention, 0)
    q[pair, at.constant] = math.cos(MARK_PHASE) / (CONSTANT * plain)
    q[pair + HEAD // 2, at.constant] = math.sin(MARK_PHASE) / (CONSTANT * plain)
    k[pair, at.flag] = _score(strength.mark) / (MARK * plain * AFTER_NORM)
    for number in range(MARKS):
        v[number, at.mark[number]] = 1 / (MARK * plain * AFTER_NORM)
        o[at.section[number], number] = NOTE


def _add_the_tokens_before(
    attention: Any, at: Dimensions, plain: float, rates: torch.Tensor, turned: torch.Tensor, strength: Strength
) -> None:
    for steps in (1, 2):
        q, k, v, o = _emptied_head(attention, steps)
        for pair in range(STEP_PAIRS):
            angle = -steps * float(rates[pair])
            q[pair, at.constant] = math.cos(angle) / (CONSTANT * plain)
            q[pair + HEAD // 2, at.constant] = math.sin(angle) / (CONSTANT * plain)
            k[pair, at.constant] = _score(strength.step) / STEP_PAIRS / (CONSTANT * plain)
        kept = turned[(steps - 1) * HEAD : steps * HEAD]
        v[:, : at.semantic] = kept * math.sqrt(at.semantic / HEAD) / (SEMANTIC * plain)
        o[: at.semantic] = strength.before * _directions(turned)[steps].T


def _match(
    attention: Any,
    at: Dimensions,
    noted: float,
    turned: torch.Tensor,
    still: list[int],
    quiet: int,
    generator: torch.Generator,
    strength: Strength,
) -> None:
    """Let a token find those like it, and a name's end the ends of names like it, and note their sections."""
    import torch

    rotary = torch.tensor(still + [number + HEAD // 2 for number in still])
    count, third = len(rotary), len(rotary) // 3
    own, one_before, two_before = _directions(turned)
    word = [(own, count, SEMANTIC)]
    phrase = [
        (own, count - 2 * third, SEMANTIC),
        (one_before, third, strength.before),
        (two_before, third, strength.before),
    ]
    heads = ((word, strength.word, strength.word_itself, strength.word_vote),
             (phrase, strength.phrase, strength.phrase_itself, strength.phrase_vote))  # fmt: skip
    for head, (parts, full_match, itself, size) in enumerate(heads):
        q, k, v, o = _emptied_head(attention, head)
        rows = []
        for directions, number, norm in parts:
            mixed = torch.linalg.qr(torch.randn(len(directions), number, generator=generator)).Q.T @ directions
            square = (norm * noted) ** 2 * number / (at.semantic if directions is own else HEAD)
            rows.append(mixed * math.sqrt(_score(full_match) / len(parts) / square))
        q[rotary, : at.semantic] = k[rotary, : at.semantic] = torch.cat(rows)
        # A token of the question is like itself: that must count for less than another like it, and for more than none.
        q[quiet, at.constant] = 1 / (CONSTANT * noted)
        k[quiet, at.section[CARDS]] = -_score(itself) / (NOTE * noted)
        for number in range(CARDS):
            v[number, at.section[number]] = 1 / (NOTE * noted)
            o[at.met[number], number] = size


def _vote(attention: Any, at: Dimensions, noted: float, quiet: int, strength: Strength) -> None:
    q, k, v, o = _emptied_head(attention, -1)
    q[quiet, at.section[CARDS + 1]] = 1 / (NOTE * noted)
    k[quiet, at.section[CARDS]] = _score(strength.question) / (NOTE * noted)
    k[quiet, at.rarity] = _score(strength.rarity) / (RARITY * noted)
    for number in range(CARDS):
        k[quiet, at.met[number]] = _score(strength.met) / (NOTE * noted)
        v[number, at.met[number]] = 1 / (NOTE * noted)
        o[at.mark[number], number] = strength.vote


def _directions(turned: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the directions of a token's own meaning, and those that the tokens one and two before it are turned into."""
    return turned[: -2 * HEAD], turned[-2 * HEAD : -HEAD], turned[-HEAD:]


def _score(score: float) -> float:
    """Attention divides by the root of the head's width."""
    return score * math.sqrt(HEAD)


def _emptied_head(attention: Any, head: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return views of one head's q, k, v (rows) and o (columns), all zero."""
    head %= attention.q_proj.weight.shape[0] // HEAD
    rows = slice(head * HEAD, (head + 1) * HEAD)
    views = (
        attention.q_proj.weight[rows],
        attention.k_proj.weight[rows],
        attention.v_proj.weight[rows],
        attention.o_proj.weight[:, rows],
    )
    for view in views:
        view.zero_()
    return views
