"""Scores a model on single questions about repositories that it has not seen, five cards each, beside BM25."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cia.dataset.from_code import read_code_base
from cia.proportions import Share
from cia.settings import Settings
from runtimes.base_model.recipe.encoding import EncodedGroup, choice_tokens, encode
from runtimes.base_model.recipe.groups import Group, groups_of
from runtimes.base_model.recipe.packages import bring
from runtimes.processor import native_bfloat16

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

SEED = 1
BATCH = 16


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares of right choices. ``answered``: of the questions that a card answers; ``forced``: of the same, when it may not
    abstain; ``bm25``: of the same, when BM25 chooses; ``abstained``: of the questions that no card answers; ``kinds``: by kind.
    """

    answered: Share
    forced: Share
    bm25: Share
    abstained: Share
    kinds: dict[str, Share]


def single_questions(pinned: str, settings: Settings, most: int) -> list[Group]:
    """Return at most ``most`` questions about a package, in an order that stays,, each with five cards of its own."""
    code = read_code_base(bring(pinned, settings), settings.chunking)
    return list(groups_of(code, most, SEED, most_questions=1))


def score(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, groups: Sequence[Group]) -> Scores:
    """Return how ``model`` does on the first question of each group."""
    encoded = list(encode(groups, tokenizer))
    order = sorted(range(len(groups)), key=lambda at: encoded[at].length)
    right: defaultdict[str, list[bool]] = defaultdict(list)
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        logits = _choice_logits(model, [encoded[at] for at in part], choice_tokens(tokenizer))
        for at, among in zip(part, logits, strict=True):
            question = groups[at].questions[0]
            hit = int(among.argmax()) in (question.gold or (0,))
            right[question.kind].append(hit)
            right["answered" if question.gold else "abstained"].append(hit)
            if question.gold:
                right["forced"].append(int(among[1:].argmax()) + 1 in question.gold)
                right["bm25"].append(groups[at].bm25 in question.gold)
    shares = {name: Share(sum(hits), len(hits)) for name, hits in sorted(right.items())}
    overall = {name: shares.pop(name, Share(0, 0)) for name in ("answered", "forced", "bm25", "abstained")}
    return Scores(**overall, kinds=shares)


def _choice_logits(model: LlamaForCausalLM, groups: Sequence[EncodedGroup], choices: Sequence[int]) -> torch.Tensor:
    """Return the logits [groups, choices] of what each group's first question is answered with."""
    import torch

    prompts = [np.concatenate([group.cards, group.questions[0].ids[: group.questions[0].answer]]) for group in groups]
    inputs = np.zeros((len(prompts), max(map(len, prompts))), dtype=np.int64)
    for row, prompt in enumerate(prompts):
        inputs[row, : len(prompt)] = prompt
    training = model.training
    model.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=native_bfloat16()):
        hidden = model.model(input_ids=torch.from_numpy(inputs), use_cache=False).last_hidden_state
        last = hidden[range(len(prompts)), [len(prompt) - 1 for prompt in prompts]]
        logits = model.lm_head(last).float()
    model.train(training)
    return logits[:, torch.tensor(choices)]
