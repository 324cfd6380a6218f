"""Trains the base model on groups: a schedule in tokens, and a state from which a killed run goes on to the same weights."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cia.durable_files import replace_bytes
from runtimes.base_model.recipe.encoding import EncodedGroup
from runtimes.processor import native_bfloat16

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM

POOL = 512
"""Groups that are sorted by length together, so that a batch holds little padding."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """``tokens`` are all that the run sees, padding included. The rate rises over ``warm_up`` of them, and falls linearly to
    nothing over the last ``decay``. Shares of the loss: the choice among the cards and the abstention, and all tokens of the
    answer among the whole vocabulary.
    """

    tokens: int = 2_400_000
    batch_tokens: int = 4_000
    rate: float = 6e-4
    warm_up: float = 0.02
    decay: float = 0.7
    # Adam moves every row of the embeddings by its own size in a few hundred steps at the full rate, and what is counted is lost.
    embedding_share: float = 0.08
    weight_decay: float = 0.02
    answer_weight: float = 0.2
    abstention_weight: float = 2.0
    checkpoint_tokens: int = 200_000
    seed: int = 1


@dataclass(slots=True)
class Progress:
    """Where a run is. ``curve`` has an entry for each checkpoint: tokens, seconds, mean losses since the last one, and scores."""

    step: int = 0
    tokens: int = 0
    questions: int = 0
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)


def train(
    model: LlamaForCausalLM,
    groups: Sequence[EncodedGroup],
    choices: Sequence[int],
    schedule: Schedule,
    state: Path,
    look: Callable[[LlamaForCausalLM], dict[str, float]],
    report: Callable[[str], None] = print,
) -> Progress:
    """Train ``model`` in place until the schedule's tokens are seen, going on from ``state`` when that file is there.

    ``choices`` are the first tokens of all that may be said, the abstention first. ``look`` scores the model at each checkpoint.
    """
    import torch

    optimiser = _optimiser(model, schedule)
    done = _restore(state, model, optimiser)
    batches = _batches(groups, schedule, done.step)
    model.train()
    losses: list[tuple[float, float, float]] = []
    while done.tokens < schedule.tokens:
        began = time.perf_counter()
        share = _rate_share(done.tokens / schedule.tokens, schedule)
        for parameters in optimiser.param_groups:
            parameters["lr"] = parameters["peak"] * share
        batch = next(batches)
        loss, seen, parts = _loss(model, batch, choices, schedule)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        before = done.tokens // schedule.checkpoint_tokens
        done.step, done.tokens, done.seconds = done.step + 1, done.tokens + seen, done.seconds + time.perf_counter() - began
        done.questions += sum(len(group.questions) for group in batch)
        losses.append(parts)
        if done.tokens // schedule.checkpoint_tokens > before or done.tokens >= schedule.tokens:
            choice, answer, right = np.mean(losses, axis=0).tolist()
            figures = {"tokens": done.tokens, "choice": choice, "answer": answer, "right": right, "seconds": done.seconds}
            done.curve.append(figures | look(model))
            losses.clear()
            report(json.dumps({name: round(value, 3) for name, value in done.curve[-1].items()}))
            _save(state, model, optimiser, done)
    model.eval()
    return done


def _batches(groups: Sequence[EncodedGroup], schedule: Schedule, start: int) -> Iterator[list[EncodedGroup]]:
    """Yield batches of about equal size from the one numbered ``start`` on; every group once before any comes again."""
    lengths = np.array([group.length for group in groups])
    size = max(1, round(schedule.batch_tokens / float(lengths.mean())))
    random_ = np.random.default_rng(schedule.seed)
    number = 0
    while True:
        order = random_.permutation(len(groups))
        for pool in np.array_split(order, max(1, len(order) // POOL)):
            by_length = pool[np.argsort(lengths[pool], kind="stable")]
            batches = [by_length[at : at + size] for at in range(0, len(by_length), size)]
            for batch in random_.permutation(len(batches)):
                if number >= start:
                    yield [groups[at] for at in batches[batch]]
                number += 1


def _loss(
    model: LlamaForCausalLM, batch: Sequence[EncodedGroup], choices: Sequence[int], schedule: Schedule
) -> tuple[torch.Tensor, int, tuple[float, float, float]]:
    """Return the loss, the tokens seen, and the mean losses of choice and answer with the share of right choices."""
    import torch
    from torch.nn import functional

    laid = _lay_out(batch)
    with torch.autocast("cpu", torch.bfloat16, enabled=native_bfloat16()):
        hidden = model.model(
            input_ids=laid.inputs, position_ids=laid.positions, attention_mask=laid.mask[:, None], use_cache=False
        ).last_hidden_state
        logits = model.lm_head(hidden[laid.rows, laid.columns]).float()
    answer = functional.cross_entropy(logits, laid.targets)
    among = logits[laid.first][:, torch.tensor(choices)]
    right = laid.right
    lost = among.logsumexp(1) - among.masked_fill(~right, -torch.inf).logsumexp(1)
    weights = 1 + (schedule.abstention_weight - 1) * right[:, 0]
    choice = (weights * lost).sum() / weights.sum()
    hits = right.gather(1, among.argmax(1, keepdim=True)).float().mean()
    loss = choice + schedule.answer_weight * answer
    return loss, laid.inputs.numel(), (choice.item(), answer.item(), hits.item())


@dataclass(frozen=True, slots=True)
class _LaidOut:
    """A batch as tensors [groups, length]. ``rows`` and ``columns`` are the places before each token of an answer, ``targets``
    those tokens, ``first`` whether it is an answer's first; ``right`` [questions, choices] what may be said, abstention first.
    """

    inputs: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    targets: torch.Tensor
    first: torch.Tensor
    right: torch.Tensor


def _lay_out(batch: Sequence[EncodedGroup]) -> _LaidOut:
    """Put the cards of each group and its questions into one row; a question sees the cards and itself, not the others."""
    import torch

    from runtimes.base_model.recipe.groups import CARDS

    length = max(group.length for group in batch)
    inputs = np.zeros((len(batch), length), dtype=np.int64)
    positions = np.zeros_like(inputs)
    part = np.full_like(inputs, -1)  # 0: the cards, n: the nth question, -1: padding
    places: list[tuple[int, int, int, bool]] = []
    right: list[list[bool]] = []
    for row, group in enumerate(batch):
        at = cards = len(group.cards)
        inputs[row, :at], positions[row, :at], part[row, :at] = group.cards, np.arange(at), 0
        for number, question in enumerate(group.questions, start=1):
            end = at + len(question.ids)
            inputs[row, at:end], part[row, at:end] = question.ids, number
            positions[row, at:end] = np.arange(cards, cards + end - at)
            answer = range(question.answer, len(question.ids))
            places += [(row, at + place - 1, int(question.ids[place]), place == question.answer) for place in answer]
            right.append([choice in question.gold if question.gold else choice == 0 for choice in range(CARDS + 1)])
            at = end
    parts = torch.from_numpy(part)
    sees = (parts[:, :, None] == parts[:, None, :]) | (parts == 0)[:, None, :]
    rows, columns, targets, first = (torch.tensor(values) for values in zip(*places, strict=True))
    return _LaidOut(
        torch.from_numpy(inputs),
        torch.from_numpy(positions),
        sees & torch.ones(length, length, dtype=torch.bool).tril(),
        rows,
        columns,
        targets,
        first,
        torch.tensor(right),
    )


def _optimiser(model: LlamaForCausalLM, schedule: Schedule) -> torch.optim.Optimizer:
    import torch

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim < 2 or "embed" in name]
    parameters = [
        {"params": matrices, "weight_decay": schedule.weight_decay, "peak": schedule.rate},
        {"params": others, "weight_decay": 0.0, "peak": schedule.rate * schedule.embedding_share},
    ]
    return torch.optim.AdamW(parameters, lr=schedule.rate, betas=(0.9, 0.95), fused=True)


def _rate_share(done: float, schedule: Schedule) -> float:
    rising = (done + 1e-3) / schedule.warm_up
    falling = (1 - done) / schedule.decay
    return max(0.0, min(1.0, rising, falling))


def _save(state: Path, model: LlamaForCausalLM, optimiser: torch.optim.Optimizer, done: Progress) -> None:
    import torch

    buffer = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "done": asdict(done)}, buffer)
    replace_bytes(state, buffer.getvalue())


def _restore(state: Path, model: LlamaForCausalLM, optimiser: torch.optim.Optimizer) -> Progress:
    import torch

    if not state.exists():
        return Progress()
    saved = torch.load(state, weights_only=True)
    model.load_state_dict(saved["model"])
    optimiser.load_state_dict(saved["optimiser"])
    return Progress(**saved["done"])
