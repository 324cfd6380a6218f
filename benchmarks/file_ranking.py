"""Grow the trees that rank files: ``cia/retrieval/file_ranking.npz``.

    python -m benchmarks.file_ranking --history ~/src/gin ~/src/gson ... -o cia/retrieval/file_ranking.npz
    python -m benchmarks.file_ranking --history ~/src/gin ~/src/gson ... ~/src/cobra --curve

``--curve`` writes nothing: it prints what the trees of ever more repositories are worth on those that are only reported on.
The questions are commits of the repositories that may be tuned on (``TUNED_ON``), past and future ones; a candidate file is right
when the commit changed it. LambdaMART (C. Burges, "From RankNet to LambdaRank to LambdaMART", 2010) as LightGBM has it; the
scores are scaled so that their softmax is the likeliest, measured on repositories left out of the growing.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from benchmarks.retrieval.metrics import DEPTH
from benchmarks.retrieval.question import QuestionSet, Split
from benchmarks.retrieval.sets import SEED, QuestionSets, split_of
from benchmarks.retrieval.source_files import is_test
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
    """Return the questions of a set that have candidates."""
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
                found.append(Ranked(table, right))
        retriever.close()
    return found


def grow(questions: Sequence[Ranked]) -> Any:
    """Return LightGBM's model of the questions that have a right file among their candidates."""
    questions = [question for question in questions if question.right.any()]
    data = lightgbm.Dataset(
        np.vstack([question.table for question in questions]),
        np.concatenate([question.right for question in questions]).astype(int),
        group=[len(question.right) for question in questions],
        feature_name=list(FILE_FEATURES),
    )
    return lightgbm.train(PARAMETERS, data, ROUNDS)


def likeliest_scale(forest: Forest, questions: Iterable[Ranked]) -> float:
    """Return what to multiply the scores with so that a softmax over a question's files gives its right ones the most."""
    scored = [(forest.scores(question.table), question.right) for question in questions if question.right.any()]
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


def write_trees(tuned: dict[str, list[Ranked]], target: Path) -> None:
    """Grow trees on everything and write them, scaled by what half of the repositories say of trees of the other half."""
    names = sorted(tuned)
    grown, measured = ([q for name in names[start::2] for q in tuned[name]] for start in (0, 1))
    scale = likeliest_scale(Forest.of(arrays_of(grow(grown), 1.0)), measured)
    print(f"{len(grown) + len(measured)} questions of {len(names)} repositories; scale {scale:.2f}")
    np.savez_compressed(target, **arrays_of(grow([*grown, *measured]), scale))


def print_curve(tuned: dict[str, list[Ranked]], reported: Sequence[Ranked]) -> None:
    """Print MRR@10 and R@10 on ``reported`` of trees grown on 1, 2, 4 ... repositories, and the share that has a candidate."""
    names = random.Random(SEED).sample(sorted(tuned), len(tuned))
    print("repositories  MRR@10   R@10")
    for count in sorted({*(2**power for power in range(8) if 2**power < len(names)), len(names)}):
        forest = Forest.of(arrays_of(grow([question for name in names[:count] for question in tuned[name]]), 1.0))
        ranks = [_first_right(forest.scores(question.table), question.right) for question in reported]
        print(
            f"{count:12}  {np.mean([1 / rank for rank in ranks]):6.3f} {np.mean([rank <= DEPTH for rank in ranks]):6.3f}",
            flush=True,
        )
    print(f"a right file is among the candidates of {np.mean([question.right.any() for question in reported]):.3f}")


def _first_right(scores: np.ndarray, right: np.ndarray) -> float:
    """The rank of the first right file, infinite past ten."""
    ranks = np.flatnonzero(right[np.argsort(-scores, kind="stable")[:DEPTH]]) + 1
    return float(ranks[0]) if len(ranks) else np.inf


def main() -> None:
    """Gather, grow, write."""
    parser = argparse.ArgumentParser(description="Grow the trees that rank files.")
    parser.add_argument("--history", type=Path, nargs="+", required=True, metavar="PATH", help="git repositories")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where question sets are kept (default: in CIA_HOME)")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("-o", "--output", type=Path, help="the .npz to write")
    target.add_argument("--curve", action="store_true", help="print quality against the number of repositories instead")
    options = parser.parse_args()
    sets = QuestionSets((options.cache or load_settings().home / "benchmarks" / "retrieval").absolute())
    tuned = _gathered(sets, options.history, "tune")
    if len(tuned) < 2:
        parser.error("--history has too few of the repositories that may be tuned on (TUNED_ON in benchmarks/retrieval/sets.py)")
    if options.curve:
        reported = _gathered(sets, options.history, "report")
        if not reported:
            parser.error("--history has none of the other repositories to report on")
        print_curve(tuned, [question for questions in reported.values() for question in questions])
    else:
        write_trees(tuned, options.output)


def _gathered(sets: QuestionSets, histories: Sequence[Path], split: Split) -> dict[str, list[Ranked]]:
    """The questions of each repository of a split: past commits; for tuning also future ones, and those to tests alone."""

    def wanted(repo: str) -> bool:
        return split_of(repo) == split

    gathered: dict[str, list[Ranked]] = {}
    for question_set in [*sets.history(histories, wanted), *(sets.commit(histories, wanted) if split == "tune" else ())]:
        asked = tuple(q for q in question_set.questions if split == "tune" or not is_test(q.relevant[0].path))
        gathered.setdefault(question_set.repo, []).extend(examples(replace(question_set, questions=asked)))
        print(question_set.repo, question_set.kind, len(gathered[question_set.repo]), file=sys.stderr, flush=True)
    return gathered


if __name__ == "__main__":
    main()
