"""``python -m cia.dataset --out data/dataset [REPO...]``: build the data set from the corpus, and print its report.

With ``--corpus data/corpus`` it is built from just the repositories and commits that ``cia.corpus.export`` wrote there.
A teacher is asked as well when ``CIA_DATASET__TEACHER__BASE_URL`` names one; run the same command again after a kill, and it
asks only what is left. Rated answers come from ``CIA_DATASET__PRODUCTION__EXPORT`` (a file) or ``..__LANGFUSE=true``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from cia.corpus import Corpus
from cia.dataset import build
from cia.errors import CiaError, InputError
from cia.settings import load_settings


def exported_repos(corpus: Corpus, manifests: Path) -> list[str]:
    """Return the names of the repositories in ``manifests``. Raises InputError when ``corpus`` is at another commit of one."""
    repos = []
    for path in sorted(manifests.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if corpus.get(document["repo"]).commit != document["commit"]:
            raise InputError(f"{document['repo']} is not at the commit in {path}; run `python -m cia.corpus.export {manifests}`")
        repos.append(document["repo"])
    return repos


def main() -> int:
    """Build the data set; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cia.dataset", description="Make question-answer pairs from indexed code.")
    parser.add_argument("repos", nargs="*", metavar="REPO", help="indexed repositories (default: all)")
    parser.add_argument("--out", type=Path, default=Path("data/dataset"), help="folder to write, replaced as a whole")
    parser.add_argument("--corpus", type=Path, help="folder of manifests; the corpus must be at their commits")
    options = parser.parse_args()
    try:
        settings = load_settings()
        corpus = Corpus(settings)
        repos = exported_repos(corpus, options.corpus) if options.corpus else options.repos or None
        report = build(settings, corpus, repos, options.out)
    except CiaError as error:
        print(f"cia.dataset: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(report.as_json(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
