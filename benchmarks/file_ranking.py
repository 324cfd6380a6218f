"""Grow the trees that rank files: ``cia/retrieval/file_ranking.npz``.

    python -m benchmarks.file_ranking --history ~/src/gin ~/src/gson ... -o cia/retrieval/file_ranking.npz

The questions are commits of the repositories that may be tuned on (``TUNED_ON``), past and future ones; a candidate file is right
when the commit changed it. LambdaMART (C. Burges, "From RankNet to LambdaRank to LambdaMART", 2010) as LightGBM has it; the
scores are scaled so that their softmax is the likeliest, measured on repositories left out of the growing.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from benchmarks.retrieval.question import QuestionSet
from benchmarks.retrieval.sets import QuestionSets, split_of
from cia.retrieval import Indexer, Retriever
from cia.retrieval.features import feature_matrix
from cia.retrieval.file_features import FILE_FEATURES, file_matrix
from cia.retrieval.forest import Forest
from cia.settings import load_settings

ROUNDS = 150
PARAMETERS = {
    "objective": "lambdarank",
    "lambdarank_truncation_level": 10,
    "learning_rate": 0.08,
    "num_leaves": 12,
    "max_depth": 5,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "seed": 1,
    "deterministic": True,
    "num_threads": 1,
    "verbose": -1,
}
SCALES = np.geomspace(0.2, 5.0, 60)


@dataclass(frozen=True, slots=True)
class Ranked:
    """The candidate files of one question: their features, and which ones are right."""

    table: np.ndarray
    right: np.ndarray


def examples(question_set: QuestionSet) -> list[Ranked]:
    """Return the questions of a set that have a right file among their candidates."""
    with tempfile.TemporaryDirectory() as home:
        settings = load_settings(environment={**os.environ, "CIA_HOME": home})
        Indexer(settings).index(str(question_set.tree), name=question_set.repo)
        retriever = Retriever(settings)
        found = []
        for asked in question_set.questions:
            question, candidates, idf = retriever.candidates(asked.text, question_set.repo)
            if candidates:
                table = file_matrix(question, candidates, feature_matrix(question, candidates, idf), idf)[1]
                paths = list(dict.fromkeys(candidate.file_path for candidate in candidates))
                right = np.isin(paths, [place.path for place in asked.relevant])
                if right.any():
                    found.append(Ranked(table, right))
        retriever.close()
    return found


def grow(questions: Sequence[Ranked]) -> Any:
    """Return LightGBM's model."""
    data = lightgbm.Dataset(
        np.vstack([question.table for question in questions]),
        np.concatenate([question.right for question in questions]).astype(int),
        group=[len(question.right) for question in questions],
        feature_name=list(FILE_FEATURES),
    )
    return lightgbm.train(PARAMETERS, data, ROUNDS)


def likeliest_scale(forest: Forest, questions: Iterable[Ranked]) -> float:
    """Return what to multiply the scores with so that a softmax over a question's files gives its right ones the most."""
    scored = [(forest.scores(question.table), question.right) for question in questions]
    return float(max(SCALES, key=lambda scale: sum(_log_share(scale * scores, right) for scores, right in scored)))


def _log_share(logits: np.ndarray, right: np.ndarray) -> float:
    shares = np.exp(logits - logits.max())
    return float(np.log(shares[right].sum() / shares.sum()))


def arrays_of(model: Any, scale: float) -> dict[str, Any]:
    """Return the arrays of a ``Forest``, one row a tree, from LightGBM's nested dictionaries."""
    trees = [_flattened(tree["tree_structure"]) for tree in model.dump_model()["tree_info"]]
    size = max(len(tree) for tree in trees)
    feature, below, above = (np.zeros((len(trees), size), np.int16) for _ in range(3))
    threshold, value = np.zeros((len(trees), size), np.float32), np.zeros((len(trees), size), np.float32)
    for row, tree in enumerate(trees):
        for column, node in enumerate(tree):
            feature[row, column], threshold[row, column], below[row, column], above[row, column] = node[:4]
            value[row, column] = scale * node[4]
    depth = np.array(PARAMETERS["max_depth"])
    names = np.array(FILE_FEATURES)
    return {
        "names": names,
        "feature": feature,
        "threshold": threshold,
        "below": below,
        "above": above,
        "value": value,
        "depth": depth,
    }


def _flattened(root: dict[str, Any]) -> list[tuple[int, float, int, int, float]]:
    nodes: list[tuple[int, float, int, int, float]] = []

    def visit(node: dict[str, Any]) -> int:
        number = len(nodes)
        if "leaf_value" in node:
            nodes.append((0, 0.0, number, number, node["leaf_value"]))
        else:
            nodes.append((0, 0.0, 0, 0, 0.0))
            children = visit(node["left_child"]), visit(node["right_child"])
            nodes[number] = (node["split_feature"], node["threshold"], *children, 0.0)
        return number

    visit(root)
    return nodes


def forest_of(arrays: dict[str, Any]) -> Forest:
    """Return the forest of ``arrays``."""
    parts = {name: array for name, array in arrays.items() if name not in ("names", "depth")}
    return Forest(tuple(arrays["names"].tolist()), **parts, depth=int(arrays["depth"]))


def main() -> None:
    """Gather, grow, write."""
    parser = argparse.ArgumentParser(description="Grow the trees that rank files.")
    parser.add_argument("--history", type=Path, nargs="+", required=True, metavar="PATH", help="git repositories")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where question sets are kept (default: in CIA_HOME)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .npz to write")
    options = parser.parse_args()
    sets = QuestionSets((options.cache or load_settings().home / "benchmarks" / "retrieval").absolute())
    by_repository: dict[str, list[Ranked]] = {}
    for history in options.history:
        of_one = [*sets.history([history], _may_tune), *sets.commit([history], _may_tune)]
        for question_set in of_one:
            by_repository.setdefault(question_set.repo, []).extend(examples(question_set))
            print(question_set.repo, question_set.kind, len(by_repository[question_set.repo]), flush=True)
    names = sorted(by_repository)
    grown, measured = ([q for name in names[start::2] for q in by_repository[name]] for start in (0, 1))
    scale = likeliest_scale(forest_of(arrays_of(grow(grown), 1.0)), measured)
    print(f"{len(grown) + len(measured)} questions of {len(names)} repositories; scale {scale:.2f}")
    np.savez_compressed(options.output, **arrays_of(grow([*grown, *measured]), scale))


def _may_tune(repo: str) -> bool:
    return split_of(repo) == "tune"


if __name__ == "__main__":
    main()
