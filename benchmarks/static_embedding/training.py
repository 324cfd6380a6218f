"""Bring the sum of a sentence's words to the sum of its code's words.

A word starts as MiniLM's vector of it; then contrastive learning (InfoNCE, van den Oord et al., 2018) with the other pairs of
the batch as negatives, neighbours in a repository among them. Two sentences about one definition are not held against each other.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from benchmarks.static_embedding.pair import Pair
from cia.retrieval.document import name_terms
from cia.retrieval.tokens import STOP_WORDS, stem, term_ids, terms, words

RARE = 8
"""A word in fewer pairs than this gets no vector of its own training; common English words keep MiniLM's."""
FIELDS = ("body", "name", "scope", "path", "signature")
DIMENSIONS = 256
BATCH = 1024
NEIGHBOURS = 128
"""Pairs of one repository that stay together in a batch: the negatives that a search in one repository meets."""
DROPPED_WORDS = 0.25
LENGTHS = (0.6, 0.25, 0.15)
"""How often a pair is asked for by its first sentence, its first paragraph, all that was said."""
Bag = tuple[np.ndarray, np.ndarray]


def vocabulary_of(pairs: Sequence[Pair], model_path: Path) -> tuple[dict[str, str], np.ndarray]:
    """Return each word's stem with its commonest form, and their IDF: words of the pairs that are not rare, and MiniLM's own."""
    forms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    seen: Counter[str] = Counter()
    for pair in pairs:
        text = f"{pair.path} {pair.scope} {pair.name}\n{pair.code}\n{pair.sentences[-1]}"
        found = {part.lower() for word in set(re.findall(r"\w+", text)) for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", word)}
        for part in found - STOP_WORDS:
            forms[stem(part)][part] += 1
        seen.update({stem(part) for part in found - STOP_WORDS})
    kept = {term for term, count in seen.items() if count >= RARE}
    for word in (model_path / "vocab.txt").read_text(encoding="utf-8").split():
        if word.isascii() and word.isalpha() and len(word) >= 3 and word not in STOP_WORDS:
            forms[stem(word)][word] += 1
            kept.add(stem(word))
    vocabulary = {term: forms[term].most_common(1)[0][0] for term in sorted(kept)}
    return vocabulary, np.log((len(pairs) + 1) / (np.array([seen[term] for term in vocabulary], np.float32) + 1))


class Table(torch.nn.Module):
    """Word vectors: a projection of MiniLM's, a correction for each word, and weights by word, side and field."""

    def __init__(self, start: torch.Tensor, idf: torch.Tensor) -> None:
        super().__init__()
        self.start = start - start.mean(0)
        directions = torch.linalg.svd(self.start, full_matrices=False).Vh
        self.projection = torch.nn.Parameter(directions[:DIMENSIONS].T.contiguous())
        self.correction = torch.nn.Parameter(torch.zeros(len(start), DIMENSIONS))
        self.weight = torch.nn.Parameter((idf.clamp(0.5, 9.0) / 5.0).log())
        self.question_weight = torch.nn.Parameter(torch.zeros(len(start)))
        self.field_weight = torch.nn.Parameter(torch.tensor([1.0, 2.0, 0.5, 0.5, 0.5]).log())
        self.scale = torch.nn.Parameter(torch.tensor(20.0).log())

    def vectors(self, rows: torch.Tensor) -> torch.Tensor:
        corrected = self.start[rows] @ self.projection + functional.embedding(rows, self.correction)
        return corrected * self.weight[rows].exp()[:, None]

    def forward(self, questions: Sequence[Bag], codes: Sequence[tuple[Bag, np.ndarray]], same: torch.Tensor) -> torch.Tensor:
        """Return the loss of one batch. ``same`` marks pairs of different sentences about one definition."""
        rows = torch.unique(torch.from_numpy(np.concatenate([bag[0] for bag in questions] + [bag[0] for bag, _ in codes])))
        vectors = self.vectors(rows)
        asked = self._sum(questions, rows, vectors, self.question_weight.exp())
        fields = torch.from_numpy(np.concatenate([field for _, field in codes]))
        kept = (torch.rand(len(fields)) > DROPPED_WORDS) * self.field_weight.exp()[fields]
        found = self._sum([bag for bag, _ in codes], rows, vectors, None, kept)
        scores = (asked @ found.T * self.scale.exp()).masked_fill(same, -1e4)
        right = torch.arange(len(questions))
        held_near = functional.embedding(rows, self.correction).pow(2).sum(1).mean()
        return functional.cross_entropy(scores, right) + 0.3 * functional.cross_entropy(scores.T, right) + 3e-3 * held_near

    @staticmethod
    def _sum(
        bags: Sequence[Bag],
        rows: torch.Tensor,
        vectors: torch.Tensor,
        by_word: torch.Tensor | None,
        by_entry: torch.Tensor | None = None,
    ) -> torch.Tensor:
        ids = torch.from_numpy(np.concatenate([bag[0] for bag in bags]))
        weights = torch.from_numpy(np.concatenate([bag[1] for bag in bags]))
        weights = weights if by_word is None else weights * by_word[ids]
        weights = weights if by_entry is None else weights * by_entry
        offsets = torch.from_numpy(np.cumsum([0, *(len(bag[0]) for bag in bags[:-1])]))
        local = torch.searchsorted(rows, ids)
        summed = functional.embedding_bag(local, vectors, offsets, mode="sum", per_sample_weights=weights)
        return functional.normalize(summed, dim=1)


def train(pairs: Sequence[Pair], vocabulary: dict[str, str], start: np.ndarray, idf: np.ndarray, epochs: int) -> Table:
    """Return the trained table."""
    row = {term: number for number, term in enumerate(vocabulary)}
    questions = [[_bag(terms(sentence), row, 0.5) for sentence in pair.sentences] for pair in pairs]
    codes = [_code_bag(pair, row) for pair in pairs]
    definitions = np.array([hash((pair.repo, pair.path, pair.scope, pair.name)) for pair in pairs])
    usable = [number for number in range(len(pairs)) if len(questions[number][0][0]) >= 2]
    table = Table(torch.from_numpy(start), torch.from_numpy(idf))
    slow, fast = [table.projection, table.correction], [table.weight, table.question_weight, table.field_weight, table.scale]
    optimiser = torch.optim.Adam([{"params": slow, "lr": 1.5e-3}, {"params": fast, "lr": 5e-3}])
    steps = max(1, epochs * (len(usable) // BATCH))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1, (step + 1) / 50) * max(0.02, 1 - step / steps))
    for epoch in range(epochs):
        random.shuffle(usable)
        by_repository = sorted(usable, key=lambda number: pairs[number].repo)
        groups = [by_repository[at : at + NEIGHBOURS] for at in range(0, len(by_repository), NEIGHBOURS)]
        random.shuffle(groups)
        order = [number for group in groups for number in group]
        for at in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[at : at + BATCH]
            asked = [
                _thinned(random.choices(questions[number], weights=LENGTHS[: len(questions[number])])[0]) for number in chosen
            ]
            loss = table(asked, [codes[number] for number in chosen], _same([definitions[number] for number in chosen]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")
    return table


def _same(definitions: Sequence[int]) -> torch.Tensor:
    each = torch.tensor(definitions)
    return (each[:, None] == each[None, :]).fill_diagonal_(False)


def _bag(found: Sequence[str], row: dict[str, int], power: float | None) -> Bag:
    counts = Counter(row[term] for term in found if term in row)
    values = np.fromiter(counts.values(), np.float32, len(counts))
    return np.fromiter(counts, np.int64, len(counts)), np.log1p(values) if power is None else values**power


def _code_bag(pair: Pair, row: dict[str, int]) -> tuple[Bag, np.ndarray]:
    fields = [_bag(terms(pair.code), row, None)]
    parts = (name_terms(pair.name), words(pair.scope), words(pair.path), terms(pair.signature))
    fields += [_bag(part, row, 1.0) for part in parts]
    which = np.concatenate([np.full(len(bag[0]), number) for number, bag in enumerate(fields)])
    return (np.concatenate([bag[0] for bag in fields]), np.concatenate([bag[1] for bag in fields])), which


def _asked(lengths: Sequence[Bag]) -> Bag:
    return _thinned(random.choices(lengths, weights=LENGTHS[: len(lengths)])[0])


def _thinned(bag: Bag) -> Bag:
    kept = np.random.default_rng(random.getrandbits(32)).random(len(bag[0])) > DROPPED_WORDS
    return (bag[0][kept], bag[1][kept]) if kept.sum() >= 2 and random.random() < 0.6 else bag


def save(table: Table, vocabulary: dict[str, str], target: Path, version: str) -> None:
    """Write the table as 8-bit rows, sorted by term id, with a scale each."""
    with torch.no_grad():
        vectors = table.vectors(torch.arange(len(vocabulary))).numpy()
        fields = dict(zip(FIELDS, table.field_weight.exp().tolist(), strict=True))
        question_weights = table.question_weight.exp().numpy()
    ids = np.array(term_ids(vocabulary), np.uint32)
    ids, first = np.unique(ids, return_index=True)
    vectors = vectors[first]
    scales = np.abs(vectors).max(axis=1) / 127
    arrays: dict[str, Any] = {
        "ids": ids,
        "vectors": np.round(vectors / scales[:, None]).astype(np.int8),
        "scales": scales.astype(np.float16),
        "question_weights": question_weights[first].astype(np.float16),
        "fields": np.array([*FIELDS, "docstring"]),
        "field_weights": np.array([*fields.values(), fields["body"]], np.float32),
        "version": np.array(version),
    }
    np.savez(target, **arrays)
