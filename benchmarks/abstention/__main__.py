"""Measure abstention, and fit its weights: ``python -m benchmarks.abstention [--fit]``.

The weights in ``cia.answering.abstention`` are fitted on the repositories of TUNED alone; the others show what they are worth.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from benchmarks.abstention.questions import ANSWERABLE, SOURCES, Labelled, labelled
from cia.answering.abstention import Evidence, rarity_in, weigh
from cia.corpus import Corpus
from cia.dataset.from_code.definitions import read_code_base
from cia.errors import CiaError
from cia.retrieval import Indexer, Retriever
from cia.settings import Settings, load_settings

TUNED = {
    "click": "pypi:click==8.3.3",
    "rich": "pypi:rich==14.2.0",
    "jinja2": "pypi:jinja2==3.1.6",
    "attrs": "pypi:attrs==25.4.0",
}
HELD_OUT = {
    "httpx": "pypi:httpx==0.28.1",
    "starlette": "pypi:starlette==0.50.0",
    "requests": "pypi:requests==2.32.5",
    "flask": "pypi:flask==3.1.2",
    "paramiko": "pypi:paramiko==4.0.0",
}
UNRELATED = {
    "click": ("httpx", "paramiko"),
    "rich": ("httpx", "paramiko"),
    "jinja2": ("httpx", "paramiko"),
    "attrs": ("httpx", "paramiko"),
    "httpx": ("rich", "jinja2"),
    "starlette": ("rich", "attrs"),
    "requests": ("rich", "attrs"),
    "flask": ("rich", "attrs"),
    "paramiko": ("rich", "jinja2"),
}
"""For each repository, others that deal with something else."""

SOURCE_WEIGHTS = {"asked": 10.0, "off topic": 8.0, "described": 2.0}
"""In the fit, a question that a person wrote counts for several that were made."""


def main() -> int:
    """Index, weigh, print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.abstention", description=__doc__)
    parser.add_argument("--fit", action="store_true", help="also fit the weights anew, and print them")
    options = parser.parse_args()
    try:
        settings = load_settings()
        settings = settings.model_copy(update={"home": settings.home / "benchmarks" / "abstention"})
        weighed = _weighed(settings)
    except CiaError as error:
        print(f"benchmarks.abstention: {error}", file=sys.stderr)
        return error.exit_code
    for title, repos in (("tuned on", TUNED), ("held out", HELD_OUT)):
        print(f"\n{title}: {', '.join(repos)}\n{'questions':<12}{'number':>8}{'declined':>10}")
        for source, meaning in SOURCES.items():
            declined = [
                not evidence.answerable for question, evidence in weighed if question.repo in repos and question.source == source
            ]
            print(f"{source:<12}{len(declined):>8}{np.mean(declined):>10.1%}   {meaning}")
    if options.fit:
        print("\nfitted:", _fit([(question, evidence) for question, evidence in weighed if question.repo in TUNED]))
    return 0


def _weighed(settings: Settings) -> list[tuple[Labelled, Evidence]]:
    indexer = Indexer(settings)
    for name, source in {**TUNED, **HELD_OUT}.items():
        indexer.index(source, name=name)
    corpus, retriever = Corpus(settings), Retriever(settings)
    code = {name: read_code_base(corpus.get(name), settings.chunking) for name in UNRELATED}
    weighed = []
    for name, others in UNRELATED.items():
        for question in labelled(code[name], [code[other] for other in others]):
            results = retriever.search(question.text, repos=[name]).results
            weighed.append((question, weigh(question.text, results, rarity_in(retriever, [name]))))
    retriever.close()
    return weighed


def _fit(weighed: list[tuple[Labelled, Evidence]]) -> dict[str, float]:
    """Logistic regression by gradient descent; both sides weigh the same."""
    features = np.array([[e.score, e.coverage, len(e.missing_names), 1.0] for _, e in weighed])
    answerable = np.array([question.source in ANSWERABLE for question, _ in weighed], dtype=float)
    weight = np.array([SOURCE_WEIGHTS.get(question.source, 1.0) for question, _ in weighed])
    weight = np.where(answerable == 1, weight / weight[answerable == 1].sum(), weight / weight[answerable == 0].sum())
    scale = features.std(axis=0) + (features.std(axis=0) == 0)
    middle = np.append(features[:, :-1].mean(axis=0), 0.0)
    standard = (features - middle) / scale
    fitted = np.zeros(4)
    for _ in range(5000):
        probability = 1 / (1 + np.exp(-standard @ fitted))
        fitted -= 3 * (standard.T @ (weight * (probability - answerable)) + 1e-3 * np.append(fitted[:-1], 0.0))
    plain = fitted / scale
    plain[-1] = fitted[-1] - (plain[:-1] * middle[:-1]).sum()
    return dict(zip(("score", "coverage", "missing_names", "bias"), np.round(plain, 2).tolist(), strict=True))


if __name__ == "__main__":
    sys.exit(main())
